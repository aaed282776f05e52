/** The tenant id behind a domain name: tokens name tenants by id only. */
import { monotonicNow } from '../async/monotonic-now.js'
import { type EntraAuthority, isGuid } from './authority.js'
import { type Discovery, discovery } from './discovery.js'

/**
 * Makes a function that tells the authority's tenant id: a GUID at once, a domain name as discovered.
 *
 * @param now milliseconds on a clock that only goes forward
 * @throws UpstreamOutage (the function, as a rejection) when Entra does not tell
 */
export function tenantIdOf(
  authority: EntraAuthority,
  now: () => number = monotonicNow,
  discovered: Discovery = discovery(authority, now),
): () => string | Promise<string> {
  const { tenantId } = authority
  if (isGuid(tenantId)) return () => tenantId
  return () => {
    const found = discovered()
    return found instanceof Promise ? found.then(({ tid }) => tid) : found.tid
  }
}
