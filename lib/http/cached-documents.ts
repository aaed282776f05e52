/**
 * JSON documents of strangers, kept as HTTP says and within bounds: asked for once however many want one,
 * a failure remembered for a moment, the last good one used through an outage for a day at most.
 */
import { FetchFailure, type SafeFetch, type SafeResponse } from './safe-fetch.js'

/** Documents of one kind. */
export interface CachedDocuments<T> {
  /**
   * The document at the URL, fetched when that is due.
   *
   * @param olderThan milliseconds: asks again when the document at hand was fetched longer ago than this
   * @throws FetchFailure, or what `read` throws
   */
  get(url: string, olderThan?: number): Promise<T>
}

/** What makes them. */
export interface CachedDocumentsOptions<T> {
  readonly fetch: SafeFetch
  /** Makes a document of what is at the URL. What it throws is remembered like any other refusal. */
  readonly read: (json: unknown, url: string) => T
  /** Longest document, in bytes. */
  readonly maxBytes: number
  /** Seconds for one fetch. */
  readonly timeout: number
  /** Documents kept; the least recently used one goes first. */
  readonly maxEntries: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

interface Policy {
  /** Milliseconds for which the document is good without asking. */
  readonly fresh: number
  readonly keep: boolean
  /** Whether it may be used when the server cannot be asked. */
  readonly staleIfError: boolean
}

interface Entry<T> {
  readonly value: T
  readonly policy: Policy
  readonly fetchedAt: number
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
/** How long a refusal is remembered, and an outage. */
const refusalPause = 30 * second
const outagePause = 5 * second

/** @see RFC 9111 sections 4.2 and 4.3 */
export function cachedDocuments<T>(options: CachedDocumentsOptions<T>): CachedDocuments<T> {
  const { maxEntries, now } = options
  const entries = new Map<string, Entry<T>>()
  const failures = new Map<string, Failure>()
  const flights = new Map<string, Promise<T>>()

  async function load(url: string, known: Entry<T> | undefined): Promise<T> {
    try {
      const entry = await fetchEntry(url, known, options)
      failures.delete(url)
      entries.delete(url)
      if (entry.policy.keep) remember(entries, url, entry, maxEntries)
      return entry.value
    } catch (error) {
      const outage = error instanceof FetchFailure && error.kind === 'outage'
      const until = now() + (outage ? outagePause : refusalPause)
      failures.delete(url)
      remember(failures, url, { error, until }, maxEntries)
      if (!outage) entries.delete(url)
      if (outage && known && servesStale(known, now())) return known.value
      throw error
    }
  }

  return Object.freeze({
    async get(url: string, olderThan = Number.POSITIVE_INFINITY) {
      const entry = entries.get(url)
      const age = entry ? now() - entry.fetchedAt : 0
      if (entry && age < Math.min(entry.policy.fresh, olderThan)) {
        remember(entries, url, entry, maxEntries)
        return entry.value
      }
      const failure = failures.get(url)
      if (failure && now() < failure.until) {
        if (entry && servesStale(entry, now())) return entry.value
        throw failure.error
      }
      const flight = flights.get(url) ?? load(url, entry).finally(() => flights.delete(url))
      flights.set(url, flight)
      return flight
    },
  })
}

function remember<V>(map: Map<string, V>, key: string, value: V, most: number): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= most) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}

function servesStale({ policy, fetchedAt }: Entry<unknown>, now: number): boolean {
  return policy.staleIfError && now - fetchedAt < longest
}

async function fetchEntry<T>(
  url: string,
  known: Entry<T> | undefined,
  { fetch, read, maxBytes, timeout, now }: CachedDocumentsOptions<T>,
): Promise<Entry<T>> {
  const fetchedAt = now()
  const answer = await fetch(new URL(url), {
    headers: known?.validators ?? {},
    maxBytes,
    timeout,
  })
  if (answer.status === 304 && known && Object.keys(known.validators).length > 0) {
    return { ...known, ...revalidated(answer, known, fetchedAt), fetchedAt }
  }
  checkStatus(answer.status)
  return {
    value: read(parse(answer), url),
    policy: policyOf(answer, fetchedAt),
    fetchedAt,
    validators: validatorsOf(answer),
  }
}

/** A 304 renews the document; its headers count where it has any. @see RFC 9111 section 4.3.4 */
function revalidated(answer: SafeResponse, known: Entry<unknown>, now: number) {
  const { 'cache-control': control, expires } = answer.headers
  const silent = control === undefined && expires === undefined
  return {
    policy: silent ? known.policy : policyOf(answer, now),
    validators: { ...known.validators, ...validatorsOf(answer) },
  }
}

function checkStatus(status: number): void {
  if (status === 200) return
  if (status === 429 || status >= 500) {
    throw new FetchFailure('outage', `the host answered with HTTP ${status}`)
  }
  const redirects = status >= 300 && status < 400
  throw new FetchFailure(
    'refused',
    redirects
      ? 'the host redirects, which is not followed'
      : `the host answered with HTTP ${status}`,
  )
}

const jsonLike =
  /^(?:application\/(?:[a-z0-9.+-]+\+)?json|text\/(?:json|plain)|application\/octet-stream)$/

/** Servers of files name all kinds of types; a page for people is none of them. */
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
  // A date that is none means: already expired.
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

/** What to ask with whether a document is still the same. */
function validatorsOf({ headers }: SafeResponse): Record<string, string> {
  const { etag, 'last-modified': modified } = headers
  return {
    ...(etag !== undefined && { 'if-none-match': etag }),
    ...(modified !== undefined && { 'if-modified-since': modified }),
  }
}
