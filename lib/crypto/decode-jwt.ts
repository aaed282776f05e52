/**
 * Reading a JWT before its signature is checked: enough to choose the key, and to refuse cheaply what cannot be
 * good. Signatures are checked by `jwtVerify` of `jose`.
 */
import { decodeJwt as decodeClaims, decodeProtectedHeader } from 'jose'

/** A JWT whose signature has not been checked. Refuse by it, and admit only by what `jwtVerify` returns. */
export interface DecodedJwt {
  readonly token: string
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

const compactForm = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*$/

/**
 * Decodes a compact JWS with a JSON payload.
 *
 * @returns undefined for anything but three base64url parts of which the first two are JSON objects. The unused bits
 *   at the end of the signature must be zero, so that a token is valid in one spelling only.
 * @see RFC 7515 section 5.2, RFC 4648 section 3.5
 */
export function decodeJwt(token: string): DecodedJwt | undefined {
  if (!compactForm.test(token) || !isCanonical(token.slice(token.lastIndexOf('.') + 1))) {
    return undefined
  }
  try {
    return { token, header: decodeProtectedHeader(token), claims: decodeClaims(token) }
  } catch {
    return undefined
  }
}

function isCanonical(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('base64url') === part
}
