/** `POST /consent`: Approve sets the login cookie and sends the browser to Entra; Deny sends it back to the client. */
import type { ServerResponse } from 'node:http'
import { sha256 } from '../crypto/hashing.js'
import { oauthBodyLimit, readForm } from '../http/body.js'
import type { Browser } from '../http/browser.js'
import { attribute, type EventFacts } from '../http/event-facts.js'
import { redirect } from '../http/respond.js'
import { checkSameOrigin } from '../http/same-origin.js'
import { senderOf } from '../http/sender.js'
import { documentHostOf } from '../oauth/client-id-url.js'
import { OAuthError } from '../oauth/errors.js'
import { required } from '../oauth/params.js'
import type { AuthorizationRequest } from './authorization-request.js'
import { errorAnswer } from './client-answer.js'
import { type ConsentForm, readConsentForm } from './consent-form.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { forgetConsent, keepsConsent } from './remembered-consent.js'
import { identifyClient, type RequestingClient } from './requesting-client.js'
import { beginLogin } from './upstream-login.js'

/** @see MCP Security Best Practices, "Confused Deputy Problem" */
export function consent(context: ProxyContext) {
  return async function consentEndpoint(
    { req }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const params = await readForm(req, oauthBodyLimit)
    checkSameOrigin(req, new URL(context.baseUrl).origin)
    const form = readConsentForm(context, req, params)
    try {
      await answerForm(context, { req, res }, form, required(params, 'action'))
    } catch (error) {
      throw attribute(error, formFacts(form))
    }
  }
}

async function answerForm(
  context: ProxyContext,
  browser: Browser,
  form: ConsentForm,
  action: string,
): Promise<void> {
  const { request, askedUser } = form
  const named = { client_id: request.clientId, redirect_uri: request.redirectUri }
  const requesting = await identifyClient(context, named, senderOf(browser.req))
  if (action === 'approve') return approve(context, browser, requesting, request)
  if (action === 'deny') {
    const facts = formFacts(form)
    await forgetConsent(context, browser, { requesting, askedUser, facts })
    return deny(context, browser.res, request, facts)
  }
  throw new OAuthError('invalid_request', "'action' must be 'approve' or 'deny'.")
}

/** What a form says for the operator: it was sealed by this server. */
function formFacts({ request, askedUser }: ConsentForm): EventFacts {
  const { clientId, redirectUri, scopes, resource } = request
  return { user: askedUser, client: { id: clientId, redirectUri }, scopes, resource }
}

function approve(
  context: ProxyContext,
  browser: Browser,
  requesting: RequestingClient,
  { clientId, hints, ...request }: AuthorizationRequest,
): void {
  const login = {
    ...request,
    client: sha256(clientId),
    host: documentHostOf(clientId),
    ...(keepsConsent(context, requesting) && { approvedAt: context.now() / 1000 }),
  }
  redirect(browser.res, 303, beginLogin(context, browser, login, { hints }))
}

function deny(
  { report, baseUrl }: Pick<ProxyContext, 'report' | 'baseUrl'>,
  res: ServerResponse,
  request: AuthorizationRequest,
  facts: EventFacts,
): void {
  report('refusal', { endpoint: 'consent', reason: 'denied' }, facts)
  const denied = new OAuthError('access_denied', 'The user did not allow access.')
  redirect(res, 303, errorAnswer(request, denied, baseUrl))
}
