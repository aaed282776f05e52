/** Answers that reach the client through the user's browser: its redirect URI with `state` and `iss`. */
import type { OAuthError } from '../oauth/errors.js'
import { staysOnDevice, withParams } from '../oauth/redirect-uri.js'
import type { Client } from '../tokens/clients.js'

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

/**
 * Whether an error may redirect the browser before its user has done anything. Anybody can register a client or
 * publish a document, so a redirect to another site is only for clients that the operator set up or listed. A
 * redirect that stays on the device is always fine: it cannot send the user to a stranger's site.
 *
 * @see RFC 9700 section 4.11.2
 */
export function mayRedirectUnasked({ identity }: Client, redirectUri: string): boolean {
  if (staysOnDevice(redirectUri) || identity?.by === 'operator') return true
  return identity?.by === 'document' && identity.listed
}
