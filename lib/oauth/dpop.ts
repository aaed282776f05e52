/**
 * DPoP proofs: with each request its sender signs what it asks for, and so shows that it holds the key that its token
 * is bound to. A token that is stolen without the key is useless.
 */

import { compactVerify, errors, importJWK } from 'jose'
import { type DecodedJwt, decodeJwt } from '../crypto/decode-jwt.js'
import { sha256 } from '../crypto/hashing.js'
import {
  type AssertionAlgorithm,
  algorithmOf,
  type ClientKey,
  readKeyMaterial,
} from './client-keys.js'
import { OAuthError } from './errors.js'
import { originForm } from './request-target.js'
import { hasUserinfo } from './userinfo.js'

/** Algorithms with which a proof may be signed, best first. @see RFC 9449 section 5.1 */
export const proofAlgorithms: readonly AssertionAlgorithm[] = ['ES256', 'EdDSA', 'RS256']

/** The proof of a request, read but not verified. */
export interface ProofInHand {
  readonly jwt: DecodedJwt
  readonly key: ClientKey
  /** Names the key. @see RFC 7638 */
  readonly jkt: string
}

/** What a proof has to be for. */
export interface ProvenRequest {
  readonly method: string
  /** Its URL as clients know it, without query and fragment. */
  readonly url: string
  /** The access token that comes along with it. */
  readonly accessToken?: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** What a proof says that has to be looked at once more. */
export interface ProofClaims {
  readonly jti: string
  /** Seconds since the epoch. */
  readonly iat: number
  readonly nonce: string | undefined
}

/** A key that can verify signatures. */
export type ProofKey = Awaited<ReturnType<typeof importJWK>>

/** Seconds by which the clocks of client and server may differ. @see MCP SEP-1932 */
export const proofWindow = 300

const longestProof = 8192
/** Members of a JWK that nobody but its owner may know. @see RFC 7518 section 6 */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/**
 * Reads the value of a `DPoP` header.
 *
 * @throws OAuthError `invalid_dpop_proof`
 * @see RFC 9449 section 4.3, checks 1, 2, 4, 5 and 7
 */
export function readProof(header: string): ProofInHand {
  if (header.includes(',')) throw refusal('There is more than one DPoP proof.')
  const jwt = header.length <= longestProof ? decodeJwt(header) : undefined
  if (!jwt) throw refusal('The DPoP proof is not a signed JWT.')
  const { typ, alg, jwk, crit } = jwt.header
  if (typ !== 'dpop+jwt') throw refusal("The DPoP proof has another 'typ' than dpop+jwt.")
  if (crit !== undefined) throw refusal("The DPoP proof has a 'crit' header.")
  const key = readProofKey(jwk)
  if (alg !== algorithmOf(key)) {
    throw refusal(`The DPoP proof must be signed with ${proofAlgorithms.join(', ')}, by its key.`)
  }
  return { jwt, key, jkt: thumbprint(key) }
}

function readProofKey(jwk: unknown): ClientKey {
  const given = Object(jwk) as Record<string, unknown>
  if (privateMembers.some((name) => given[name] !== undefined)) {
    throw refusal('The DPoP proof shows a private key.')
  }
  const key = readKeyMaterial(given)
  if (key) return key
  throw refusal("The DPoP proof has no 'jwk' of P-256, Ed25519, or RSA of 2048 to 4096 bits.")
}

/** @see RFC 7638 section 3.2, RFC 8037 section 2: the required members only, in lexical order */
function thumbprint({ kty, crv, x, y, n, e }: ClientKey): string {
  const members = { EC: { crv, kty, x, y }, OKP: { crv, kty, x }, RSA: { e, kty, n } }[kty]
  return sha256(JSON.stringify(members))
}

/**
 * Checks what a proof says. Its signature is for {@link verifyProofSignature}, and that nobody has used it before is
 * for the caller.
 *
 * @throws OAuthError `invalid_dpop_proof`
 * @see RFC 9449 section 4.3, checks 3, 8, 9, 11 and 12
 */
export function checkProofClaims({ jwt }: ProofInHand, request: ProvenRequest): ProofClaims {
  const { htm, htu, iat, jti, ath, nonce } = jwt.claims
  if (typeof jti !== 'string' || jti === '') throw refusal("The DPoP proof has no 'jti'.")
  if (htm !== request.method) throw refusal("The DPoP proof is for another method ('htm').")
  if (typeof htu !== 'string' || !isSameTarget(htu, request.url)) {
    throw refusal(`The DPoP proof is for another URL ('htu') than ${request.url}.`)
  }
  const now = Math.floor(request.now / 1000)
  if (typeof iat !== 'number' || !(Math.abs(iat - now) <= proofWindow)) {
    throw refusal(`The DPoP proof must have an 'iat' within ${proofWindow} seconds of now.`)
  }
  if (request.accessToken !== undefined && ath !== sha256(request.accessToken)) {
    throw refusal("The DPoP proof is for another access token ('ath').")
  }
  return { jti, iat, nonce: typeof nonce === 'string' ? nonce : undefined }
}

/** The key of a proof, ready for use. @throws OAuthError `invalid_dpop_proof` for a point that is not on its curve */
export async function importProofKey({ key }: Pick<ProofInHand, 'key'>): Promise<ProofKey> {
  try {
    return await importJWK({ ...key }, algorithmOf(key))
  } catch (cause) {
    throw refusal("The DPoP proof has a 'jwk' that is no key.", cause)
  }
}

/** @throws OAuthError `invalid_dpop_proof` @see RFC 9449 section 4.3, check 6 */
export async function verifyProofSignature(
  { jwt, key }: ProofInHand,
  proofKey: ProofKey,
): Promise<void> {
  try {
    await compactVerify(jwt.token, proofKey, { algorithms: [algorithmOf(key)] })
  } catch (cause) {
    if (!(cause instanceof errors.JOSEError)) throw cause
    throw refusal('The DPoP proof has a bad signature.', cause)
  }
}

/** Whether a text can be the thumbprint of a key: `dpop_jkt`, `cnf.jkt`. */
export function isThumbprint(text: unknown): text is string {
  return typeof text === 'string' && /^[A-Za-z0-9_-]{43}$/.test(text)
}

/**
 * The URL of a request as clients know it: the Host header, which anybody can write, has no part in it.
 *
 * @param requestUrl path and query, as they came
 */
export function targetUri(baseUrl: string, requestUrl: string): string {
  const { origin, pathname } = new URL(baseUrl)
  const [asked = ''] = originForm(requestUrl).split(/[?#]/, 1)
  // Anything else could change the host.
  const path = asked.startsWith('/') ? asked : '/'
  const isWhole = pathname === '/' || path === pathname || path.startsWith(`${pathname}/`)
  return (isWhole ? origin : baseUrl) + path
}

/** @see RFC 9449 section 4.3: query and fragment are ignored, and spellings of the same URL are equal */
function isSameTarget(htu: string, url: string): boolean {
  return htu === url || (URL.canParse(htu) && normalize(htu) === normalize(url))
}

/** @see RFC 3986 sections 6.2.2 and 6.2.3 */
function normalize(text: string): string | undefined {
  const url = new URL(text)
  if (hasUserinfo(url)) return undefined
  const path = url.pathname.replace(/%[0-9a-f]{2}/gi, (triplet) => {
    const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16))
    return /[A-Za-z0-9._~-]/.test(character) ? character : triplet.toUpperCase()
  })
  return url.origin + path
}

function refusal(description: string, cause?: unknown): OAuthError {
  return new OAuthError('invalid_dpop_proof', description, { cause })
}
