/**
 * The public keys of clients that sign. A key set comes from a stranger and stays in memory, so only a few of its keys
 * are kept, only if an assertion can be verified with them at a bounded cost, and only the members that we know.
 */
import { OAuthError } from './errors.js'

/** Algorithms with which a client may sign its assertions. @see RFC 7523 section 5 */
export const assertionAlgorithms = ['RS256', 'ES256', 'EdDSA'] as const

/** One of {@link assertionAlgorithms}. */
export type AssertionAlgorithm = (typeof assertionAlgorithms)[number]

/** A public key, with the members we know. @see RFC 7517 section 4, RFC 7518 section 6, RFC 8037 section 2 */
export interface ClientKey {
  readonly kty: 'RSA' | 'EC' | 'OKP'
  readonly kid?: string
  readonly use?: 'sig'
  readonly alg?: AssertionAlgorithm
  readonly crv?: string
  readonly x?: string
  readonly y?: string
  readonly n?: string
  readonly e?: string
}

/** The usable keys of a JWK Set. */
export interface ClientKeySet {
  readonly keys: readonly ClientKey[]
}

/** How many keys of a set are kept: the first usable ones. */
export const mostClientKeys = 8
const longestKid = 256
/** Bits of an RSA modulus. The cost of verifying a signature grows with their square. */
const fewestBits = 2048
const mostBits = 4096

const algorithmByType = { RSA: 'RS256', EC: 'ES256', OKP: 'EdDSA' } as const

/** The algorithm of a key: each type has one here. */
export function algorithmOf({ kty }: ClientKey): AssertionAlgorithm {
  return algorithmByType[kty]
}

/**
 * Reads a JWK Set. Keys of other types, for other purposes or of unusual size are left out.
 *
 * @throws OAuthError `invalid_client` when it is not a JWK Set
 * @see RFC 7517 section 5
 */
export function readKeySet(jwks: unknown): ClientKeySet {
  const keys = readUsableKeys(jwks, mostClientKeys)
  if (keys) return { keys }
  throw new OAuthError('invalid_client', "The client's document has a key set without 'keys'.")
}

/**
 * The first usable keys of a JWK Set, whoever it belongs to. Undefined when it is not one.
 *
 * @param most how many to keep
 */
export function readUsableKeys(jwks: unknown, most: number): readonly ClientKey[] | undefined {
  const { keys } = Object(jwks) as { keys?: unknown }
  if (!Array.isArray(keys)) return undefined
  const usable: ClientKey[] = []
  for (const jwk of keys) {
    const key = readKey(jwk)
    if (key) usable.push(key)
    if (usable.length === most) break
  }
  return usable
}

function readKey(jwk: unknown): ClientKey | undefined {
  const given = Object(jwk) as Record<string, unknown>
  const material = readKeyMaterial(given)
  const { kid, use, alg, key_ops: operations } = given
  if (!material || (use !== undefined && use !== 'sig')) return undefined
  if (alg !== undefined && alg !== algorithmOf(material)) return undefined
  if (Array.isArray(operations) && !operations.includes('verify')) return undefined
  if (kid !== undefined && !(typeof kid === 'string' && kid.length <= longestKid)) return undefined
  // A private key that everybody can read proves nothing.
  if (given.d !== undefined) return undefined
  return {
    ...material,
    ...(kid !== undefined && { kid }),
    ...(use !== undefined && { use }),
    ...(alg !== undefined && { alg: algorithmOf(material) }),
  }
}

/** The key itself, if it is one that {@link assertionAlgorithms} can use. */
export function readKeyMaterial({
  kty,
  crv,
  x,
  y,
  n,
  e,
}: Readonly<Record<string, unknown>>): ClientKey | undefined {
  if (kty === 'RSA') {
    // Every other exponent is slower or weaker, and is not used in practice.
    return e === 'AQAB' && isModulus(n) ? { kty, n, e } : undefined
  }
  if (!is32Bytes(x)) return undefined
  if (kty === 'OKP' && crv === 'Ed25519') return { kty, crv, x }
  return kty === 'EC' && crv === 'P-256' && is32Bytes(y) ? { kty, crv, x, y } : undefined
}

function isModulus(n: unknown): n is string {
  // 684 characters hold 4096 bits and the zero byte that some libraries put before them.
  if (typeof n !== 'string' || !/^[A-Za-z0-9_-]{342,684}$/.test(n)) return false
  const bytes = Buffer.from(n, 'base64url')
  const first = bytes.findIndex((byte) => byte !== 0)
  const bits = (bytes.length - first) * 8 - Math.clz32(bytes[first] ?? 0) + 24
  return first >= 0 && bits >= fewestBits && bits <= mostBits
}

function is32Bytes(text: unknown): text is string {
  return typeof text === 'string' && /^[A-Za-z0-9_-]{43}$/.test(text)
}
