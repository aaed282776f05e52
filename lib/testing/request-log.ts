/** The requests to the emulator and its answers, for tests that assert on them. */
import type { IncomingHttpHeaders } from 'node:http'

/** The parts of the emulator, as requests and faults name them. */
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
  | 'user_fic'

/** One request, including its secrets and tokens, so that tests can assert on them. */
export interface LoggedRequest {
  /** When it arrived, in milliseconds since the epoch, by the machine's clock. */
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
  /** False while a request is open. It stays false when the request was left hanging or reset. */
  readonly answered: boolean
}

/** The requests so far. */
export interface RequestLog {
  readonly requests: readonly LoggedRequest[]
  /** Adds a request; the function it returns records the answer. */
  add(request: LoggedRequest): (status: number, error: number | undefined) => void
  clear(): void
}

/** Makes an empty log. */
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
