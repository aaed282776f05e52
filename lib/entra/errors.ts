/** Failures at Entra. */

/**
 * What to do about a failure at Entra.
 *
 * - `invalid_grant`: the login has ended; the user signs in again
 * - `interaction_required`: MFA or Conditional Access; the next login carries `claims`
 * - `consent_required`: nobody has consented to this client using that API
 * - `access_denied`: this user is not allowed
 * - `invalid_assertion`: the token given to on-behalf-of cannot be used
 * - `app_only`: on-behalf-of needs a user, and the token has none
 * - `misconfigured`: only the operator can help; see `hint`
 * - `unavailable`: try again later; nothing is lost
 */
export type EntraFailureKind =
  | 'invalid_grant'
  | 'interaction_required'
  | 'consent_required'
  | 'access_denied'
  | 'invalid_assertion'
  | 'app_only'
  | 'misconfigured'
  | 'unavailable'

/** Details of an {@link EntraError}. */
export interface EntraErrorDetail {
  /** AADSTS numbers. */
  readonly codes?: readonly number[]
  readonly error?: string | undefined
  readonly suberror?: string | undefined
  /** JSON to be sent as the `claims` parameter of the next login. */
  readonly claims?: string | undefined
  /** HTTP status of Entra's answer, if there was one. */
  readonly status?: number | undefined
  readonly correlationId?: string | undefined
  readonly traceId?: string | undefined
  /** Seconds. */
  readonly retryAfter?: number | undefined
  /** What the operator should do: the portal setting or the command. */
  readonly hint?: string | undefined
  /** Entra's own words. Not enumerable, so that no logger writes them by default. */
  readonly description?: string | undefined
  readonly cause?: unknown
}

/**
 * A failure at Entra. Its message and enumerable properties are safe to log: AADSTS numbers, correlation and trace id,
 * but no token and none of Entra's text.
 */
export class EntraError extends Error {
  override readonly name: string = 'EntraError'
  readonly kind: EntraFailureKind
  readonly codes: readonly number[]
  readonly error: string | undefined
  readonly suberror: string | undefined
  readonly claims: string | undefined
  readonly status: number | undefined
  readonly correlationId: string | undefined
  readonly traceId: string | undefined
  readonly retryAfter: number | undefined
  readonly hint: string | undefined
  /** Entra's own words, which contain names of users and tenants. Not enumerable. */
  declare readonly description: string | undefined

  constructor(kind: EntraFailureKind, message: string, detail: EntraErrorDetail = {}) {
    super(message, detail.cause === undefined ? {} : { cause: detail.cause })
    this.kind = kind
    this.codes = detail.codes ?? []
    this.error = detail.error
    this.suberror = detail.suberror
    this.claims = detail.claims
    this.status = detail.status
    this.correlationId = detail.correlationId
    this.traceId = detail.traceId
    this.retryAfter = detail.retryAfter
    this.hint = detail.hint
    Object.defineProperty(this, 'description', { value: detail.description })
  }
}

/** Entra did not answer, or its answer made no sense. Nothing is lost: try again later. */
export class UpstreamOutage extends EntraError {
  override readonly name = 'UpstreamOutage'

  constructor(message: string, detail: EntraErrorDetail = {}) {
    super('unavailable', message, detail)
  }
}

/** Whether the authorization code had been redeemed before (AADSTS54005). */
export function isAlreadyRedeemed({ codes }: EntraError): boolean {
  return codes.includes(54005)
}

/** Whether what was sent as a code or a token is not one at all (AADSTS9002313): that says nothing about our setup. */
export function isMalformedRequest({ codes }: EntraError): boolean {
  return codes.includes(9002313)
}
