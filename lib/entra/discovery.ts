/** What only Entra's discovery document tells: the tenant id behind a name, the issuer behind a custom domain. */
import { monotonicNow } from '../async/monotonic-now.js'
import { type EntraAuthority, isGuid } from './authority.js'
import { backOff } from './back-off.js'
import { UpstreamOutage } from './errors.js'
import { fetchUpstream } from './http-client.js'

/** What the document of one tenant says. */
export interface Discovered {
  readonly issuer: string
  /** The tenant id, in lower case. */
  readonly tid: string
}

/** At once when it is known. @throws UpstreamOutage (as a rejection) when Entra does not tell */
export type Discovery = () => Discovered | Promise<Discovered>

/**
 * Makes a function that asks Entra on first use, once for all who wait, and keeps the answer for good: a
 * domain does not change tenants under a running server.
 *
 * @param now milliseconds on a clock that only goes forward
 * @see OpenID Connect Discovery 1.0, section 4
 */
export function discovery(authority: EntraAuthority, now: () => number = monotonicNow): Discovery {
  const retry = backOff()
  let known: Discovered | undefined
  let flight: Promise<Discovered> | undefined

  async function ask(): Promise<Discovered> {
    try {
      known = await fetchDocument(authority.openidConfiguration)
      return known
    } catch (error) {
      retry.failed(now(), error)
      throw error
    }
  }

  return function discovered() {
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

/** The tenant an issuer names: B2C may write `tfp` before it. */
export function tenantOfIssuer(issuer: string): string | undefined {
  if (!URL.canParse(issuer)) return undefined
  const [first, second] = new URL(issuer).pathname.split('/').slice(1)
  const segment = first === 'tfp' ? second : first
  return isGuid(segment) ? segment.toLowerCase() : undefined
}

async function fetchDocument(uri: string): Promise<Discovered> {
  const { status, body, retryAfter } = await fetchUpstream(uri, { method: 'GET', timeout: 5 })
  const found = status === 200 ? read(body) : undefined
  if (found !== undefined) return found
  throw new UpstreamOutage(`the discovery document names no tenant: HTTP ${status}`, {
    status,
    retryAfter,
    hint: 'Check tenantId, or give the Directory (tenant) ID instead of a domain name.',
  })
}

function read(body: string): Discovered | undefined {
  try {
    const { issuer } = Object(JSON.parse(body)) as { issuer?: unknown }
    const tid = typeof issuer === 'string' ? tenantOfIssuer(issuer) : undefined
    return typeof issuer === 'string' && tid !== undefined ? { issuer, tid } : undefined
  } catch {
    return undefined
  }
}
