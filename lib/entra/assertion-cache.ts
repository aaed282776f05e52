/** Client assertions, kept inside their own life: minting one costs a signature or a request. */
import { parseJws } from '../crypto/jws.js'
import type { ClientCredential, CredentialContext } from './credentials.js'

/** How assertions are kept. */
export interface AssertionCacheOptions {
  /** Whose assertions are interchangeable. Default: all for one token endpoint. */
  readonly keyOf?: (context: CredentialContext) => string
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined
}

interface Kept {
  readonly assertion: string
  /** Milliseconds since the epoch. */
  readonly renewAt: number
  readonly expiresAt: number
}

/** Longest time before its end that an assertion is replaced, in milliseconds. */
const longestMargin = 60_000
/** Tenants whose assertions are kept, where every tenant needs its own. */
const mostKept = 1000

/**
 * A credential that mints an assertion when the one at hand nears its end or was rejected: once for all who
 * wait. What is no JWT with an `exp` is not kept.
 */
export function cachedAssertion(
  mint: (context: CredentialContext) => string | Promise<string>,
  options: AssertionCacheOptions = {},
): ClientCredential {
  const { keyOf = ({ tokenEndpoint }) => tokenEndpoint, now = Date.now } = options
  const kept = new Map<string, Kept>()
  const flights = new Map<string, Promise<string>>()

  async function renewed(key: string, context: CredentialContext): Promise<string> {
    const assertion = await mint(context)
    keep(key, assertion)
    return assertion
  }

  function keep(key: string, assertion: string): void {
    kept.delete(key)
    const exp = parseJws(assertion)?.claims.exp
    if (typeof exp !== 'number') return
    const expiresAt = exp * 1000
    const margin = Math.min(longestMargin, (expiresAt - now()) / 10)
    kept.set(key, { assertion, renewAt: expiresAt - margin, expiresAt })
    const oldest = kept.keys().next().value
    if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest)
  }

  function flightOf(key: string, context: CredentialContext): Promise<string> {
    const known = flights.get(key)
    if (known) return known
    const flight = renewed(key, context).finally(() => flights.delete(key))
    flights.set(key, flight)
    return flight
  }

  return async function assertionCredential(context) {
    const key = keyOf(context)
    const entry = kept.get(key)
    const usable = entry !== undefined && entry.assertion !== context.rejected
    if (usable && now() < entry.renewAt) return { assertion: entry.assertion }
    try {
      return { assertion: await flightOf(key, context) }
    } catch (error) {
      // It could be had no earlier than it had to be: until its end the old one does.
      if (usable && now() < entry.expiresAt) return { assertion: entry.assertion }
      throw error
    }
  }
}
