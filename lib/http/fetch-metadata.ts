/** Fetch Metadata: what a browser says about how a request came to be. */
import type { IncomingHttpHeaders } from 'node:http'

/**
 * Whether a user went here: the browser says that it opens this page in a tab, and either that the user started it (a
 * click, even on another site), or that it comes from this site or from no site at all (the address bar, a bookmark,
 * another program). A script, an image or a frame of another site cannot bring that about on its own. False for a
 * browser that does not say, and for a page that is loaded before anybody wants to see it.
 *
 * @see https://www.w3.org/TR/fetch-metadata/
 */
export function isUserNavigation(headers: IncomingHttpHeaders): boolean {
  if (headers['sec-fetch-mode'] !== 'navigate') return false
  if (headers['sec-fetch-dest'] !== 'document') return false
  if (headers['sec-purpose'] !== undefined || headers.purpose !== undefined) return false
  switch (headers['sec-fetch-site']) {
    case 'none':
    case 'same-origin':
    case 'same-site':
      return true
    case 'cross-site':
      return headers['sec-fetch-user'] === '?1'
    default:
      return false
  }
}
