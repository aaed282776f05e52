/** Faults that tests order: errors, gateway pages, silence, delays and broken connections. */
import { AadstsError } from './errors.js'
import { html, type Reply } from './messages.js'
import { pageLayout } from './pages.js'
import type { EntraEndpoint, EntraGrant, LoggedRequest } from './request-log.js'

/** A fault: which requests it hits, and what they get instead of an answer. */
export interface EntraFault {
  /** The endpoint it hits. */
  readonly at: EntraEndpoint | 'any'
  /** Only token requests with this grant. */
  readonly grant?: EntraGrant
  /** Only requests of this user, by username or object id. */
  readonly user?: string
  /** How many requests it hits. Default: all until it is removed. */
  readonly times?: number
  /** HTTP status. Default 200 with a `body`, 502 with `html`, 429 with `retryAfter`, or the error's own. */
  readonly status?: number
  /** The body, exactly as it is sent. */
  readonly body?: string
  /** Answer with a gateway's HTML page. */
  readonly html?: boolean
  /** Never answer. */
  readonly hang?: boolean
  /** `Retry-After`, in seconds. */
  readonly retryAfter?: number
  /** Wait this many seconds first. Without other members, the usual answer follows. */
  readonly delay?: number
  /** Destroy the connection. */
  readonly reset?: boolean
  /** Refuse with this AADSTS number, as Entra would: JSON, page or redirect. */
  readonly error?: number
  /** `suberror` of the refusal. Default: the usual one of its number. */
  readonly suberror?: string
  /** Claims challenge of the refusal, as the JSON string Entra sends. */
  readonly claims?: string
}

/** The faults in force. */
export interface Faults {
  /** Adds a fault; the function it returns removes it. */
  add(fault: EntraFault): () => void
  /** Finds the first fault that hits the request, and counts it down. */
  take(request: LoggedRequest): EntraFault | undefined
  clear(): void
}

/**
 * Makes an empty list of faults.
 *
 * @param usernameOf the username of a username or object id
 */
export function createFaults(usernameOf: (ref: string) => string): Faults {
  const faults = new Map<EntraFault, number>()
  return {
    add(options) {
      const fault = options.user ? { ...options, user: usernameOf(options.user) } : { ...options }
      faults.set(fault, fault.times ?? Number.POSITIVE_INFINITY)
      return () => void faults.delete(fault)
    },
    take(request) {
      for (const [fault, left] of faults) {
        if (left < 1 || !hits(fault, request)) continue
        faults.set(fault, left - 1)
        return fault
      }
      return undefined
    },
    clear: () => faults.clear(),
  }
}

/** The body or the gateway's page that a fault orders. */
export function orderedReply(fault: EntraFault): Reply | undefined {
  if (fault.html) return html(fault.status ?? 502, fault.body ?? gatewayPage)
  if (fault.body === undefined) return undefined
  const headers = { 'Content-Type': 'application/json; charset=utf-8' }
  return { status: fault.status ?? 200, headers, body: fault.body }
}

/** The refusal that a fault orders, by number, by status or by `retryAfter`. */
export function orderedError(fault: EntraFault): AadstsError | undefined {
  const { error, status, suberror, claims, retryAfter } = fault
  if (error === undefined && status === undefined && retryAfter === undefined) return undefined
  const code = error ?? (retryAfter === undefined ? 90033 : 90055)
  return new AadstsError(code, 'Ordered by a test.', { status, suberror, claims })
}

/** The `Retry-After` header that a fault orders. */
export function retryAfter({ retryAfter: seconds }: EntraFault): Reply['headers'] {
  return seconds === undefined ? {} : { 'Retry-After': String(seconds) }
}

const gatewayPage = pageLayout('502 Bad Gateway', '<h1>502 Bad Gateway</h1>')

function hits({ at, grant, user }: EntraFault, request: LoggedRequest): boolean {
  return (
    request.endpoint !== undefined &&
    (at === 'any' || at === request.endpoint) &&
    (grant === undefined || grant === request.grantType) &&
    (user === undefined || user === request.user)
  )
}
