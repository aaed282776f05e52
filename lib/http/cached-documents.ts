/**
 * A cache of JSON documents from strangers, bounded in bytes, that follows the caching rules of HTTP. Each document is
 * fetched once for all who wait for it, and a failure is remembered for a moment. While a host cannot be asked, or
 * answers with errors, the last good document is used for up to a day: a host that is down for an hour must not end
 * any logins. That ends when the host says that the document is gone, or serves another that is bad.
 */
import { boundedMap, textBytes } from '../async/bounded-map.js'
import type { Clock } from '../async/clock.js'
import { singleFlight } from '../async/single-flight.js'
import { FetchFailure, type SafeFetch, type SafeResponse } from './safe-fetch.js'

/** How to get a document. */
export interface DocumentRequest {
  /**
   * Milliseconds. The document at hand will not do (a key is not in it): it is fetched again, and not used if that fails,
   * unless it was fetched for that reason within this time. Strangers can ask for anything.
   */
  readonly againAfter?: number | undefined
  /** Who needs the document, as an opaque key. */
  readonly sender?: string | undefined
}

/** Documents of one kind. */
export interface CachedDocuments<T> {
  /**
   * The document at the URL, fetched if the cache holds no fresh one.
   *
   * @throws FetchFailure, or what `read` throws
   */
  get(url: string, request?: DocumentRequest): Promise<T>
}

/** Options of {@link cachedDocuments}. */
export interface CachedDocumentsOptions<T> {
  readonly fetch: SafeFetch
  /** Makes a document of the JSON at the URL. When it throws, the last good document is dropped. */
  readonly read: (json: unknown, url: string) => T
  /** About how many bytes a document takes in memory. */
  readonly sizeOf: (document: T) => number
  /** Longest document, in bytes. */
  readonly maxBytes: number
  /** Seconds for one fetch. */
  readonly timeout: number
  /** Bytes of all documents kept; the least recently used ones go first. */
  readonly maxKeptBytes: number
  /** Called when the last good document is used because it could not be fetched again. */
  readonly onStale?: ((url: string, failure: FetchFailure) => void) | undefined
  /** For dates. */
  readonly now: Clock
  /** Milliseconds on a clock that only goes forward, for ages. */
  readonly monotonic: () => number
}

interface Policy {
  /** Milliseconds for which the document is used without asking. */
  readonly fresh: number
  readonly keep: boolean
  /** Whether the document may be used when the server cannot be asked. */
  readonly staleIfError: boolean
}

interface Entry<T> {
  readonly value: T
  readonly policy: Policy
  readonly fetchedAt: number
  /** When it was last fetched because the one at hand would not do. */
  readonly askedAgainAt: number
  readonly validators: Readonly<Record<string, string>>
}

interface Failure {
  readonly error: unknown
  readonly until: number
}

const second = 1000
const shortest = 60 * second
const usual = 3600 * second
const longest = 24 * 3600 * second
/** How long a refusal is remembered. */
const refusalPause = 30 * second
/** How long an outage is remembered. */
const outagePause = 5 * second
const failuresBytes = 1024 * 1024
/** About how many bytes an error takes in memory besides its message, mostly for its stack trace. */
const errorBytes = 2048
/** Longest ETag or date that is kept, in characters. */
const longestValidator = 128

/** @see RFC 9111 sections 4.2 and 4.3 */
export function cachedDocuments<T>(options: CachedDocumentsOptions<T>): CachedDocuments<T> {
  const { maxKeptBytes, sizeOf, monotonic, onStale } = options
  const entries = boundedMap<Entry<T>>({
    maxBytes: maxKeptBytes,
    sizeOf: ({ value, validators }) => sizeOf(value) + textBytes(Object.values(validators).join()),
  })
  const failures = boundedMap<Failure>({
    maxBytes: failuresBytes,
    sizeOf: ({ error }) => errorBytes + 3 * textBytes(String(error)),
  })
  const flights = singleFlight<T>()

  async function load(url: string, { againAfter, sender }: DocumentRequest): Promise<T> {
    const last = lastGood(url)
    try {
      const fetched = await fetchEntry(url, last, sender, options)
      const { askedAgainAt = Number.NEGATIVE_INFINITY } = last ?? {}
      const entry = againAfter === undefined ? { ...fetched, askedAgainAt } : fetched
      failures.delete(url)
      entries.delete(url)
      if (entry.policy.keep) entries.set(url, entry)
      return entry.value
    } catch (error) {
      if (endsDocument(error)) entries.delete(url)
      const pause = pauseAfter(error)
      if (pause > 0) failures.set(url, { error, until: monotonic() + pause })
      if (last?.policy.staleIfError && concernsOperator(error)) onStale?.(url, error)
      throw error
    }
  }

  /** One fetch for all who wait, and none in the pause after a failure. */
  function fetchDocument(url: string, request: DocumentRequest): Promise<T> {
    const failure = failures.get(url)
    if (failure && monotonic() < failure.until) return Promise.reject(failure.error)
    return flights.run(url, () => load(url, request))
  }

  function lastGood(url: string): Entry<T> | undefined {
    const entry = entries.get(url)
    return entry && monotonic() - entry.fetchedAt < longest ? entry : undefined
  }

  function isGoodEnough(entry: Entry<T>, againAfter: number | undefined): boolean {
    const { fetchedAt, askedAgainAt, policy } = entry
    const time = monotonic()
    if (againAfter !== undefined && time - askedAgainAt >= againAfter) return false
    return time - fetchedAt < policy.fresh
  }

  return Object.freeze({
    async get(url: string, request: DocumentRequest = {}) {
      const { againAfter } = request
      const entry = lastGood(url)
      if (entry && isGoodEnough(entry, againAfter)) return entry.value
      try {
        return await fetchDocument(url, request)
      } catch (error) {
        if (!entry || !(error instanceof FetchFailure) || endsDocument(error)) throw error
        if (entry.policy.staleIfError && againAfter === undefined) return entry.value
        // The document was good and its host has not withdrawn it, so this must not become a refusal.
        if (error.kind !== 'refused') throw error
        throw new FetchFailure('denied', error.message, error.cause)
      }
    },
  })
}

/** Whether the last good document must no longer be used: it is gone, or has been replaced by a bad one. */
function endsDocument(error: unknown): boolean {
  return !(error instanceof FetchFailure) || error.kind === 'gone'
}

/** Whether the operator may want to know of it while the last good document is used. */
function concernsOperator(error: unknown): error is FetchFailure {
  return error instanceof FetchFailure && error.kind !== 'gone' && error.kind !== 'busy'
}

function pauseAfter(error: unknown): number {
  if (!(error instanceof FetchFailure)) return refusalPause
  if (error.kind === 'busy') return 0
  return error.kind === 'outage' || error.kind === 'denied' ? outagePause : refusalPause
}

async function fetchEntry<T>(
  url: string,
  last: Entry<T> | undefined,
  sender: string | undefined,
  { fetch, read, maxBytes, timeout, now, monotonic }: CachedDocumentsOptions<T>,
): Promise<Entry<T>> {
  const fetchedAt = monotonic()
  const answer = await fetch(new URL(url), {
    headers: last?.validators ?? {},
    maxBytes,
    timeout,
    sender,
  })
  if (answer.status === 304 && last && Object.keys(last.validators).length > 0) {
    return { ...last, ...revalidate(answer, last, now()), fetchedAt, askedAgainAt: fetchedAt }
  }
  checkStatus(answer.status)
  return {
    value: read(parse(answer), url),
    policy: policyOf(answer, now()),
    fetchedAt,
    askedAgainAt: fetchedAt,
    validators: validatorsOf(answer),
  }
}

/** What a 304 changes: the policy, if it has caching headers, and the validators. @see RFC 9111 section 4.3.4 */
function revalidate(answer: SafeResponse, last: Entry<unknown>, now: number) {
  const { 'cache-control': control, expires } = answer.headers
  const silent = control === undefined && expires === undefined
  return {
    policy: silent ? last.policy : policyOf(answer, now),
    validators: { ...last.validators, ...validatorsOf(answer) },
  }
}

/** Only 404 and 410 say something about the document. Other statuses are troubles of the host. */
function checkStatus(status: number): void {
  if (status === 200) return
  if (status >= 300 && status < 400) {
    throw new FetchFailure('refused', 'the host redirects, which is not followed')
  }
  const gone = status === 404 || status === 410
  const kind = gone ? 'gone' : status < 300 ? 'refused' : 'denied'
  throw new FetchFailure(kind, `the host answered with HTTP ${status}`)
}

const jsonLike =
  /^(?:application\/(?:[a-z0-9.+-]+\+)?json|text\/(?:json|plain)|application\/octet-stream)$/

/** File servers use various types for JSON. A page for people (HTML) is refused. */
function parse({ headers, body }: SafeResponse): unknown {
  const type = headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== undefined && type !== '' && !jsonLike.test(type)) {
    throw new FetchFailure('refused', 'the answer is not JSON: its Content-Type says otherwise')
  }
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body))
  } catch (cause) {
    throw new FetchFailure('refused', 'the answer is not valid JSON', cause)
  }
}

/** @see RFC 9111 sections 4.2.1, 5.2.2 and 5.3 */
function policyOf({ headers }: SafeResponse, now: number): Policy {
  const directives = directivesOf(headers['cache-control'])
  const noCache = directives.has('no-cache')
  return {
    keep: !directives.has('no-store'),
    fresh: noCache ? 0 : Math.min(Math.max(lifetime(headers, directives, now), shortest), longest),
    staleIfError: !noCache && !directives.has('must-revalidate'),
  }
}

function lifetime(
  headers: SafeResponse['headers'],
  directives: ReadonlyMap<string, string>,
  now: number,
): number {
  const age = seconds(headers.age) ?? 0
  const maxAge = seconds(directives.get('max-age'))
  if (maxAge !== undefined) return (maxAge - age) * second
  if (headers.expires === undefined) return usual
  // An invalid date, `0` above all, means: already expired.
  const expires = Date.parse(headers.expires)
  const date = Date.parse(headers.date ?? '')
  return Number.isNaN(expires) ? 0 : expires - (Number.isNaN(date) ? now : date) - age * second
}

function seconds(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined
}

function directivesOf(header = ''): ReadonlyMap<string, string> {
  return new Map(
    header.split(',').map((directive) => {
      const [name = '', value = ''] = directive.split('=', 2)
      return [name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, '$1')] as const
    }),
  )
}

/** Request headers that ask whether a document is still the same. @see RFC 9111 section 4.3.1 */
function validatorsOf({ headers }: SafeResponse): Record<string, string> {
  const { etag, 'last-modified': modified } = headers
  return {
    ...(isShort(etag) && { 'if-none-match': etag }),
    ...(isShort(modified) && { 'if-modified-since': modified }),
  }
}

function isShort(validator: string | undefined): validator is string {
  return validator !== undefined && validator.length <= longestValidator
}
