/** `GET /authorize`: checks the request and shows the consent page. Nothing is stored, nothing redirected to Entra yet. */
import type { ServerResponse } from 'node:http'
import { randomId, randomSecret, sha256 } from '../crypto/hashing.js'
import { sealJson } from '../crypto/sealing.js'
import { redirect, sendPage } from '../http/respond.js'
import { senderOf } from '../http/sender.js'
import { OAuthError } from '../oauth/errors.js'
import { longestParam, singleParams } from '../oauth/params.js'
import type { Client } from '../tokens/clients.js'
import {
  type AuthorizationRequest,
  knownClient,
  readAuthorizationRequest,
} from './authorization-request.js'
import { errorAnswer, mayRedirectUnasked } from './client-answer.js'
import { consentPage } from './consent-page.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { contentSecurityPolicy, returnPage } from './page.js'
import { checkLoginFits } from './upstream-login.js'

/** What the consent form carries, sealed and bound to the browser's cookie. */
export interface ConsentForm {
  readonly request: AuthorizationRequest
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** The seal of the form: opens only together with the cookie set along with the page. */
export const consentSeal = (cookie: string) => ({ purpose: 'consent form', boundTo: cookie })

/** @see RFC 6749 section 4.1.1 */
export function authorize(context: ProxyContext) {
  return async function authorizeEndpoint(
    { req, query }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const params = singleParams(query)
    const { client, redirectUri } = await knownClient(context, params, senderOf(req))
    try {
      const request = readAuthorizationRequest(context, params, client, redirectUri)
      checkLoginFits(context, { ...request, client: sha256(client.id) })
      const { form, fields } = sealedForm(context, request)
      context.consentCookies.write(req, res, fields.form, form)
      sendConsentPage(context, res, client, request, fields)
    } catch (error) {
      if (!(error instanceof OAuthError)) throw error
      context.report('refusal', {
        endpoint: 'authorize',
        reason: error.code,
        detail: error.description,
      })
      const answer = errorAnswer({ redirectUri, state: params.state }, error, context.baseUrl)
      if (mayRedirectUnasked(client, redirectUri)) return redirect(res, 302, answer)
      sendPage(res, error.status, returnPage(error, answer), contentSecurityPolicy)
    }
  }
}

function sealedForm(context: ProxyContext, request: AuthorizationRequest) {
  const cookie = randomSecret()
  const expiresAt = context.now() + context.lifetimes.login * 1000
  const form: ConsentForm = { request, expiresAt }
  const fields = { form: randomId(), request: sealJson(context.ring, consentSeal(cookie), form) }
  if (fields.request.length > longestParam) {
    throw new OAuthError(
      'invalid_request',
      "The request is too long to be carried in a form: shorten 'state', 'redirect_uri' or the hints.",
    )
  }
  return { form: cookie, fields }
}

function sendConsentPage(
  context: ProxyContext,
  res: ServerResponse,
  client: Client,
  request: AuthorizationRequest,
  fields: Readonly<Record<string, string>>,
): void {
  const action = `${context.basePath}/consent`
  sendPage(
    res,
    200,
    consentPage(context, { client, request, action, fields }),
    contentSecurityPolicy,
  )
}
