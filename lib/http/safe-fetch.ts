/**
 * Fetches URLs from strangers: https only, public addresses only, each connection pinned to an address that was checked,
 * no redirects, and with tight limits. Without this a stranger could read through us what only we can reach (SSRF), by
 * name, by rebinding DNS or by an address in disguise.
 */

import { Resolver } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import type { Dispatcher } from 'undici'
import { boundedMap } from '../async/bounded-map.js'
import { withinDeadline } from '../async/deadline.js'
import { monotonicNow } from '../async/monotonic-now.js'
import { isLoopbackAddress, isLoopbackHost } from '../oauth/loopback.js'
import { hasUserinfo } from '../oauth/userinfo.js'
import { type FetchLimits, type FetchSlot, fetchSlots } from './fetch-slots.js'
import { flattenHeaders } from './flatten-headers.js'
import { isPublicAddress } from './public-address.js'
import { readBounded } from './read-bounded.js'
import { loadUndici } from './undici.js'

/**
 * Why nothing was fetched. `gone`: the host says that it does not exist. `refused`: asking again soon will not help.
 * `denied`: the host answered with an error of its own. `outage`: the host could not be reached. `busy`: this server
 * gave the fetch up, which says nothing about the host.
 */
export type FetchFailureKind = 'gone' | 'refused' | 'denied' | 'outage' | 'busy'

/** A fetch failed. The message may be shown to strangers; the cause is for the operator. */
export class FetchFailure extends Error {
  override readonly name = 'FetchFailure'
  /** A short text, because TLS errors hold whole certificates and failures are remembered. */
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
  // There is one error for each address that was tried, and they are alike.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause
  if (!(first instanceof Error)) return String(first).slice(0, longestCause)
  const { code } = first as NodeJS.ErrnoException
  const prefix = typeof code === 'string' && !first.message.includes(code) ? `${code} ` : ''
  return `${prefix}${first.message}`.slice(0, longestCause)
}

/** How to reach the outside. */
export interface SafeFetchOptions {
  /** Addresses of a host (default: A and AAAA records). */
  readonly resolve?: ((host: string) => Promise<readonly string[]>) | undefined
  /** Ports to connect to (default 443 alone). */
  readonly ports?: readonly number[] | undefined
  /** Certificate authorities to trust instead of the public ones, in PEM. */
  readonly ca?: string | readonly string[] | undefined
  /** A proxy that looks the hosts up and connects to them. Except for `localhost`, it decides what may be reached. */
  readonly proxy?: string | undefined
  /** For tests: loopback addresses, on any port. */
  readonly dangerouslyAllowLoopback?: boolean | undefined
}

/** One request: a GET. */
export interface SafeRequest {
  readonly headers?: Readonly<Record<string, string>>
  /** Longest body, in bytes. */
  readonly maxBytes: number
  /** Seconds for the whole request: looking up, connecting, waiting and reading. */
  readonly timeout: number
  /** Who caused it, as an opaque key: too many fetches of one sender end only their own. */
  readonly sender?: string | undefined
}

/** The response. Header names are in lower case. */
export interface SafeResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Buffer
}

/** @throws FetchFailure */
export type SafeFetch = (url: URL, request: SafeRequest) => Promise<SafeResponse>

const longestCause = 200
/** Fetches under way at once from unknown hosts. */
const openLimits: FetchLimits = { total: 192, perSender: 128, perHost: 32 }
/** And from hosts that have answered lately, so that unknown hosts never get in their way. */
const reservedLimits: FetchLimits = { total: 64, perSender: 48, perHost: 32 }
/** Milliseconds for which a host counts as known after an answer. */
const knownFor = 24 * 3600 * 1000
const knownHostsBytes = 512 * 1024
/** Addresses of one host that are tried. */
const mostAddresses = 8
const notPublic = 'the host has no public address'

/** Addresses that the operator has named: any https one, inside or outside, and http on loopback. */
export type VouchedFor = (url: URL) => boolean

/**
 * Makes a fetch that is safe with any URL.
 *
 * @param monotonic milliseconds on a clock that only goes forward
 * @param isVouchedFor the addresses to which the rules for strangers do not apply (default: none)
 */
export function safeFetch(
  given: SafeFetchOptions = {},
  monotonic = monotonicNow,
  isVouchedFor: VouchedFor = () => false,
): SafeFetch {
  const options = { ...given, isVouchedFor }
  const giveWay = () => new FetchFailure('busy', 'this server has too many documents to fetch')
  const open = fetchSlots(openLimits, giveWay)
  const reserved = fetchSlots(reservedLimits, giveWay)
  const answeredAt = boundedMap<number>({ maxBytes: knownHostsBytes, sizeOf: () => 8 })

  return async function fetchSafely(url, request) {
    // Before the deadline starts: it is for the host, and loading holds up everything else.
    await loadUndici()
    const { host } = url
    const seen = answeredAt.get(host)
    const slots = seen !== undefined && monotonic() - seen < knownFor ? reserved : open
    const slot = slots.enter({ host, sender: request.sender ?? '' })
    try {
      const answer = await fetchInSlot(url, request, options, slot)
      answeredAt.set(host, monotonic())
      return answer
    } catch (error) {
      // A host that no longer answers must not take the places of those that do.
      if (error instanceof FetchFailure && error.kind === 'outage') answeredAt.delete(host)
      throw error
    } finally {
      slot.leave()
    }
  }
}

/** Options, and whom the operator trusts. */
interface FetchRules extends SafeFetchOptions {
  readonly isVouchedFor: VouchedFor
}

/** Fetches until the deadline, or until the slot is needed for another fetch, even where fetching cannot be aborted. */
function fetchInSlot(
  url: URL,
  request: SafeRequest,
  options: FetchRules,
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
  options: FetchRules,
  signal: AbortSignal,
): Promise<SafeResponse> {
  const dispatcher = await connectTo(url, request, options, signal)
  try {
    return await sendRequest(url, dispatcher, request, signal)
  } catch (cause) {
    if (cause instanceof FetchFailure) throw cause
    signal.throwIfAborted()
    throw new FetchFailure('outage', 'the host cannot be reached', cause)
  } finally {
    // A connection is for one request: the next one looks the host up again.
    dispatcher.destroy().catch(() => {})
  }
}

async function connectTo(
  url: URL,
  request: SafeRequest,
  options: FetchRules,
  signal: AbortSignal,
): Promise<Dispatcher> {
  const vouched = options.isVouchedFor(url)
  if (vouched) checkVouchedUrl(url)
  else checkUrl(url, options)
  // No proxy leads to loopback.
  if (options.proxy !== undefined && !(vouched && isLoopbackHost(url.hostname))) {
    return proxyConnection(options.proxy, request, options)
  }
  return vouched
    ? directConnection(url, request, options)
    : pinnedConnection(url, request, options, signal)
}

function checkVouchedUrl(url: URL): void {
  const { protocol, hostname } = url
  if (protocol !== 'https:' && !(protocol === 'http:' && isLoopbackHost(hostname))) {
    throw new FetchFailure('refused', 'the URL is not https')
  }
  if (hasUserinfo(url)) throw new FetchFailure('refused', 'the URL has userinfo')
}

/** Looks the host up as everything else on this machine does: names inside need not be in the public DNS. */
async function directConnection(
  url: URL,
  request: SafeRequest,
  options: SafeFetchOptions,
): Promise<Dispatcher> {
  const { Client } = await loadUndici()
  return new Client(url.origin, {
    connect: { ...connectOptions(request), ...trustOptions(options) },
  })
}

function checkUrl(url: URL, { ports = [443], dangerouslyAllowLoopback }: SafeFetchOptions): void {
  if (url.protocol !== 'https:') throw new FetchFailure('refused', 'the URL is not https')
  if (hasUserinfo(url)) throw new FetchFailure('refused', 'the URL has userinfo')
  const port = url.port === '' ? 443 : Number(url.port)
  if (!ports.includes(port) && !dangerouslyAllowLoopback) {
    throw new FetchFailure('refused', `port ${port} is not one this server connects to`)
  }
  // Checked here because a proxy may do the lookup: some hosts are inside by their name or address alone.
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
  const { Client } = await loadUndici()
  const addresses = await findAllowedAddresses(hostOf(url), options, signal)
  // With `lookup` the name stays in SNI and Host. A literal address is never looked up.
  const connect = {
    lookup: pinLookup(addresses),
    ...connectOptions(request),
    ...trustOptions(options),
  }
  return new Client(url.origin, { connect })
}

/** The addresses of the host. All of them must be allowed: a name with one internal address is refused. */
async function findAllowedAddresses(
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
  // The same message for no address and for an internal one, so that strangers learn no names of this network. A name
  // without an address is an outage, because while DNS is broken no name has one.
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

function pinLookup(addresses: readonly string[]): LookupFunction {
  const entries = addresses.map((address) => ({ address, family: isIP(address) }))
  const [first = { address: '', family: 0 }] = entries
  return (_host, options, callback) => {
    if (options.all) callback(null, entries)
    else callback(null, first.address, first.family)
  }
}

async function proxyConnection(
  proxy: string,
  request: SafeRequest,
  options: SafeFetchOptions,
): Promise<Dispatcher> {
  const { ProxyAgent } = await loadUndici()
  return new ProxyAgent({
    uri: proxy,
    proxyTls: connectOptions(request),
    requestTls: { ...connectOptions(request), ...trustOptions(options) },
  })
}

/** Whether the spelling alone shows that a host is not public: by its address, as loopback, or without a domain. */
function isInside(host: string): boolean {
  if (isIP(host) > 0) return !isPublicAddress(host)
  // A fully qualified name may end with a dot.
  const name = host.replace(/\.+$/, '')
  return !name.includes('.') || isLoopbackHost(name)
}

/** Without a timeout, a handshake that never ends would keep its socket beyond the deadline. */
function connectOptions({ timeout }: SafeRequest): { timeout: number } {
  return { timeout: timeout * 1000 }
}

function trustOptions({ ca }: SafeFetchOptions): { ca?: string | string[] } {
  if (ca === undefined) return {}
  return { ca: typeof ca === 'string' ? ca : [...ca] }
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

async function sendRequest(
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
