/**
 * JSON documents of strangers, kept as HTTP says and within so many bytes: asked for once however many want one,
 * a failure remembered for a moment. The last good one is used for a day at most while its host answers anything
 * but that it is gone, or that it is now another: a host that turns us away for an hour must end no logins.
 */
import { boundedMap, textBytes } from '../async/bounded-map.js'
import { singleFlight } from '../async/single-flight.js'
import { FetchFailure, type SafeFetch, type SafeResponse } from './safe-fetch.js'

/** How a document is asked for. */
export interface DocumentRequest {
  /** Milliseconds: asks again when the document at hand was fetched longer ago than this, and does without it then. */
  readonly olderThan?: number | undefined
  /** Who needs it, as an opaque key. */
  readonly sender?: string | undefined
}

/** Documents of one kind. */
export interface CachedDocuments<T> {
  /**
   * The document at the URL, fetched when that is due.
   *
   * @throws FetchFailure, or what `read` throws
   */
  get(url: string, request?: DocumentRequest): Promise<T>
}

/** What makes them. */
export interface CachedDocumentsOptions<T> {
  readonly fetch: SafeFetch
  /** Makes a document of what is at the URL. What it throws ends the document that was good before. */
  readonly read: (json: unknown, url: string) => T
  /** About how many bytes a document takes in memory. */
  readonly sizeOf: (document: T) => number
  /** Longest document, in bytes. */
  readonly maxBytes: number
  /** Seconds for one fetch. */
  readonly timeout: number
  /** Bytes of all documents kept; the least recently used ones go first. */
  readonly maxKeptBytes: number
  /** Told when the last good document is used instead of one that could not be fetched. */
  readonly onStale?: ((url: string, failure: FetchFailure) => void) | undefined
  /** Milliseconds since the epoch, for dates. */
  readonly now: () => number
  /** Milliseconds on a clock that only goes forward, for ages. */
  readonly monotonic: () => number
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
const failuresBytes = 1024 * 1024
/** About what an error takes in memory besides its message: its trace, above all. */
const errorBytes = 2048
/** Longest validator that is kept, in characters. Real ones are hashes and dates. */
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

  async function load(url: string, sender: string | undefined): Promise<T> {
    const known = lastGood(url)
    try {
      const entry = await fetchEntry(url, known, sender, options)
      failures.delete(url)
      entries.delete(url)
      if (entry.policy.keep) entries.set(url, entry)
      return entry.value
    } catch (error) {
      if (endsDocument(error)) entries.delete(url)
      const pause = pauseAfter(error)
      if (pause > 0) failures.set(url, { error, until: monotonic() + pause })
      if (known?.policy.staleIfError && isOfHost(error)) onStale?.(url, error)
      throw error
    }
  }

  /** One fetch for all who wait, and none at all in the pause after a failure. */
  function fetchDocument(url: string, sender: string | undefined): Promise<T> {
    const failure = failures.get(url)
    if (failure && monotonic() < failure.until) return Promise.reject(failure.error)
    return flights.run(url, () => load(url, sender))
  }

  function lastGood(url: string): Entry<T> | undefined {
    const entry = entries.get(url)
    return entry && monotonic() - entry.fetchedAt < longest ? entry : undefined
  }

  return Object.freeze({
    async get(url: string, { olderThan, sender }: DocumentRequest = {}) {
      const entry = lastGood(url)
      const good = Math.min(entry?.policy.fresh ?? 0, olderThan ?? longest)
      if (entry && monotonic() - entry.fetchedAt < good) return entry.value
      try {
        return await fetchDocument(url, sender)
      } catch (error) {
        if (!entry || !(error instanceof FetchFailure) || endsDocument(error)) throw error
        if (entry.policy.staleIfError && olderThan === undefined) return entry.value
        // It was good, and nobody has said that it no longer is: nobody may be refused for that.
        if (error.kind !== 'refused') throw error
        throw new FetchFailure('denied', error.message, error.cause)
      }
    },
  })
}

/** Whether the document that was good before no longer is: it is gone, or there is another that is no good. */
function endsDocument(error: unknown): boolean {
  return !(error instanceof FetchFailure) || error.kind === 'gone'
}

/** Whether the operator may want to know, while the last good document still does. */
function isOfHost(error: unknown): error is FetchFailure {
  return error instanceof FetchFailure && error.kind !== 'gone' && error.kind !== 'busy'
}

function pauseAfter(error: unknown): number {
  if (!(error instanceof FetchFailure)) return refusalPause
  if (error.kind === 'busy') return 0
  return error.kind === 'outage' || error.kind === 'denied' ? outagePause : refusalPause
}

async function fetchEntry<T>(
  url: string,
  known: Entry<T> | undefined,
  sender: string | undefined,
  { fetch, read, maxBytes, timeout, now, monotonic }: CachedDocumentsOptions<T>,
): Promise<Entry<T>> {
  const fetchedAt = monotonic()
  const answer = await fetch(new URL(url), {
    headers: known?.validators ?? {},
    maxBytes,
    timeout,
    sender,
  })
  if (answer.status === 304 && known && Object.keys(known.validators).length > 0) {
    return { ...known, ...revalidated(answer, known, now()), fetchedAt }
  }
  checkStatus(answer.status)
  return {
    value: read(parse(answer), url),
    policy: policyOf(answer, now()),
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

/** Only 404 and 410 speak of the document. What else a host answers is its own trouble, or its mood. */
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
    ...(isShort(etag) && { 'if-none-match': etag }),
    ...(isShort(modified) && { 'if-modified-since': modified }),
  }
}

function isShort(validator: string | undefined): validator is string {
  return validator !== undefined && validator.length <= longestValidator
}
