/** DPoP proofs: what request one is for, and what the gate says of it as far as the proof alone shows. */
import type { DecodedJwt } from '../../crypto/decode-jwt.js'
import {
  checkProofClaims,
  importProofKey,
  readProof,
  verifyProofSignature,
} from '../../oauth/dpop.js'
import { OAuthError } from '../../oauth/errors.js'
import type { Explanation, Gate } from './explanation.js'

/** @param now milliseconds since the epoch @see RFC 9449 section 4 */
export async function explainProof(jwt: DecodedJwt, now: number): Promise<Explanation> {
  const { htm, htu, iat, ath, nonce } = jwt.claims
  const age = typeof iat === 'number' ? Math.round(now / 1000 - iat) : undefined
  const gate = await judge(jwt, now)
  return {
    kind: 'dpop-proof',
    summary: `A DPoP proof for ${text(htm)} ${text(htu)}. It is good for that one request and no token by itself.`,
    facts: [
      ['method (htm)', text(htm)],
      ['URL (htu)', text(htu)],
      ...(age === undefined ? [] : [['signed (iat)', `${age} seconds ago`] as const]),
      ['for an access token (ath)', ath === undefined ? 'no: for the token endpoint' : text(ath)],
      ...(nonce === undefined ? [] : [['nonce', text(nonce)] as const]),
      ...keyFact(jwt),
    ],
    gate,
    remedies: gate.because.some((line) => line.includes("'iat'"))
      ? ['Compare the clocks of client and server. Each request needs a proof of its own.']
      : [],
  }
}

async function judge(jwt: DecodedJwt, now: number): Promise<Gate> {
  const { htm, htu } = jwt.claims
  try {
    const proof = readProof(jwt.token)
    checkProofClaims(proof, { method: text(htm), url: text(htu), now })
    await verifyProofSignature(proof, await importProofKey(proof))
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    return { admits: 'no', because: [error.description] }
  }
  return {
    admits: 'unknown',
    because: [
      'Its form, time and signature are good. Whether method, URL and token are those of the request, and whether it was used before, only the server knows.',
    ],
  }
}

function keyFact(jwt: DecodedJwt): readonly (readonly [string, string])[] {
  try {
    return [['key (jkt)', readProof(jwt.token).jkt]]
  } catch {
    return []
  }
}

function text(value: unknown): string {
  const written = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing')
  return written.slice(0, 300)
}
