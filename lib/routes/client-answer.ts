/** Answers to a client through the user's browser: its redirect URI with `state` and `iss`. */
import type { OAuthError } from '../oauth/errors.js'
import { withParams } from '../oauth/redirect-uri.js'

/** Where an answer goes. */
export interface ClientAddress {
  readonly redirectUri: string
  readonly state?: string | undefined
}

/** @see RFC 6749 section 4.1.2, RFC 9207 section 2 */
export function codeAnswer(
  { redirectUri, state }: ClientAddress,
  code: string,
  iss: string,
): string {
  return withParams(redirectUri, { code, state, iss })
}

/** @see RFC 6749 section 4.1.2.1, RFC 9207 section 2 */
export function errorAnswer(
  { redirectUri, state }: ClientAddress,
  error: OAuthError,
  iss: string,
): string {
  const { error: code, error_description } = error.toBody()
  return withParams(redirectUri, { error: code, error_description, state, iss })
}
