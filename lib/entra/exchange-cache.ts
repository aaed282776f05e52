/** Results of on-behalf-of exchanges: tokens, and for a short time refusals. */
import { boundedMap, textBytes } from '../async/bounded-map.js'
import type { Clock } from '../async/clock.js'
import { type DownstreamToken, type TimedToken, usableUntil } from './downstream-token.js'
import type { EntraError } from './errors.js'

/**
 * A token. Its times are in milliseconds on a clock that only goes forward: a clock that was set back must not make us
 * hand out expired tokens.
 */
export interface CachedToken {
  readonly until: number
  renewAt: number
  readonly token: DownstreamToken
}

/** A refusal, with its time on the same clock. */
export interface CachedRefusal {
  readonly until: number
  readonly failure: EntraError
}

/** The cache. */
export interface ExchangeCache {
  /** What is still good. */
  get(key: string): CachedToken | CachedRefusal | undefined
  /** @returns the token as it is handed out */
  keepToken(key: string, token: TimedToken): DownstreamToken
  /** Notes what a place holds from now on, and drops what it held before under another key. */
  supersede(place: string, key: string): void
  /** Keeps a refusal for as long as {@link refusalLife} says. */
  keepRefusal(key: string, failure: EntraError): void
  readonly size: number
}

/** What the cache is made with. */
export interface ExchangeCacheOptions {
  /** Results to keep, of 4 KiB on average. */
  readonly maxEntries: number
  readonly now: Clock
  /** Milliseconds on a clock that only goes forward. */
  readonly monotonic: () => number
}

/** Milliseconds for which a refusal is kept. */
const shortestRefusal = 5_000
/** Milliseconds for which the refusal of a throttled user is kept at most. */
const longestRefusal = 60_000

/** Bytes of a token and what is kept with it, on average. Longer tokens leave room for fewer. */
const bytesPerToken = 4096

/** Makes an empty cache. */
export function exchangeCache(options: ExchangeCacheOptions): ExchangeCache {
  const { maxEntries, now, monotonic } = options
  const isOver = ({ until }: CachedToken | CachedRefusal) => until <= monotonic()
  const maxBytes = maxEntries * bytesPerToken
  const entries = boundedMap<CachedToken | CachedRefusal>({
    maxEntries,
    maxBytes,
    sizeOf,
    isOver,
    monotonic,
  })

  const newest = boundedMap<string>({ maxEntries, maxBytes, sizeOf: textBytes })

  function keep(key: string, entry: CachedToken | CachedRefusal): void {
    if (entry.until > monotonic()) entries.set(key, entry)
    else entries.delete(key)
  }

  return Object.freeze({
    get(key: string) {
      const entry = entries.get(key)
      if (!entry) return undefined
      // Both clocks count: the one that only goes forward stands still while a machine sleeps.
      const isExpired = 'token' in entry && usableUntil(entry.token) <= now()
      if (!isExpired && entry.until > monotonic()) return entry
      entries.delete(key)
      return undefined
    },
    keepToken(key: string, timed: TimedToken) {
      const token = Object.freeze({ token: timed.token, expiresAt: timed.expiresAt })
      // Turns a time since the epoch into one on the clock that only goes forward.
      const shift = monotonic() - now()
      keep(key, {
        until: usableUntil(timed) + shift,
        renewAt: timed.renewAt + shift,
        token,
      })
      return token
    },
    supersede(place: string, key: string) {
      const before = newest.get(place)
      if (before !== undefined && before !== key) entries.delete(before)
      newest.set(place, key)
    },
    keepRefusal(key: string, failure: EntraError) {
      const life = refusalLife(failure)
      if (life > 0) keep(key, { until: monotonic() + life, failure })
    },
    get size() {
      return entries.size
    },
  })
}

/** Tokens are ASCII, a byte for each character; an error holds its stack. */
function sizeOf(entry: CachedToken | CachedRefusal): number {
  return 'token' in entry ? entry.token.token.length : 2048
}

/** Refusals that may be over at once: an outage, and consent, after which clients come back with the same token. */
const momentary: readonly EntraError['kind'][] = ['unavailable', 'consent_required']

/** Milliseconds for which a refusal is kept. A momentary one is not, unless Entra said how long to wait. */
export function refusalLife({ kind, retryAfter }: EntraError): number {
  if (retryAfter !== undefined) return Math.min(retryAfter * 1000, longestRefusal)
  return momentary.includes(kind) ? 0 : shortestRefusal
}
