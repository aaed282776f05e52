/**
 * JWS compact serialization on `node:crypto`: a gate sees a token on every request, and `crypto.verify` with a
 * key at hand costs less than half of what WebCrypto does. It runs in the thread pool, so that a flood of bad
 * signatures leaves the event loop free.
 */
import { type KeyObject, sign, verify } from 'node:crypto'

/** The algorithms we ever accept: RS256 from Entra, ES256 from ourselves. */
export type JwsAlgorithm = 'RS256' | 'ES256'

/** A JWS taken apart. Nothing in it is to be believed before {@link verifyJws} said yes. */
export interface ParsedJws {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
  readonly signingInput: Buffer
  readonly signature: Buffer
}

const compactForm = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/

/**
 * Takes a compact JWS with a JSON payload apart.
 *
 * @returns undefined for anything that is not three base64url parts, the first two JSON objects, and for a signature
 *   in another spelling than an encoder's (RFC 4648 section 3.5): a token is to have one text only
 * @see RFC 7515 section 5.2
 */
export function parseJws(token: string): ParsedJws | undefined {
  if (!compactForm.test(token)) return undefined
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  const header = jsonObject(token.slice(0, first))
  const claims = header && jsonObject(token.slice(first + 1, second))
  const signature = Buffer.from(token.slice(second + 1), 'base64url')
  if (!header || !claims || !token.endsWith(`.${signature.toString('base64url')}`)) return undefined
  return {
    header,
    claims,
    signingInput: Buffer.from(token.slice(0, second), 'latin1'),
    signature,
  }
}

/** Whether the signature is the key's. The algorithm is the caller's choice, never the header's. */
export function verifyJws(
  jws: ParsedJws,
  algorithm: JwsAlgorithm,
  key: KeyObject,
): Promise<boolean> {
  const input = algorithm === 'ES256' ? { key, dsaEncoding: 'ieee-p1363' as const } : key
  return new Promise((resolve, reject) => {
    verify('sha256', jws.signingInput, input, jws.signature, (error, good) =>
      error ? reject(error) : resolve(good),
    )
  })
}

/** Signs claims as a compact ES256 JWS. @see RFC 7518 section 3.4 */
export function signEs256(
  header: Readonly<Record<string, unknown>>,
  claims: Readonly<Record<string, unknown>>,
  key: KeyObject,
): string {
  const input = `${encode({ ...header, alg: 'ES256' })}.${encode(claims)}`
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function jsonObject(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
