/** Who has signed in, by the id token alone: for pages, which need no access to an API. */
import type { UpstreamTokens } from '../entra/token-endpoint.js'
import type { EntraVerifier } from '../entra/verify.js'
import type { SignedInUser } from './browser-sessions.js'
import { refuseTokens, unusableTokens } from './unusable-tokens.js'
import { userFromClaims } from './user.js'

/**
 * Verifies the id token of a sign-in.
 *
 * @param nonce what we sent to Entra
 * @throws OAuthError `access_denied` for a token that is not of this sign-in, this app or an allowed tenant,
 *   `server_error` when there is none, 503 when Entra's keys are out of reach
 * @see OpenID Connect Core 1.0, section 3.1.3.7
 */
export async function identifyUser(
  verifier: EntraVerifier,
  { idToken }: UpstreamTokens,
  nonce: string,
): Promise<SignedInUser> {
  if (idToken === undefined) throw unusableTokens('Entra sent no id token')
  try {
    return userFromClaims(await verifier.idToken(idToken, { nonce }))
  } catch (error) {
    throw refuseTokens(error)
  }
}
