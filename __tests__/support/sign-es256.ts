/** Signs JWTs with any header and claims, including those that a library would refuse to write. */
import { type KeyObject, sign } from 'node:crypto'

/** @see RFC 7518 section 3.4 */
export function signEs256(header: object, claims: object, key: KeyObject): string {
  const input = `${encode({ ...header, alg: 'ES256' })}.${encode(claims)}`
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
