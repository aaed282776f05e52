/**
 * Fetching what strangers name: https only, to public addresses only, each connection pinned to an address
 * that was checked, no redirects, and little of everything. Without this a stranger reads through us what
 * only we can reach (SSRF), by name, by rebinding DNS or by an address in disguise.
 */
import { Resolver } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import { Client, type Dispatcher, ProxyAgent } from 'undici'
import { isLoopbackAddress, isPublicAddress } from '../oauth/public-address.js'

/** Why there is nothing: `refused` will not change by asking again soon, an `outage` may. */
export type FetchFailureKind = 'refused' | 'outage'

/** Nothing was fetched. The message may be told to a stranger; the cause is the operator's. */
export class FetchFailure extends Error {
  override readonly name = 'FetchFailure'

  constructor(
    readonly kind: FetchFailureKind,
    message: string,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? {} : { cause })
  }
}

/** How to reach the outside. */
export interface SafeFetchOptions {
  /** Addresses of a host (default: A and AAAA records). */
  readonly resolve?: ((host: string) => Promise<readonly string[]>) | undefined
  /** Ports to connect to (default 443 alone). */
  readonly ports?: readonly number[] | undefined
  /** Certificate authorities to trust instead of the public ones, in PEM. */
  readonly ca?: string | readonly string[] | undefined
  /** A proxy that makes the connections, and looks the hosts up: what it may reach is its own decision. */
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
}

/** What came back. Header names are in lower case. */
export interface SafeResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Buffer
}

/** @throws FetchFailure */
export type SafeFetch = (url: URL, request: SafeRequest) => Promise<SafeResponse>

/** Fetches under way at once: strangers decide how many there are. */
const mostFetches = 64
/** Addresses of one host that are tried. */
const mostAddresses = 8

/** Makes a fetch that may be told any URL. */
export function safeFetch(options: SafeFetchOptions = {}): SafeFetch {
  let running = 0
  return async function fetchSafely(url, request) {
    if (running >= mostFetches) throw new FetchFailure('outage', 'Too many documents at once')
    running += 1
    try {
      return await withinDeadline(request.timeout, (signal) =>
        fetchOnce(url, request, options, signal),
      )
    } finally {
      running -= 1
    }
  }
}

/** The deadline holds for what cannot be aborted, too. */
async function withinDeadline<T>(
  seconds: number,
  operation: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new FetchFailure('outage', `no answer within ${seconds} seconds`))
      controller.abort()
    }, seconds * 1000)
  })
  try {
    return await Promise.race([operation(controller.signal), deadline])
  } finally {
    clearTimeout(timer)
  }
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
      : proxied(url, options.proxy, request, options)
  try {
    return await exchange(url, dispatcher, request, signal)
  } catch (cause) {
    if (cause instanceof FetchFailure) throw cause
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
  { resolve = resolvePublic, dangerouslyAllowLoopback = false }: SafeFetchOptions,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const addresses = isIP(host) > 0 ? [host] : await resolved(host, resolve)
  signal.throwIfAborted()
  const forbidden = addresses.find(
    (address) =>
      !isPublicAddress(address) && !(dangerouslyAllowLoopback && isLoopbackAddress(address)),
  )
  if (addresses.length > 0 && forbidden === undefined) return addresses.slice(0, mostAddresses)
  // The same words for no address and for one of ours: a stranger learns no names of this network.
  throw new FetchFailure('refused', 'the host has no public address', { host, forbidden })
}

async function resolved(
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
async function resolvePublic(host: string): Promise<readonly string[]> {
  const resolver = new Resolver({ timeout: 2000, tries: 2 })
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

/** What an address says about itself is checked even when the proxy looks names up. */
function proxied(
  url: URL,
  proxy: string,
  request: SafeRequest,
  options: SafeFetchOptions,
): Dispatcher {
  const host = hostOf(url)
  const inside = isIP(host) > 0 ? !isPublicAddress(host) : !host.includes('.')
  if (inside && !options.dangerouslyAllowLoopback) {
    throw new FetchFailure('refused', 'the host has no public address', { host })
  }
  return new ProxyAgent({
    uri: proxy,
    proxyTls: connecting(request),
    requestTls: { ...connecting(request), ...trust(options) },
  })
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
  const flat = flattened(answer.headers)
  if (Number(flat['content-length'] ?? 0) > maxBytes) throw tooLong(maxBytes)
  if ((flat['content-encoding'] ?? 'identity') !== 'identity') {
    throw new FetchFailure('refused', 'the answer is compressed, which was not asked for')
  }
  return { status: answer.statusCode, headers: flat, body: await readBody(answer.body, maxBytes) }
}

async function readBody(body: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > maxBytes) throw tooLong(maxBytes)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function tooLong(maxBytes: number): FetchFailure {
  return new FetchFailure('refused', `the answer is longer than ${maxBytes} bytes`)
}

function flattened(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string | undefined> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(', ') : value,
    ]),
  )
}
