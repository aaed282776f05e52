/** `GET /jwks`: the public keys of our access tokens. */
import type { ProxyContext } from './context.js'

/** @see RFC 7517 section 5 */
export function jwks({ ring }: Pick<ProxyContext, 'ring'>) {
  return { keys: ring.all.map(({ signing }) => signing.jwk) }
}
