/** Caches client assertions until shortly before they expire: each one costs a signature or a request. */
import { boundedMap } from '../async/bounded-map.js'
import type { Clock } from '../async/clock.js'
import { withinDeadline } from '../async/deadline.js'
import { singleFlight } from '../async/single-flight.js'
import { decodeJwt } from '../crypto/decode-jwt.js'
import type { ClientCredential, CredentialContext } from './credentials.js'
import { UpstreamOutage } from './errors.js'

/** How assertions are cached. */
export interface AssertionCacheOptions {
  /** Contexts with the same key share an assertion. Default: the token endpoint. */
  readonly keyOf?: (context: CredentialContext) => string
  readonly now?: Clock | undefined
}

/** An assertion with its times, in milliseconds since the epoch. */
export interface TimedAssertion {
  readonly assertion: string
  /** Without it, the assertion is not cached. */
  readonly expiresAt?: number | undefined
  /** When a new one should be fetched. Default: shortly before `expiresAt`. */
  readonly renewAt?: number | undefined
}

/** Makes an assertion. A plain string is a JWT, cached by its `exp`. */
export type MintAssertion = (
  context: CredentialContext,
  signal: AbortSignal,
) => string | TimedAssertion | Promise<string | TimedAssertion>

type CachedAssertion = Required<{
  [Name in keyof TimedAssertion]: NonNullable<TimedAssertion[Name]>
}>

/** Longest time before its expiry at which an assertion is replaced, in milliseconds. */
const longestMargin = 60_000
/** Number of assertions that are cached, where every tenant needs its own. */
const maxEntries = 1000
/** Seconds for minting one: a mint that hangs must not block the next. */
const longestMint = 30

/**
 * A credential that mints an assertion when the cached one is about to expire or was rejected, once for all who wait.
 * A cached assertion that has not expired is used while the next one is minted. An assertion without a known expiry
 * is not cached.
 */
export function cachedAssertion(
  mint: MintAssertion,
  options: AssertionCacheOptions = {},
): ClientCredential {
  const { keyOf = ({ tokenEndpoint }) => tokenEndpoint, now = Date.now } = options
  const cache = boundedMap<CachedAssertion>({ maxEntries })
  const mints = singleFlight<string>()

  function store(key: string, minted: string | TimedAssertion): string {
    const { assertion, expiresAt, renewAt } = typeof minted === 'string' ? readJwt(minted) : minted
    cache.delete(key)
    if (expiresAt !== undefined) {
      const latest = expiresAt - Math.min(longestMargin, (expiresAt - now()) / 10)
      cache.set(key, { assertion, expiresAt, renewAt: Math.min(renewAt ?? latest, latest) })
    }
    return assertion
  }

  function mintOnce(key: string, context: CredentialContext): Promise<string> {
    // A caller whose assertion was rejected must not join a flight that may bring back the same one.
    return mints.run(`${key}\n${context.rejected ?? ''}`, async () =>
      store(key, await withinDeadline(longestMint, late, async (signal) => mint(context, signal))),
    )
  }

  return async function assertionCredential(context) {
    const key = keyOf(context)
    const entry = cache.get(key)
    const usable = entry && entry.assertion !== context.rejected && now() < entry.expiresAt
    if (!usable) return { assertion: await mintOnce(key, context) }
    // Nobody waits for this one, so its failure is ignored: the next request tries again.
    if (now() >= entry.renewAt) mintOnce(key, context).catch(() => undefined)
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
