/**
 * Fetching what strangers name: https only, to public addresses only, each connection pinned to an address
 * that was checked, no redirects, and little of everything. Without this a stranger reads through us what
 * only we can reach (SSRF), by name, by rebinding DNS or by an address in disguise.
 */
import { Resolver } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import { Client, type Dispatcher, ProxyAgent } from 'undici'
import { boundedMap } from '../async/bounded-map.js'
import { withinDeadline } from '../async/deadline.js'
import { monotonicNow } from '../async/monotonic-now.js'
import { isLoopbackAddress, isLoopbackHost } from '../oauth/loopback.js'
import { type FetchLimits, type FetchSlot, fetchSlots } from './fetch-slots.js'
import { flattenHeaders } from './flatten-headers.js'
import { isPublicAddress } from './public-address.js'
import { readBounded } from './read-bounded.js'

/**
 * Why there is nothing. `gone`: its host says that there is none. `refused`: it will not change by asking again
 * soon. `denied`: the host answered with an error of its own. `outage`: there was no getting there. `busy`: it was
 * our own doing, and says nothing about the host.
 */
export type FetchFailureKind = 'gone' | 'refused' | 'denied' | 'outage' | 'busy'

/** Nothing was fetched. The message may be told to a stranger; the cause is the operator's. */
export class FetchFailure extends Error {
  override readonly name = 'FetchFailure'
  /** A short text: errors of TLS hold whole certificates, and failures are remembered. */
  override readonly cause: string | undefined

  constructor(
    readonly kind: FetchFailureKind,
    message: string,
    cause?: unknown,
  ) {
    super(message)
    this.cause = shortCause(cause)
  }
}

function shortCause(cause: unknown): string | undefined {
  if (cause === undefined) return undefined
  // One error for each address that was tried: they are alike.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause
  if (!(first instanceof Error)) return String(first).slice(0, longestCause)
  const { code } = first as NodeJS.ErrnoException
  const known = typeof code === 'string' && !first.message.includes(code) ? `${code} ` : ''
  return `${known}${first.message}`.slice(0, longestCause)
}

/** How to reach the outside. */
export interface SafeFetchOptions {
  /** Addresses of a host (default: A and AAAA records). */
  readonly resolve?: ((host: string) => Promise<readonly string[]>) | undefined
  /** Ports to connect to (default 443 alone). */
  readonly ports?: readonly number[] | undefined
  /** Certificate authorities to trust instead of the public ones, in PEM. */
  readonly ca?: string | readonly string[] | undefined
  /** A proxy that makes the connections, and looks the hosts up: what it may reach is its own decision, but for `localhost`. */
  readonly proxy?: string | undefined
  /** For tests: loopback addresses, on any port. */
  readonly dangerouslyAllowLoopback?: boolean | undefined
}

/** One request: a GET. */
export interface SafeRequest {
  readonly headers?: Readonly<Record<string, string>>
  /** Longest body, in bytes. */
  readonly maxBytes: number
  /** Seconds for all of it: looking up, connecting, waiting and reading. */
  readonly timeout: number
  /** Who caused it, as an opaque key: one sender's fetches never end another's. */
  readonly sender?: string | undefined
}

/** What came back. Header names are in lower case. */
export interface SafeResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Buffer
}

/** @throws FetchFailure */
export type SafeFetch = (url: URL, request: SafeRequest) => Promise<SafeResponse>

const longestCause = 200
/** Fetches under way at once from hosts that nothing is known of. */
const openLimits: FetchLimits = { total: 192, perSender: 128, perHost: 32 }
/** And from hosts that have answered lately: strangers' hosts never stand in their way. */
const reservedLimits: FetchLimits = { total: 64, perSender: 48, perHost: 32 }
/** Milliseconds for which a host is known by its last answer. */
const knownFor = 24 * 3600 * 1000
const knownHostsBytes = 512 * 1024
/** Addresses of one host that are tried. */
const mostAddresses = 8
const notPublic = 'the host has no public address'

/**
 * Makes a fetch that may be told any URL.
 *
 * @param monotonic milliseconds on a clock that only goes forward
 */
export function safeFetch(options: SafeFetchOptions = {}, monotonic = monotonicNow): SafeFetch {
  const giveWay = () => new FetchFailure('busy', 'this server has too many documents to fetch')
  const open = fetchSlots(openLimits, giveWay)
  const reserved = fetchSlots(reservedLimits, giveWay)
  const answeredAt = boundedMap<number>({ maxBytes: knownHostsBytes, sizeOf: () => 8 })

  return async function fetchSafely(url, request) {
    const { host } = url
    const seen = answeredAt.get(host)
    const slots = seen !== undefined && monotonic() - seen < knownFor ? reserved : open
    const slot = slots.enter({ host, sender: request.sender ?? '' })
    try {
      const answer = await fetchInSlot(url, request, options, slot)
      answeredAt.set(host, monotonic())
      return answer
    } catch (error) {
      // Whoever has answered once must not be silent in the places of those who do answer.
      if (error instanceof FetchFailure && error.kind === 'outage') answeredAt.delete(host)
      throw error
    } finally {
      slot.leave()
    }
  }
}

/** One fetch, given up when it gives way to another one or its time is over, even where it cannot be aborted. */
function fetchInSlot(
  url: URL,
  request: SafeRequest,
  options: SafeFetchOptions,
  slot: FetchSlot,
): Promise<SafeResponse> {
  const { timeout } = request
  const late = () => new FetchFailure('outage', `no answer within ${timeout} seconds`)
  return withinDeadline(timeout, late, (signal) =>
    Promise.race([
      fetchOnce(url, request, options, AbortSignal.any([signal, slot.signal])),
      rejectWhenAborted(slot.signal),
    ]),
  )
}

function rejectWhenAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}

async function fetchOnce(
  url: URL,
  request: SafeRequest,
  options: SafeFetchOptions,
  signal: AbortSignal,
): Promise<SafeResponse> {
  checkUrl(url, options)
  const dispatcher =
    options.proxy === undefined
      ? await pinnedConnection(url, request, options, signal)
      : proxied(options.proxy, request, options)
  try {
    return await exchange(url, dispatcher, request, signal)
  } catch (cause) {
    if (cause instanceof FetchFailure) throw cause
    signal.throwIfAborted()
    throw new FetchFailure('outage', 'the host cannot be reached', cause)
  } finally {
    // A connection is for one request: the next one looks the host up again.
    dispatcher.destroy().catch(() => {})
  }
}

function checkUrl(url: URL, { ports = [443], dangerouslyAllowLoopback }: SafeFetchOptions): void {
  if (url.protocol !== 'https:') throw new FetchFailure('refused', 'the URL is not https')
  if (url.username !== '' || url.password !== '') {
    throw new FetchFailure('refused', 'the URL has userinfo')
  }
  const port = url.port === '' ? 443 : Number(url.port)
  if (!ports.includes(port) && !dangerouslyAllowLoopback) {
    throw new FetchFailure('refused', `port ${port} is not one this server connects to`)
  }
  // What the name or address says about itself needs no looking up, which a proxy may be left to do.
  if (isInside(hostOf(url)) && !dangerouslyAllowLoopback) {
    throw new FetchFailure('refused', notPublic)
  }
}

async function pinnedConnection(
  url: URL,
  request: SafeRequest,
  options: SafeFetchOptions,
  signal: AbortSignal,
): Promise<Dispatcher> {
  const addresses = await checkedAddresses(hostOf(url), options, signal)
  // `lookup` answers for the name that stays in SNI and Host. A literal address is never looked up.
  const connect = { lookup: pinned(addresses), ...connecting(request), ...trust(options) }
  return new Client(url.origin, { connect })
}

/** Addresses of the host, every one of which is allowed: a name with one foot inside is refused. */
async function checkedAddresses(
  host: string,
  { resolve, dangerouslyAllowLoopback = false }: SafeFetchOptions,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const literal = isIP(host) > 0
  const addresses = literal
    ? [host]
    : await lookUp(host, resolve ?? ((name) => resolvePublic(name, signal)))
  signal.throwIfAborted()
  const forbidden = addresses.find(
    (address) =>
      !isPublicAddress(address) && !(dangerouslyAllowLoopback && isLoopbackAddress(address)),
  )
  if (addresses.length > 0 && forbidden === undefined) return addresses.slice(0, mostAddresses)
  // The same words for no address and for one of ours: a stranger learns no names of this network. A name
  // without an address is an outage, for that is what all names are while DNS is broken.
  const cause = forbidden === undefined ? 'DNS has no A or AAAA record' : `it has ${forbidden}`
  throw new FetchFailure(literal ? 'refused' : 'outage', notPublic, cause)
}

async function lookUp(
  host: string,
  resolve: (host: string) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  try {
    return await resolve(host)
  } catch (cause) {
    throw new FetchFailure('outage', 'the host cannot be looked up', cause)
  }
}

const noRecords = ['ENOTFOUND', 'ENODATA', 'EBADNAME']

/** A and AAAA records from DNS itself: neither the hosts file nor a search domain makes a name public. */
async function resolvePublic(host: string, signal: AbortSignal): Promise<readonly string[]> {
  const resolver = new Resolver({ timeout: 2000, tries: 2 })
  signal.addEventListener('abort', () => resolver.cancel(), { once: true })
  const records = async (answer: Promise<string[]>): Promise<string[]> => {
    try {
      return await answer
    } catch (error) {
      if (noRecords.includes(String((error as NodeJS.ErrnoException).code))) return []
      throw error
    }
  }
  const [v4, v6] = await Promise.all([
    records(resolver.resolve4(host)),
    records(resolver.resolve6(host)),
  ])
  return [...v4, ...v6]
}

function pinned(addresses: readonly string[]): LookupFunction {
  const entries = addresses.map((address) => ({ address, family: isIP(address) }))
  const [first = { address: '', family: 0 }] = entries
  return (_host, options, callback) => {
    if (options.all) callback(null, entries)
    else callback(null, first.address, first.family)
  }
}

function proxied(proxy: string, request: SafeRequest, options: SafeFetchOptions): Dispatcher {
  return new ProxyAgent({
    uri: proxy,
    proxyTls: connecting(request),
    requestTls: { ...connecting(request), ...trust(options) },
  })
}

/** By its spelling alone: an address that is not public, this machine, or a name without a domain. */
function isInside(host: string): boolean {
  if (isIP(host) > 0) return !isPublicAddress(host)
  // The dot at the end of a name that is complete.
  const name = host.replace(/\.+$/, '')
  return !name.includes('.') || isLoopbackHost(name)
}

/** A handshake that never ends would hold its socket beyond the deadline. */
function connecting({ timeout }: SafeRequest): { timeout: number } {
  return { timeout: timeout * 1000 }
}

function trust({ ca }: SafeFetchOptions): { ca?: string | string[] } {
  if (ca === undefined) return {}
  return { ca: typeof ca === 'string' ? ca : [...ca] }
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

async function exchange(
  url: URL,
  dispatcher: Dispatcher,
  { headers = {}, maxBytes }: SafeRequest,
  signal: AbortSignal,
): Promise<SafeResponse> {
  const answer = await dispatcher.request({
    origin: url.origin,
    path: url.pathname + url.search,
    method: 'GET',
    headers: { accept: 'application/json', 'accept-encoding': 'identity', ...headers },
    signal,
  })
  const flat = flattenHeaders(answer.headers)
  if (Number(flat['content-length'] ?? 0) > maxBytes) throw tooLong(maxBytes)
  if ((flat['content-encoding'] ?? 'identity') !== 'identity') {
    throw new FetchFailure('refused', 'the answer is compressed, which was not asked for')
  }
  const body = await readBounded(answer.body, maxBytes, () => tooLong(maxBytes))
  return { status: answer.statusCode, headers: flat, body }
}

function tooLong(maxBytes: number): FetchFailure {
  return new FetchFailure('refused', `the answer is longer than ${maxBytes} bytes`)
}
