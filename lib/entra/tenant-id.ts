/** The tenant id behind a domain name: tokens name tenants by id only. */
import { type EntraAuthority, isGuid } from './authority.js'
import { backOff } from './back-off.js'
import { UpstreamOutage } from './errors.js'
import { fetchUpstream } from './http-client.js'

/**
 * Makes a function that tells the authority's tenant id. It asks Entra on first use, once for all who wait,
 * and keeps the answer for good: a domain does not change tenants under a running server.
 *
 * @throws UpstreamOutage (the function, as a rejection) when Entra does not tell
 */
export function tenantIdOf(
  authority: EntraAuthority,
  now: () => number = Date.now,
): () => string | Promise<string> {
  const retry = backOff()
  let known = isGuid(authority.tenantId) ? authority.tenantId : undefined
  let flight: Promise<string> | undefined

  async function ask(): Promise<string> {
    try {
      known = await fetchTenantId(authority.openidConfiguration)
      return known
    } catch (error) {
      retry.failed(now(), error)
      throw error
    }
  }

  return function tenantId() {
    if (known !== undefined) return known
    const retryAfter = flight ? undefined : retry.wait(now())
    if (retryAfter !== undefined) {
      return Promise.reject(new UpstreamOutage('the tenant id cannot be fetched', { retryAfter }))
    }
    flight ??= ask().finally(() => {
      flight = undefined
    })
    return flight
  }
}

/** The issuer of the discovery document has the tenant id for its first path segment. */
async function fetchTenantId(uri: string): Promise<string> {
  const { status, body, retryAfter } = await fetchUpstream(uri, { method: 'GET', timeout: 5 })
  const found = status === 200 ? tenantIn(body) : undefined
  if (found !== undefined) return found
  throw new UpstreamOutage(`the discovery document names no tenant: HTTP ${status}`, {
    status,
    retryAfter,
    hint: 'Check tenantId, or give the Directory (tenant) ID instead of a domain name.',
  })
}

function tenantIn(body: string): string | undefined {
  try {
    const { issuer } = Object(JSON.parse(body)) as { issuer?: unknown }
    const segment = new URL(String(issuer)).pathname.split('/')[1]
    return isGuid(segment) ? segment.toLowerCase() : undefined
  } catch {
    return undefined
  }
}
