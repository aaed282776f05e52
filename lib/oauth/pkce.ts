/** Proof Key for Code Exchange, S256 only. */
import { createHash } from 'node:crypto'
import { constantTimeEqual } from '../crypto/hashing.js'

/** Whether the value is 43 characters of base64url, as a SHA-256 is. @see RFC 7636 section 4.2 */
export function isCodeChallenge(value: string): boolean {
  return /^[A-Za-z0-9_-]{43}$/.test(value)
}

/** Whether the value is 43 to 128 unreserved characters. @see RFC 7636 section 4.1 */
export function isCodeVerifier(value: string): boolean {
  return /^[A-Za-z0-9._~-]{43,128}$/.test(value)
}

/** The S256 challenge of a verifier. */
export function codeChallenge(verifier: string): string {
  return createHash('sha256').update(verifier).digest('base64url')
}

/** Whether the challenge was made from this verifier. @see RFC 7636 section 4.6 */
export function verifierMatches(verifier: string, challenge: string): boolean {
  return isCodeVerifier(verifier) && constantTimeEqual(codeChallenge(verifier), challenge)
}
