/**
 * HTTP towards Entra: keep-alive connections, one deadline over the whole call, a bounded body. `undici`'s
 * `request` costs half the CPU of the global `fetch`.
 */
import { Agent, request } from 'undici'
import { retryAfterSeconds } from '../http/retry-after.js'
import { UpstreamOutage } from './errors.js'

/** What to ask. */
export interface UpstreamRequest {
  readonly method: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Seconds for the whole call: connecting, waiting and reading the body. */
  readonly timeout: number
  /** Longest body, in bytes; a longer one is an outage. */
  readonly maxBytes?: number
}

/** What came back, whatever its status. Header names are in lower case. */
export interface UpstreamResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
  /** Seconds. */
  readonly retryAfter?: number
}

const megabyte = 1024 * 1024

// Idle sockets are unreferenced by undici, so this keeps no process alive. Its short keep-alive (4 s) stays
// below what servers and load balancers allow, so a socket is hardly ever closed under a request.
const agent = new Agent()

/**
 * Makes one request. No redirects, no retries, no `Origin` header (AADSTS9002326).
 *
 * @throws UpstreamOutage when there is no whole answer: refused, reset, too slow, too long
 */
export async function fetchUpstream(
  url: string,
  options: UpstreamRequest,
): Promise<UpstreamResponse> {
  const { method, headers = {}, body = null, timeout, maxBytes = megabyte } = options
  const signal = AbortSignal.timeout(Math.max(1, Math.ceil(timeout * 1000)))
  try {
    const answer = await request(url, { dispatcher: agent, method, headers, body, signal })
    const flat = flattened(answer.headers)
    const retryAfter = retryAfterSeconds(flat['retry-after'])
    return {
      status: answer.statusCode,
      headers: flat,
      body: await readBody(answer.body, maxBytes),
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

async function readBody(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    // Leaving the loop destroys the body, and with it the connection.
    if (length > maxBytes) throw new UpstreamOutage(`an answer is longer than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
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
