/**
 * Downstream tokens. We cache them ourselves: in MSAL's cache two assertions of one user evict each other, one user's
 * throttling blocks all, and lookups scan linearly. Without a cache, Entra answers AADSTS50196.
 */
import type { Clock } from '../async/clock.js'
import { monotonicNow } from '../async/monotonic-now.js'
import { singleFlight } from '../async/single-flight.js'
import { sha256 } from '../crypto/hashing.js'
import type { EntraTrace, EventFacts } from '../http/event-facts.js'
import {
  type DownstreamToken,
  type TimedToken,
  timedToken,
  usableUntil,
} from './downstream-token.js'
import { EntraError } from './errors.js'
import { type CachedToken, exchangeCache, refusalLife } from './exchange-cache.js'
import type { TokenEndpoint } from './token-endpoint.js'

/** Whose token is wanted, and for what. */
export interface OnBehalfOfInput {
  /** The user's access token for this app. */
  readonly assertion: string
  /** Its SHA-256, where it is known already: with many users, hashing costs as much as all the rest of a call. */
  readonly assertionHash?: string | undefined
  /** Names the login that the assertion is of, if there is one: its next assertion takes the place of this one. */
  readonly login?: string | undefined
  readonly tid: string
  readonly oid: string
  /** Scopes of one downstream API. */
  readonly scopes: readonly string[]
  /** JSON, from a claims challenge. */
  readonly claims?: string | undefined
  /** Seconds since the epoch. After that Entra would refuse the assertion. */
  readonly assertionExpiresAt?: number | undefined
  /** Whom and what it is for. An exchange that serves several callers tells of the first. */
  readonly facts?: EventFacts | undefined
}

/** Exchanges users' tokens for downstream ones. */
export interface OnBehalfOf {
  /** @throws EntraError */
  token(input: OnBehalfOfInput): Promise<DownstreamToken>
}

/** One exchange with Entra, for the operator. It names no token. */
export interface ExchangeResult {
  readonly outcome: 'success' | EntraError['kind']
  readonly milliseconds: number
  /** Whether it renewed a token ahead of time, while nobody waited. */
  readonly background: boolean
  readonly error?: EntraError
  readonly trace?: EntraTrace | undefined
  readonly facts?: EventFacts | undefined
}

/** A token as replicas share it. */
export type SharedToken = TimedToken

/** Where replicas leave tokens for each other. It never rejects: without it there is only one more exchange. */
export interface SharedTokens {
  /** @param secret derived from the assertion; the token cannot be found or read without it */
  read(secret: string): Promise<SharedToken | undefined>
  write(secret: string, token: SharedToken, ttlSeconds: number): Promise<void>
}

/** What the exchange is made with. */
export interface OnBehalfOfOptions {
  readonly endpoint: Pick<TokenEndpoint, 'onBehalfOf'>
  readonly now?: Clock
  /** Milliseconds on a clock that only goes forward. Default: `now` when that is given. */
  readonly monotonic?: () => number
  /** Number of tokens of 4 KiB on average that are cached; unused ones are dropped first. Default 50,000. */
  readonly maxEntries?: number | undefined
  /** Looked up before Entra is asked, and written afterwards. Default: every process has its own tokens. */
  readonly shared?: SharedTokens | undefined
  readonly onExchange?: (result: ExchangeResult) => void
}

/** Milliseconds between two attempts to renew a token in the background. */
const shortestPause = 5_000

/**
 * Makes the exchange with its cache. The cache key contains the hash of the assertion, so no caller ever gets another
 * caller's token. One exchange serves all who wait for the same token, and one user's refusal affects no one else.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
 */
export function onBehalfOf(options: OnBehalfOfOptions): OnBehalfOf & { readonly size: number } {
  const { endpoint, now = Date.now, maxEntries = 50_000, shared, onExchange = () => {} } = options
  const { monotonic = options.now ?? monotonicNow } = options
  const cache = exchangeCache({ maxEntries, now, monotonic })
  const flights = singleFlight<DownstreamToken>()

  async function token(input: OnBehalfOfInput): Promise<DownstreamToken> {
    const key = keyOf(input)
    const cached = cache.get(key)
    if (!cached) return flights.run(key, () => exchange(key, input))
    if ('failure' in cached) throw cached.failure
    if (monotonic() >= cached.renewAt && !flights.has(key)) renew(key, input, cached)
    return cached.token
  }

  async function exchange(key: string, input: OnBehalfOfInput): Promise<DownstreamToken> {
    try {
      return await obtain(key, input, false)
    } catch (error) {
      if (error instanceof EntraError) cache.keepRefusal(key, error)
      throw error
    }
  }

  function renew(key: string, input: OnBehalfOfInput, cached: CachedToken): void {
    flights
      .run(key, () => obtain(key, input, true))
      .catch((error: unknown) => {
        // The cached token stays good until it expires. The next attempt waits a little.
        const pause = error instanceof EntraError ? refusalLife(error) : 0
        cached.renewAt = monotonic() + Math.max(pause, shortestPause)
      })
  }

  async function obtain(
    key: string,
    input: OnBehalfOfInput,
    background: boolean,
  ): Promise<DownstreamToken> {
    const found = shared && (await readShared(shared, key))
    const timed = found ?? (await exchangeAndShare(key, input, background))
    // The downstream API has said that the token without these claims is no longer good.
    if (input.claims !== undefined) keep(withoutClaims(input), timed)
    return keep(input, timed)
  }

  function keep(input: OnBehalfOfInput, timed: TimedToken): DownstreamToken {
    const key = keyOf(input)
    if (input.login !== undefined) cache.supersede(placeOf(input), key)
    return cache.keepToken(key, timed)
  }

  /** Another replica's token, unless it is due for renewal. */
  async function readShared(from: SharedTokens, key: string): Promise<TimedToken | undefined> {
    const found = await from.read(key)
    return found && Math.min(found.renewAt, usableUntil(found)) > now() ? found : undefined
  }

  async function exchangeAndShare(
    key: string,
    input: OnBehalfOfInput,
    background: boolean,
  ): Promise<TimedToken> {
    const timed = await exchangeReported(input, background)
    if (shared) share(shared, key, input, timed)
    return timed
  }

  /** Nobody waits for this. */
  function share(to: SharedTokens, key: string, input: OnBehalfOfInput, timed: TimedToken): void {
    const seconds = Math.floor((usableUntil(timed) - now()) / 1000)
    if (seconds < 1) return
    void to.write(key, timed, seconds)
    if (input.claims !== undefined) void to.write(keyOf(withoutClaims(input)), timed, seconds)
  }

  async function exchangeReported(
    input: OnBehalfOfInput,
    background: boolean,
  ): Promise<TimedToken> {
    const [issuedAt, started] = [now(), monotonic()]
    if (isExpired(input)) throw new EntraError('invalid_assertion', 'the assertion has expired')
    const report = (result: Pick<ExchangeResult, 'outcome' | 'error' | 'trace'>) =>
      onExchange({
        facts: input.facts,
        milliseconds: monotonic() - started,
        background,
        ...result,
      })
    try {
      const { accessToken, expiresIn, trace } = await endpoint.onBehalfOf(requestOf(input))
      report({ outcome: 'success', trace })
      return timedToken(accessToken, expiresIn, issuedAt)
    } catch (error) {
      if (error instanceof EntraError) report({ outcome: error.kind, error })
      throw error
    }
  }

  function isExpired({ assertionExpiresAt }: OnBehalfOfInput): boolean {
    return assertionExpiresAt !== undefined && assertionExpiresAt * 1000 <= now()
  }

  return Object.freeze({
    token,
    get size() {
      return cache.size
    },
  })
}

/** Each assertion belongs to one user. Tenant and object id are in the key so that no mistake can mix users. */
function keyOf(input: OnBehalfOfInput): string {
  const { assertion, assertionHash = sha256(assertion), tid, oid, scopes, claims = '' } = input
  return `${assertionHash}\n${tid}\n${oid}\n${scopes.join(' ')}\n${claims}`
}

/** What a login has one token for at a time, whatever its assertion is. */
function placeOf({ login, tid, scopes, claims = '' }: OnBehalfOfInput): string {
  return `${login}\n${tid}\n${scopes.join(' ')}\n${claims}`
}

function withoutClaims(input: OnBehalfOfInput): OnBehalfOfInput {
  return { ...input, claims: undefined }
}

function requestOf({ assertion, scopes, tid, claims }: OnBehalfOfInput) {
  return { assertion, scopes, tenant: tid, ...(claims !== undefined && { claims }) }
}
