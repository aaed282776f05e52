/** What the emulator was asked, and what it answered: the half of a test that looks at our requests. */
import type { IncomingHttpHeaders } from 'node:http'

/** The parts of the emulator that requests and faults are told apart by. */
export type EntraEndpoint =
  | 'authorize'
  | 'token'
  | 'keys'
  | 'openid-configuration'
  | 'graph'
  | 'identity'

/** Grant types by their everyday names. */
export type EntraGrant =
  | 'authorization_code'
  | 'refresh_token'
  | 'on_behalf_of'
  | 'client_credentials'

/** One request, with secrets and tokens as they came: tests assert on them. */
export interface LoggedRequest {
  /** When it came, in milliseconds since 1970, by the machine's clock. */
  readonly time: number
  readonly method: string
  readonly path: string
  /** Which part of the emulator it was for; undefined for anything else. */
  readonly endpoint?: EntraEndpoint
  /** The tenant, as the path names it. */
  readonly tenant?: string
  readonly grantType?: EntraGrant
  readonly clientId?: string
  /** Username of the person behind the code, token, assertion, bearer or hint, when known. */
  readonly user?: string
  /** Query and form parameters. */
  readonly params: Readonly<Record<string, string>>
  readonly headers: IncomingHttpHeaders
  /** HTTP status of the answer; undefined when there was none. */
  readonly status?: number
  /** AADSTS number of the refusal. */
  readonly error?: number
  /** False while a request is open, and for ever when it was left hanging or reset. */
  readonly answered: boolean
}

/** The log. */
export interface RequestLog {
  readonly requests: readonly LoggedRequest[]
  /** Adds a request; the function it returns records the answer. */
  add(request: LoggedRequest): (status: number, error: number | undefined) => void
  clear(): void
}

/** An empty log. */
export function createRequestLog(): RequestLog {
  let requests: LoggedRequest[] = []
  return {
    get requests() {
      return requests
    },
    add(request) {
      const entry = { ...request }
      requests.push(entry)
      return (status, error) => {
        Object.assign(entry, { status, answered: true }, error === undefined ? {} : { error })
      }
    },
    clear() {
      requests = []
    },
  }
}
