/** `POST /consent`: on Approve the login cookie is set and the browser goes to Entra; on Deny back to the client. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { sha256 } from '../crypto/hashing.js'
import { openJson } from '../crypto/sealing.js'
import { oauthBodyLimit, readForm } from '../http/body.js'
import { redirect } from '../http/respond.js'
import { senderOf } from '../http/sender.js'
import { OAuthError } from '../oauth/errors.js'
import { type Params, required } from '../oauth/params.js'
import { type AuthorizationRequest, knownClient } from './authorization-request.js'
import { type ConsentForm, consentSeal } from './authorize.js'
import { errorAnswer } from './client-answer.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { beginLogin } from './upstream-login.js'

/** @see MCP Security Best Practices, "Confused Deputy Problem" */
export function consent(context: ProxyContext) {
  return async function consentEndpoint(
    { req }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const params = await readForm(req, oauthBodyLimit)
    checkSameOrigin(req)
    const { request } = openForm(context, req, params)
    const { clientId, redirectUri } = request
    await knownClient(context, { client_id: clientId, redirect_uri: redirectUri }, senderOf(req))
    const action = required(params, 'action')
    if (action === 'approve') return approve(context, req, res, request)
    if (action !== 'deny')
      throw new OAuthError('invalid_request', "'action' must be approve or deny")
    context.report('refusal', { endpoint: 'consent', reason: 'denied' })
    const denied = new OAuthError('access_denied', 'The user did not allow access.')
    redirect(res, 303, errorAnswer(request, denied, context.baseUrl))
  }
}

/** A second line behind the cookie: browsers say where a form was sent from. */
function checkSameOrigin(req: IncomingMessage): void {
  const site = req.headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') {
    throw new OAuthError('access_denied', 'The form was sent from another site.')
  }
}

function openForm(context: ProxyContext, req: IncomingMessage, params: Params): ConsentForm {
  const cookie = context.consentCookies.read(req, required(params, 'form'))
  const form =
    cookie &&
    (openJson(context.ring, consentSeal(cookie), required(params, 'request')) as
      | ConsentForm
      | undefined)
  if (!form || form.expiresAt <= context.now()) {
    throw new OAuthError(
      'access_denied',
      'This page has expired, or it was opened in another browser. Start again from the application.',
    )
  }
  return form
}

function approve(
  context: ProxyContext,
  req: IncomingMessage,
  res: ServerResponse,
  { clientId, hints, ...request }: AuthorizationRequest,
): void {
  const client = sha256(clientId)
  redirect(res, 303, beginLogin(context, req, res, { ...request, client }, { hints }))
}
