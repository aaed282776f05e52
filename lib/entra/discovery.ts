/** What only Entra's discovery document says: the tenant id behind a name, the issuer behind a custom domain. */
import { monotonicNow } from '../async/monotonic-now.js'
import { singleFlight } from '../async/single-flight.js'
import { type EntraAuthority, isGuid } from './authority.js'
import { backOff } from './back-off.js'
import { UpstreamOutage } from './errors.js'
import { fetchUpstream } from './http-client.js'
import { jsonObject } from './json-object.js'

/** What the document of one tenant says. */
export interface Discovered {
  readonly issuer: string
  /** The tenant id, in lower case. */
  readonly tid: string
}

/** @throws UpstreamOutage when the document cannot be fetched, or names no tenant */
export type Discovery = () => Promise<Discovered>

/**
 * Makes a function that fetches the document on first use, once for all who wait, and keeps it for good: a domain
 * does not move to another tenant while a server runs.
 *
 * @param now milliseconds on a clock that only goes forward
 * @see OpenID Connect Discovery 1.0, section 4
 */
export function discovery(authority: EntraAuthority, now = monotonicNow): Discovery {
  const uri = authority.openidConfiguration
  const retry = backOff()
  const flights = singleFlight<Discovered>()
  let known: Discovered | undefined

  async function fetchOnce(): Promise<Discovered> {
    try {
      known = await fetchDocument(uri)
      return known
    } catch (error) {
      retry.failed(now(), error)
      throw error
    }
  }

  return async function discover() {
    if (known !== undefined) return known
    const retryAfter = flights.has(uri) ? undefined : retry.wait(now())
    if (retryAfter !== undefined) {
      throw new UpstreamOutage('the tenant id cannot be fetched', { retryAfter })
    }
    return flights.run(uri, fetchOnce)
  }
}

/** The tenant that an issuer names. B2C may write `tfp` before it. */
export function tenantOfIssuer(issuer: string): string | undefined {
  if (!URL.canParse(issuer)) return undefined
  const [first, second] = new URL(issuer).pathname.split('/').slice(1)
  const segment = first === 'tfp' ? second : first
  return isGuid(segment) ? segment.toLowerCase() : undefined
}

async function fetchDocument(uri: string): Promise<Discovered> {
  const { status, body, retryAfter } = await fetchUpstream(uri, { method: 'GET', timeout: 5 })
  const discovered = status === 200 ? readDocument(body) : undefined
  if (discovered !== undefined) return discovered
  throw new UpstreamOutage(`the discovery document names no tenant: HTTP ${status}`, {
    status,
    retryAfter,
    hint: 'Check tenantId, or give the Directory (tenant) ID instead of a domain name.',
  })
}

function readDocument(body: string): Discovered | undefined {
  const { issuer } = jsonObject(body)
  if (typeof issuer !== 'string') return undefined
  const tid = tenantOfIssuer(issuer)
  return tid === undefined ? undefined : { issuer, tid }
}
