/** Client ids that are URLs: the client describes itself in a document there. */
import { OAuthError } from './errors.js'
import { hasDotSegment } from './redirect-uri.js'

const longest = 2048

/** Whether a client id is meant to be the URL of a Client ID Metadata Document. */
export function isClientIdUrl(id: string): boolean {
  return /^https?:/i.test(id)
}

/** The host of the document that a client id names. Undefined for a client id of another kind. */
export function documentHostOf(id: string): string | undefined {
  return isClientIdUrl(id) && URL.canParse(id) ? new URL(id).host : undefined
}

/**
 * Checks a client id that is a URL. It is refused unless the URL parser would write it the same way, so that the host
 * that is checked, fetched and shown to the user is the one in the text.
 *
 * @throws OAuthError `invalid_client` that says what is wrong
 * @see draft-ietf-oauth-client-id-metadata-document-00 section 3
 */
export function readClientIdUrl(id: string): URL {
  if (id.length > longest) throw refusal(`is longer than ${longest} characters`)
  if (!id.startsWith('https://')) throw refusal('is not https')
  if (!URL.canParse(id)) throw refusal('is not a URL')
  const url = new URL(id)
  if (id.includes('#')) throw refusal('has a fragment')
  if (/^https:\/\/[^/?]*@/.test(id)) throw refusal('has userinfo')
  if (hasDotSegment(id)) throw refusal('has a dot segment in its path')
  if (url.pathname === '/') throw refusal('has no path')
  if (url.href !== id) throw refusal('is not in its normal form')
  return url
}

function refusal(why: string): OAuthError {
  return new OAuthError('invalid_client', `The client_id ${why}.`)
}
