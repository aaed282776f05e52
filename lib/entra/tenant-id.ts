/** The tenant id behind a domain name: tokens name tenants by id only. */
import { type EntraAuthority, isGuid } from './authority.js'
import { type Discovery, discovery } from './discovery.js'

/**
 * Makes a function that returns the authority's tenant id. A domain name is looked up in the discovery document.
 *
 * @throws UpstreamOutage (the function it returns, as a rejection) when the discovery document cannot be fetched
 */
export function tenantIdOf(
  authority: EntraAuthority,
  discover: Discovery = discovery(authority),
): () => Promise<string> {
  const { tenantId } = authority
  return async () => (isGuid(tenantId) ? tenantId : (await discover()).tid)
}
