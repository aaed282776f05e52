/**
 * HTTP towards Entra: keep-alive connections, one deadline for the whole call, a bounded body. `undici`'s
 * `request` costs half the CPU of the global `fetch`.
 */
import type { Agent } from 'undici'
import { flattenHeaders } from '../http/flatten-headers.js'
import { readBounded } from '../http/read-bounded.js'
import { retryAfterSeconds } from '../http/retry-after.js'
import { loadUndici } from '../http/undici.js'
import { UpstreamOutage } from './errors.js'

/** A request to Entra. */
export interface UpstreamRequest {
  readonly method: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Seconds for the whole call: connecting, waiting and reading the body. */
  readonly timeout: number
  /** Longest body, in bytes; a longer one is an outage. */
  readonly maxBytes?: number
}

/** A response, whatever its status. Header names are in lower case. */
export interface UpstreamResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
  /** Seconds. */
  readonly retryAfter?: number
}

const megabyte = 1024 * 1024

// Undici unreferences idle sockets, so the agent keeps no process alive. Its short keep-alive (4 s) stays below what
// servers and load balancers allow, so a socket is hardly ever closed during a request.
let agent: Agent | undefined

/**
 * Makes one request. No redirects, no retries, no `Origin` header (AADSTS9002326).
 *
 * @throws UpstreamOutage when there is no whole response: refused, reset, too slow, too long
 */
export async function fetchUpstream(
  url: string,
  options: UpstreamRequest,
): Promise<UpstreamResponse> {
  const { method, headers = {}, body = null, timeout, maxBytes = megabyte } = options
  // Before the deadline starts: it is for Entra, and loading holds up everything else.
  const { Agent, request } = await loadUndici()
  agent ??= new Agent()
  const signal = AbortSignal.timeout(Math.max(1, Math.ceil(timeout * 1000)))
  const tooLong = () => new UpstreamOutage(`an answer is longer than ${maxBytes} bytes`)
  try {
    const answer = await request(url, { dispatcher: agent, method, headers, body, signal })
    const flat = flattenHeaders(answer.headers)
    const retryAfter = retryAfterSeconds(flat['retry-after'])
    return {
      status: answer.statusCode,
      headers: flat,
      body: (await readBounded(answer.body, maxBytes, tooLong)).toString('utf8'),
      ...(retryAfter !== undefined && { retryAfter }),
    }
  } catch (cause) {
    if (cause instanceof UpstreamOutage) throw cause
    const what = signal.aborted
      ? `did not answer within ${Math.round(timeout * 10) / 10} s`
      : 'cannot be reached'
    throw new UpstreamOutage(`${new URL(url).host} ${what}`, { cause })
  }
}
