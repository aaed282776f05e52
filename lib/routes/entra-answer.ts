/** Entra's answer to a trip of the browser: the parameters of the callback, and the tokens for its code. */
import type { UpstreamTokens } from '../entra/token-endpoint.js'
import type { EventFacts } from '../http/event-facts.js'
import { refuseByEntra } from '../login/failed-login.js'
import { type Params, required, singleParams } from '../oauth/params.js'
import type { ProxyContext } from './context.js'
import type { PendingTrip } from './upstream-login.js'

/** The parameters of Entra's answer that decide anything. */
const decisive = ['state', 'code', 'error']

/** Entra's `error_description` has line breaks. They must not keep the error itself from the client. */
export function readEntraAnswer(query: URLSearchParams): Params {
  const params = singleParams([...query].filter(([name]) => decisive.includes(name)))
  return { ...params, error_description: query.get('error_description') ?? undefined }
}

/**
 * Redeems the code of an answer.
 *
 * @param request its scopes in Entra's spelling, and what is known of it for the operator
 * @throws OAuthError for an error that Entra sent instead of a code, which has been reported then
 * @throws EntraError when Entra does not redeem the code
 */
export function redeemAnswer(
  context: Pick<ProxyContext, 'tokenEndpoint' | 'baseUrl' | 'callbackPath' | 'report'>,
  params: Params,
  { verifier }: PendingTrip,
  { scopes, facts }: { readonly scopes: readonly string[]; readonly facts: EventFacts },
): Promise<UpstreamTokens> {
  if (params.error !== undefined)
    throw refuseByEntra(context.report, params.error, params.error_description, facts)
  return context.tokenEndpoint.redeemCode({
    code: required(params, 'code'),
    redirectUri: context.baseUrl + context.callbackPath,
    codeVerifier: verifier,
    scopes,
  })
}
