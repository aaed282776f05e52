/**
 * `GET /authorize`: checks the request and shows the consent page. Nothing is stored; Entra comes after Approve, or at
 * once when the user has allowed all of it before.
 */
import type { ServerResponse } from 'node:http'
import { sha256 } from '../crypto/hashing.js'
import type { Browser } from '../http/browser.js'
import { redirect } from '../http/respond.js'
import { senderOf } from '../http/sender.js'
import type { SignedInUser } from '../login/browser-sessions.js'
import { documentHostOf } from '../oauth/client-id-url.js'
import { OAuthError } from '../oauth/errors.js'
import { type Params, singleParams } from '../oauth/params.js'
import type { Look } from '../pages/look.js'
import { askForConsent } from './ask-for-consent.js'
import { type AuthorizationRequest, readAuthorizationRequest } from './authorization-request.js'
import { errorAnswer, mayRedirectUnasked } from './client-answer.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { sendRefusalPage } from './refusal-page.js'
import { loginWithoutPage, recallConsent } from './remembered-consent.js'
import { identifyClient, type RequestingClient } from './requesting-client.js'
import { beginLogin, checkLoginFits } from './upstream-login.js'

/** @see RFC 6749 section 4.1.1 */
export function authorize(context: ProxyContext) {
  return async function authorizeEndpoint(
    { req, query }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const params = singleParams(query)
    const requesting = await identifyClient(context, params, senderOf(req))
    const look = context.looks.forReader(req, params.ui_locales)
    try {
      await continueOrAsk(context, { req, res }, look, requesting, params)
    } catch (error) {
      if (!(error instanceof OAuthError)) throw error
      sendRefusal(context, res, look, requesting, params.state, error)
    }
  }
}

async function continueOrAsk(
  context: ProxyContext,
  browser: Browser,
  look: Look,
  requesting: RequestingClient,
  params: Params,
): Promise<void> {
  const request = readAuthorizationRequest(context, params, requesting)
  const { clientId } = request
  checkLoginFits(context, {
    ...request,
    client: sha256(clientId),
    host: documentHostOf(clientId),
  })
  const recalled = await recallConsent(context, browser, requesting, request)
  const login = recalled && loginWithoutPage(context, browser, request, recalled)
  if (!login) return askForConsent(context, browser, look, requesting, request, recalled)
  const hints = hintUser(request.hints, recalled.user)
  redirect(browser.res, 302, beginLogin(context, browser, login, { hints }))
}

/** Spares the user the choice of an account, unless the client has chosen or wants the user to. */
function hintUser(
  hints: AuthorizationRequest['hints'],
  { username }: SignedInUser,
): AuthorizationRequest['hints'] {
  if (username === undefined || hints.prompt === 'select_account') return hints
  return { login_hint: username, ...hints }
}

/** The client hears it by redirect; one that nobody vouches for gets a page with a link instead. */
function sendRefusal(
  context: Pick<ProxyContext, 'report' | 'baseUrl'>,
  res: ServerResponse,
  look: Look,
  { client, redirectUri }: RequestingClient,
  state: string | undefined,
  error: OAuthError,
): void {
  const endpoint = 'authorize'
  const facts = { client: { id: client.id, redirectUri } }
  const answer = errorAnswer({ redirectUri, state }, error, context.baseUrl)
  if (!mayRedirectUnasked(client, redirectUri)) {
    return sendRefusalPage(context, res, look, { endpoint, error, target: answer, facts })
  }
  context.report('refusal', { endpoint, reason: error.code, detail: error.description }, facts)
  redirect(res, 302, answer)
}
