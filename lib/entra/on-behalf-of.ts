/**
 * Downstream tokens, cached by us: MSAL's cache lets two assertions of one user evict each other, blocks all
 * users on one's throttling and scans linearly; and asking again and again gets AADSTS50196.
 */
import { monotonicNow } from '../async/monotonic-now.js'
import { sha256 } from '../crypto/hashing.js'
import { EntraError } from './errors.js'
import type { TokenEndpoint } from './token-endpoint.js'

/** Whose token is wanted, and what for. */
export interface OnBehalfOfInput {
  /** The user's access token for this app. */
  readonly assertion: string
  readonly tid: string
  readonly oid: string
  /** Scopes of one downstream API. */
  readonly scopes: readonly string[]
  /** JSON, from a claims challenge. */
  readonly claims?: string | undefined
  /** Seconds since the epoch: after that Entra would refuse the assertion. */
  readonly assertionExpiresAt?: number | undefined
}

/** A token for the downstream API. */
export interface DownstreamToken {
  readonly token: string
  /** Seconds since the epoch. */
  readonly expiresAt: number
}

/** Exchanges users' tokens for downstream ones. */
export interface OnBehalfOf {
  /** @throws EntraError */
  token(input: OnBehalfOfInput): Promise<DownstreamToken>
}

/** One exchange with Entra, for the operator: no token, no user. */
export interface ExchangeEvent {
  readonly outcome: 'success' | EntraError['kind']
  readonly scopes: readonly string[]
  readonly milliseconds: number
  /** Whether it renewed a token before its time, with nobody waiting. */
  readonly background: boolean
  readonly error?: EntraError
}

/** A token as replicas hand it to each other. */
export interface SharedToken extends DownstreamToken {
  /** Milliseconds since the epoch. */
  readonly renewAt: number
}

/** Where replicas leave their tokens for each other. Never rejects: it is a convenience, not a source. */
export interface SharedTokens {
  /** @param secret derived from the assertion: nobody without it finds or reads the token */
  read(secret: string): Promise<SharedToken | undefined>
  write(secret: string, token: SharedToken, ttlSeconds: number): Promise<void>
}

/** What the exchange is made of. */
export interface OnBehalfOfOptions {
  readonly endpoint: Pick<TokenEndpoint, 'onBehalfOf'>
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Milliseconds on a clock that only goes forward. Default: `now` when that is given. */
  readonly monotonic?: () => number
  /** Most tokens kept; the least recently used goes first. Default 50,000. */
  readonly maxEntries?: number | undefined
  /** Asked before Entra, told afterwards. Default: every process has its own tokens. */
  readonly shared?: SharedTokens | undefined
  readonly onExchange?: (event: ExchangeEvent) => void
}

/**
 * A result and how long it stands, in milliseconds on the clock that only goes forward: a clock that was set back
 * must not have us hand out dead tokens.
 */
type TokenEntry = { readonly until: number; renewAt: number; readonly result: DownstreamToken }
type Entry = TokenEntry | { readonly until: number; readonly failure: EntraError }

/** A token is not handed out any more when it has this long to live. */
const safetyMargin = 30_000
/** A token is renewed when it has this long to live, or a fifth of its life. */
const renewalMargin = 300_000
/** How long a refusal stands. */
const refusalLife = 5_000
/** How long a throttled user's refusal stands at most. */
const longestRefusal = 60_000
const sweepEvery = 60_000

/**
 * Makes the exchange with its cache. Kept by the hash of the assertion, so nobody is ever answered with
 * another's token; one exchange for all who wait for the same; one user's refusal is nobody else's.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
 */
export function onBehalfOf(options: OnBehalfOfOptions): OnBehalfOf & { readonly size: number } {
  const { endpoint, now = Date.now, maxEntries = 50_000, shared, onExchange = () => {} } = options
  const { monotonic = options.now ?? monotonicNow } = options
  const entries = new Map<string, Entry>()
  const flights = new Map<string, Promise<DownstreamToken>>()
  let nextSweep = monotonic() + sweepEvery

  function token(input: OnBehalfOfInput): Promise<DownstreamToken> {
    const key = keyOf(input)
    const entry = lookUp(key)
    if (entry && 'failure' in entry) return Promise.reject(entry.failure)
    if (!entry) return flights.get(key) ?? exchange(key, input, false)
    if (monotonic() >= entry.renewAt && !flights.has(key)) renew(key, input, entry)
    return Promise.resolve(entry.result)
  }

  /** What stands, and becomes the most recently used by being looked up. */
  function lookUp(key: string): Entry | undefined {
    sweep()
    const entry = entries.get(key)
    if (!entry) return undefined
    entries.delete(key)
    // By either clock: the one that only goes forward stands still while a machine sleeps.
    const died = 'result' in entry && untilOf(entry.result) <= now()
    if (died || entry.until <= monotonic()) return undefined
    entries.set(key, entry)
    return entry
  }

  /** Once a minute: users who do not come back must not leave their tokens here. */
  function sweep(): void {
    const time = monotonic()
    if (time < nextSweep) return
    nextSweep = time + sweepEvery
    for (const [key, { until }] of entries) if (until <= time) entries.delete(key)
  }

  function exchange(
    key: string,
    input: OnBehalfOfInput,
    background: boolean,
  ): Promise<DownstreamToken> {
    const flight = obtain(key, input, background)
      .then(
        (entry) => {
          keep(key, entry)
          // The downstream API has said that the token without these claims is no longer good.
          if (input.claims !== undefined) keep(withoutClaims(input), { ...entry })
          return entry.result
        },
        (error: unknown) => {
          if (!background && error instanceof EntraError) keepFailure(key, error)
          throw error
        },
      )
      .finally(() => flights.delete(key))
    flights.set(key, flight)
    return flight
  }

  function renew(key: string, input: OnBehalfOfInput, entry: TokenEntry): void {
    exchange(key, input, true).catch((error: unknown) => {
      // The token at hand stays good until its end; the next try waits a little.
      const pause = error instanceof EntraError ? lifeOf(error) : 0
      entry.renewAt = monotonic() + Math.max(pause, refusalLife)
    })
  }

  /** From another replica if one has a token that is not due for renewal, and from Entra otherwise. */
  async function obtain(
    key: string,
    input: OnBehalfOfInput,
    background: boolean,
  ): Promise<TokenEntry> {
    const found = shared && (await shared.read(key))
    if (found && Math.min(found.renewAt, untilOf(found)) > now())
      return entryOf(found, monotonic() - now())
    const token = await ask(input, background)
    if (shared) share(shared, key, input, token)
    return entryOf(token, monotonic() - now())
  }

  /** Nobody waits for it. */
  function share(to: SharedTokens, key: string, input: OnBehalfOfInput, token: SharedToken): void {
    const seconds = Math.floor((untilOf(token) - now()) / 1000)
    if (seconds < 1) return
    void to.write(key, token, seconds)
    if (input.claims !== undefined) void to.write(withoutClaims(input), token, seconds)
  }

  async function ask(input: OnBehalfOfInput, background: boolean): Promise<SharedToken> {
    const [issuedAt, started] = [now(), monotonic()]
    if (isDead(input)) throw new EntraError('invalid_assertion', 'the assertion has expired')
    try {
      const { assertion, scopes, tid: tenant, claims } = input
      const tokens = await endpoint.onBehalfOf({
        assertion,
        scopes,
        tenant,
        ...(claims !== undefined && { claims }),
      })
      report(input, started, background)
      return issued(tokens.accessToken, tokens.expiresIn, issuedAt)
    } catch (error) {
      if (error instanceof EntraError) report(input, started, background, error)
      throw error
    }
  }

  function report(
    { scopes }: OnBehalfOfInput,
    started: number,
    background: boolean,
    error?: EntraError,
  ): void {
    const event = { scopes, milliseconds: monotonic() - started, background }
    onExchange(error ? { ...event, outcome: error.kind, error } : { ...event, outcome: 'success' })
  }

  function isDead({ assertionExpiresAt }: OnBehalfOfInput): boolean {
    return assertionExpiresAt !== undefined && assertionExpiresAt * 1000 <= now()
  }

  function keepFailure(key: string, failure: EntraError): void {
    const life = lifeOf(failure)
    if (life > 0) keep(key, { until: monotonic() + life, failure })
  }

  function keep(key: string, entry: Entry): void {
    entries.delete(key)
    if (entry.until > monotonic()) entries.set(key, entry)
    const oldest = entries.keys().next().value
    if (entries.size > maxEntries && oldest !== undefined) entries.delete(oldest)
  }

  return Object.freeze({
    token,
    get size() {
      return entries.size
    },
  })
}

/** The assertion is a user's own; tenant and object id stand beside it so that no mistake can mix users. */
function keyOf({ assertion, tid, oid, scopes, claims = '' }: OnBehalfOfInput): string {
  return `${sha256(assertion)}\n${tid}\n${oid}\n${scopes.join(' ')}\n${claims}`
}

function withoutClaims(input: OnBehalfOfInput): string {
  return keyOf({ ...input, claims: undefined })
}

function issued(token: string, expiresIn: number, now: number): SharedToken {
  const expiresAt = Math.floor(now / 1000) + expiresIn
  const renewAt = expiresAt * 1000 - Math.min(renewalMargin, (expiresIn * 1000) / 5)
  return { token, expiresAt, renewAt }
}

function untilOf({ expiresAt }: DownstreamToken): number {
  return expiresAt * 1000 - safetyMargin
}

/** @param shift what makes a time since the epoch one of the clock that only goes forward */
function entryOf({ token, expiresAt, renewAt }: SharedToken, shift: number): TokenEntry {
  const result = Object.freeze({ token, expiresAt })
  return { until: untilOf(result) + shift, renewAt: renewAt + shift, result }
}

/** Milliseconds a refusal stands: an outage not at all, unless Entra said how long. */
function lifeOf({ kind, retryAfter }: EntraError): number {
  if (retryAfter !== undefined) return Math.min(retryAfter * 1000, longestRefusal)
  return kind === 'unavailable' ? 0 : refusalLife
}
