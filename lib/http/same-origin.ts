/** A second defence of our forms, beside the secret that each of them carries: browsers say who sent a request. */
import type { IncomingMessage } from 'node:http'
import { OAuthError } from '../oauth/errors.js'

/**
 * Checks that no other site has sent a form. `Sec-Fetch-Site` decides, and `Origin` only for browsers that do not know
 * it. Who sends neither is let pass: the form's secret still has to be right. So is the origin `null`, which our own
 * pages have, because they keep their address from referrers.
 *
 * @param origin our own
 * @throws OAuthError `access_denied`
 * @see https://www.w3.org/TR/fetch-metadata/, https://fetch.spec.whatwg.org/#append-a-request-origin-header
 */
export function checkSameOrigin({ headers }: IncomingMessage, origin: string): void {
  const { 'sec-fetch-site': site, origin: sender = 'null' } = headers
  const isOwn =
    site === undefined
      ? sender === 'null' || sender === origin
      : site === 'same-origin' || site === 'none'
  if (isOwn) return
  throw new OAuthError('access_denied', 'The form was sent from another site.', {
    situation: 'fromAnotherSite',
  })
}
