/** `GET /authorize`: checks the request and shows the consent page. Nothing is stored; Entra comes after Approve. */
import type { ServerResponse } from 'node:http'
import { sha256 } from '../crypto/hashing.js'
import type { Browser } from '../http/browser.js'
import { redirect, sendPage } from '../http/respond.js'
import { senderOf } from '../http/sender.js'
import { OAuthError } from '../oauth/errors.js'
import { type Params, singleParams } from '../oauth/params.js'
import { consentPage } from '../pages/consent-page.js'
import type { Look } from '../pages/look.js'
import { readAuthorizationRequest } from './authorization-request.js'
import { errorAnswer, mayRedirectUnasked } from './client-answer.js'
import { writeConsentForm } from './consent-form.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { sendRefusalPage } from './refusal-page.js'
import { identifyClient, type RequestingClient } from './requesting-client.js'
import { checkLoginFits } from './upstream-login.js'

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
      askForConsent(context, { req, res }, look, requesting, params)
    } catch (error) {
      if (!(error instanceof OAuthError)) throw error
      sendRefusal(context, res, look, requesting, params.state, error)
    }
  }
}

function askForConsent(
  context: ProxyContext,
  browser: Browser,
  look: Look,
  requesting: RequestingClient,
  params: Params,
): void {
  const { client } = requesting
  const request = readAuthorizationRequest(context, params, requesting)
  checkLoginFits(context, { ...request, client: sha256(client.id) })
  const fields = writeConsentForm(context, browser, request)
  const { serverName: server, scopes, basePath } = context
  // The form may be unreadable when it comes back, and the page about that is for the same reader.
  const wish = request.language === undefined ? '' : `?ui_locales=${request.language}`
  const action = `${basePath}/consent${wish}`
  sendPage(browser.res, 200, consentPage(look, { server, scopes, client, request, action, fields }))
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
  const answer = errorAnswer({ redirectUri, state }, error, context.baseUrl)
  if (!mayRedirectUnasked(client, redirectUri)) {
    return sendRefusalPage(context, res, look, { endpoint, error, target: answer })
  }
  context.report('refusal', { endpoint, reason: error.code, detail: error.description })
  redirect(res, 302, answer)
}
