/** DPoP at the token endpoint: the proof that comes with a request, and what it binds. */
import type { Browser } from '../http/browser.js'
import { sendDpopNonce } from '../http/cors.js'
import { OAuthError } from '../oauth/errors.js'
import type { Client } from '../tokens/clients.js'
import type { VerifiedProof } from '../tokens/dpop-proofs.js'
import type { Grant } from '../tokens/records.js'
import type { ProxyContext } from './context.js'

/**
 * Verifies the proof of a token request. Nothing is written: that it was used is noted by {@link useProof}.
 *
 * @returns undefined when there is none, and none is needed
 * @throws OAuthError `invalid_dpop_proof`, `use_dpop_nonce`
 * @see RFC 9449 sections 5 and 5.2
 */
export async function verifyTokenProof(
  { dpop, baseUrl }: Pick<ProxyContext, 'dpop' | 'baseUrl'>,
  { req, res }: Browser,
  { metadata }: Client,
): Promise<VerifiedProof | undefined> {
  if (!dpop) return undefined
  const header = req.headers.dpop
  if (header === undefined) {
    if (!dpop.required && !metadata.dpop_bound_access_tokens) return undefined
    const who = dpop.required ? 'This server' : 'The registration of this client'
    throw new OAuthError('invalid_dpop_proof', `${who} asks for a DPoP proof, and there is none.`)
  }
  const nonce = dpop.nonce()
  if (nonce !== undefined) sendDpopNonce(res, nonce)
  return dpop.verify(String(header), { method: 'POST', url: `${baseUrl}/token` })
}

/** Notes that the proof was used, just before the grant is. @throws OAuthError `invalid_dpop_proof`, or 503 */
export async function useProof(
  { dpop }: Pick<ProxyContext, 'dpop'>,
  proof: VerifiedProof | undefined,
): Promise<void> {
  if (proof) await dpop?.useOnce(proof)
}

/**
 * Checks that a code or a refresh token is used with the key that it is bound to.
 *
 * @param jkt that key, if there is one
 * @throws OAuthError `invalid_grant`
 */
export function checkBoundTo(
  jkt: string | undefined,
  proof: VerifiedProof | undefined,
  what: 'code' | 'refresh token',
): void {
  if (jkt === undefined || jkt === proof?.jkt) return
  const why = proof ? 'another DPoP key' : 'a DPoP key, and there is no proof'
  throw new OAuthError('invalid_grant', `The ${what} is bound to ${why}.`)
}

/**
 * Binds the refresh token of a public client to its key. That of a client which authenticates is bound to the client
 * already, which may change its key.
 *
 * @see RFC 9449 section 5
 */
export function bindGrant(
  grant: Grant,
  { metadata }: Client,
  proof: VerifiedProof | undefined,
): Grant {
  if (!proof || metadata.token_endpoint_auth_method !== 'none') return grant
  return { ...grant, jkt: proof.jkt }
}
