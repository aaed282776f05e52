/** Signs and reads JWTs, including malformed ones. The emulator does not share this with the code it tests. */
import { createHash, createHmac, sign, verify } from 'node:crypto'
import type { SigningKey } from './signing-keys.js'

/** A JSON object: the header or the claims of a token. */
export type JsonObject = Readonly<Record<string, unknown>>

/** A decoded token whose signature has not been checked. */
export interface ReadJwt {
  readonly header: JsonObject
  readonly claims: JsonObject
  readonly token: string
}

/** Signs with RSA SHA-256, whatever algorithm the header names. */
export function signJwt(header: JsonObject, claims: JsonObject, key: SigningKey): string {
  const payload = encode(claims)
  const signature = sign(
    'sha256',
    Buffer.from(`${signedHeader(header)}.${payload}`),
    key.privateKey,
  )
  return `${encode(header)}.${payload}.${signature.toString('base64url')}`
}

/** Signs with HMAC SHA-256 under the public key's PEM: the classic confusion of algorithms. */
export function signWithPublicKey(header: JsonObject, claims: JsonObject, key: SigningKey): string {
  const input = `${encode(header)}.${encode(claims)}`
  const pem = key.publicKey.export({ type: 'spki', format: 'pem' })
  return `${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`
}

/** A token without a signature. */
export function unsigned(header: JsonObject, claims: JsonObject): string {
  return `${encode(header)}.${encode(claims)}.`
}

/** Decodes a token; undefined when it is not a JWT. */
export function readJwt(token: string): ReadJwt | undefined {
  const [first = '', second = '', ...rest] = token.split('.')
  const header = decode(first)
  const claims = decode(second)
  return header && claims && rest.length === 1 ? { header, claims, token } : undefined
}

/** Whether one of the keys has signed the token, under its own id. */
export function hasValidSignature(
  { header, token }: ReadJwt,
  keys: readonly SigningKey[],
): boolean {
  const key = keys.find(({ kid }) => kid === header.kid)
  if (!key || header.alg !== 'RS256') return false
  const [first = '', payload = '', signature = ''] = token.split('.')
  const input = `${header.nonce === undefined ? first : signedHeader(header)}.${payload}`
  return verify('sha256', Buffer.from(input), key.publicKey, Buffer.from(signature, 'base64url'))
}

/** Graph's tokens are signed over the hash of the nonce in their header, so that only Graph can verify them. */
function signedHeader(header: JsonObject): string {
  if (typeof header.nonce !== 'string') return encode(header)
  return encode({ ...header, nonce: createHash('sha256').update(header.nonce).digest('base64url') })
}

function encode(part: JsonObject): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}

function decode(part: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : undefined
  } catch {
    return undefined
  }
}
