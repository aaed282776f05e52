/** `POST /consent`: on Approve the login cookie is set and the browser goes to Entra; on Deny back to the client. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { randomSecret, sha256 } from '../crypto/hashing.js'
import { openJson, sealJson } from '../crypto/sealing.js'
import { readForm } from '../http/body.js'
import { redirect } from '../http/respond.js'
import { OAuthError } from '../oauth/errors.js'
import { type Params, required } from '../oauth/params.js'
import { codeChallenge } from '../oauth/pkce.js'
import { type AuthorizationRequest, knownClient } from './authorization-request.js'
import { type ConsentForm, consentSeal } from './authorize.js'
import { errorAnswer } from './client-answer.js'
import type { EndpointRequest, ProxyContext } from './context.js'

/** A login under way, sealed in a cookie of its own and bound to its `state`. */
export interface PendingLogin {
  readonly redirectUri: string
  readonly state?: string
  readonly codeChallenge: string
  readonly scopes: readonly string[]
  readonly resource: string
  /** SHA-256 of the client id. */
  readonly client: string
  /** Our own PKCE verifier and nonce towards Entra. */
  readonly verifier: string
  readonly nonce: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** The seal of a pending login. */
export const loginSeal = (state: string) => ({ purpose: 'pending login', boundTo: state })

/** The name of a pending login's cookie. */
export const loginCookieId = (state: string) => sha256(`login\0${state}`).slice(0, 16)

const formLimit = 64 * 1024

/** @see MCP Security Best Practices, "Confused Deputy Problem" */
export function consent(context: ProxyContext) {
  return async function consentEndpoint(
    { req }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const params = await readForm(req, formLimit)
    checkSameOrigin(req)
    const { request } = openForm(context, req, params)
    knownClient(context, { client_id: request.clientId, redirect_uri: request.redirectUri })
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
  request: AuthorizationRequest,
): void {
  const state = randomSecret()
  const login: PendingLogin = {
    redirectUri: request.redirectUri,
    ...(request.state !== undefined && { state: request.state }),
    codeChallenge: request.codeChallenge,
    scopes: request.scopes,
    resource: request.resource,
    client: sha256(request.clientId),
    verifier: randomSecret(),
    nonce: randomSecret(),
    expiresAt: context.now() + context.lifetimes.login * 1000,
  }
  const sealed = sealJson(context.ring, loginSeal(state), login)
  context.loginCookies.write(req, res, loginCookieId(state), sealed)
  redirect(res, 303, upstreamUrl(context, request, login, state))
}

/** @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow */
function upstreamUrl(
  context: ProxyContext,
  { scopes, hints }: AuthorizationRequest,
  { verifier, nonce }: PendingLogin,
  state: string,
): string {
  const url = new URL(context.authority.authorizationEndpoint())
  const params = {
    client_id: context.clientId,
    response_type: 'code',
    response_mode: 'query',
    redirect_uri: context.baseUrl + context.callbackPath,
    scope: context.scopes.toUpstreamAuthorize(scopes).join(' '),
    state,
    nonce,
    code_challenge: codeChallenge(verifier),
    code_challenge_method: 'S256',
    ...hints,
  }
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value)
  return url.href
}
