/** Client assertions, cached until shortly before they expire: each costs a signature or a request. */
import { withinDeadline } from '../async/deadline.js'
import { singleFlight } from '../async/single-flight.js'
import { decodeJwt } from '../crypto/decode-jwt.js'
import type { ClientCredential, CredentialContext } from './credentials.js'
import { UpstreamOutage } from './errors.js'

/** How assertions are kept. */
export interface AssertionCacheOptions {
  /** Whose assertions are interchangeable. Default: all for one token endpoint. */
  readonly keyOf?: (context: CredentialContext) => string
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined
}

/** An assertion with its times, in milliseconds since the epoch. */
export interface TimedAssertion {
  readonly assertion: string
  /** Default: unknown, and the assertion is not cached. */
  readonly expiresAt?: number | undefined
  /** When a new one should be fetched. Default: shortly before `expiresAt`. */
  readonly renewAt?: number | undefined
}

/** Makes an assertion; a mere text is a JWT that tells by itself when it expires. */
export type MintAssertion = (
  context: CredentialContext,
  signal: AbortSignal,
) => string | TimedAssertion | Promise<string | TimedAssertion>

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
/** Seconds after which nobody waits for a mint any longer: one that hangs must not block the next. */
const longestMint = 30

/**
 * A credential that mints an assertion when the cached one nears its end or was rejected, once for all who
 * wait. Until the cached one has expired nobody waits for the next. Without a known expiry nothing is cached.
 */
export function cachedAssertion(
  mint: MintAssertion,
  options: AssertionCacheOptions = {},
): ClientCredential {
  const { keyOf = ({ tokenEndpoint }) => tokenEndpoint, now = Date.now } = options
  const kept = new Map<string, Kept>()
  const flights = singleFlight<string>()

  function keep(key: string, minted: string | TimedAssertion): string {
    const { assertion, expiresAt, renewAt } = typeof minted === 'string' ? readJwt(minted) : minted
    kept.delete(key)
    if (expiresAt === undefined) return assertion
    const latest = expiresAt - Math.min(longestMargin, (expiresAt - now()) / 10)
    kept.set(key, { assertion, expiresAt, renewAt: Math.min(renewAt ?? latest, latest) })
    const oldest = kept.keys().next().value
    if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest)
    return assertion
  }

  function renew(key: string, context: CredentialContext): Promise<string> {
    // Whoever had an assertion rejected does not join a flight that may bring back the very same one.
    const flight = `${key}\n${context.rejected ?? ''}`
    return flights.run(flight, async () =>
      keep(key, await withinDeadline(longestMint, late, async (signal) => mint(context, signal))),
    )
  }

  return async function assertionCredential(context) {
    const key = keyOf(context)
    const entry = kept.get(key)
    const usable = entry && entry.assertion !== context.rejected && now() < entry.expiresAt
    if (!usable) return { assertion: await renew(key, context) }
    // Nobody waits for this one, so its failure is nobody's: the next request tries again.
    if (now() >= entry.renewAt) renew(key, context).catch(() => undefined)
    return { assertion: entry.assertion }
  }
}

function readJwt(assertion: string): TimedAssertion {
  const exp = decodeJwt(assertion)?.claims.exp
  return { assertion, expiresAt: typeof exp === 'number' ? exp * 1000 : undefined }
}

function late(): UpstreamOutage {
  return new UpstreamOutage(`no client assertion within ${longestMint} s`)
}
