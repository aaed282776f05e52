/** What Entra's refusals mean for us. Their texts are never parsed: they change, and they leak names. */

import { retryAfterSeconds } from '../http/retry-after.js'
import { outcomeByCode, outcomeByError, outcomeBySuberror } from './error-codes.js'

/**
 * What to do about a failure.
 *
 * - `invalid_grant`: the login has ended, the user signs in again
 * - `interaction_required`: MFA or Conditional Access; `claims` belong into the next login
 * - `consent_required`: nobody consented to this client using that API
 * - `access_denied`: this user may not
 * - `invalid_assertion`: the token given to on-behalf-of cannot be used
 * - `app_only`: on-behalf-of needs a user and the token has none
 * - `misconfigured`: only the operator can help; see `hint`
 * - `unavailable`: try again later, nothing is lost
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

/** What an {@link EntraError} may know. */
export interface EntraErrorDetail {
  /** AADSTS numbers. */
  readonly codes?: readonly number[]
  readonly error?: string | undefined
  readonly suberror?: string | undefined
  /** JSON to be sent as the `claims` parameter of the next login. */
  readonly claims?: string | undefined
  /** HTTP status of Entra's answer, when there was one. */
  readonly status?: number | undefined
  readonly correlationId?: string | undefined
  readonly traceId?: string | undefined
  /** Seconds. */
  readonly retryAfter?: number | undefined
  /** What the operator should do: the portal setting or the command. */
  readonly hint?: string | undefined
  /** Entra's own words. Kept out of enumeration, so that no logger writes it by default. */
  readonly description?: string | undefined
  readonly cause?: unknown
}

/**
 * A failure at Entra. Message and enumerable properties are fit for a log: AADSTS numbers, correlation
 * and trace id, no token and none of Entra's text.
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
  /** Entra's own words: they hold names of users and tenants. Not enumerable. */
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

/** Entra did not answer, or answered with something that is no answer. Nothing is lost: try again later. */
export class UpstreamOutage extends EntraError {
  override readonly name = 'UpstreamOutage'

  constructor(message: string, detail: EntraErrorDetail = {}) {
    super('unavailable', message, detail)
  }
}

/** An HTTP answer, as far as it matters here. */
export interface UpstreamAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
  /** Seconds. */
  readonly retryAfter?: number | undefined
}

/**
 * What a token endpoint's answer that is no success means. Decided by `claims`, `suberror` and
 * `error_codes`: Entra reports MFA as `invalid_grant`, so `error` alone says little.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/reference-error-codes
 */
export function entraFailure(answer: UpstreamAnswer): EntraError {
  const { status, headers, body } = answer
  const fields = jsonObject(body)
  const codes = numbers(fields.error_codes)
  const error = word(fields.error)
  const suberror = word(fields.suberror)
  const claims = claimsJson(fields.claims)
  const { kind, hint, retryAfter } = outcome({ status, codes, error, suberror, claims })
  const detail = {
    codes,
    error,
    suberror,
    claims,
    status,
    hint,
    correlationId: word(fields.correlation_id) ?? word(headers['client-request-id']),
    traceId: word(fields.trace_id) ?? word(headers['x-ms-request-id']),
    retryAfter: answer.retryAfter ?? retryAfterSeconds(headers['retry-after']) ?? retryAfter,
    description:
      typeof fields.error_description === 'string' ? fields.error_description : undefined,
  }
  const message = summary(detail)
  return kind === 'unavailable'
    ? new UpstreamOutage(message, detail)
    : new EntraError(kind, message, detail)
}

/** What a failure asks for: its kind, and for the operator what fixes it. */
export interface Outcome {
  readonly kind: EntraFailureKind
  readonly hint?: string
  /** Seconds to wait, when Entra names none. */
  readonly retryAfter?: number
}

interface Refusal {
  readonly status: number
  readonly codes: readonly number[]
  readonly error: string | undefined
  readonly suberror: string | undefined
  readonly claims: string | undefined
}

function outcome({ status, codes, error, suberror, claims }: Refusal): Outcome {
  if (status === 429 || status >= 500 || error === undefined) return { kind: 'unavailable' }
  const byCode = codes.map((code) => outcomeByCode.get(code)).find((known) => known !== undefined)
  if (byCode?.kind === 'consent_required' || suberror === 'consent_required') {
    return byCode ?? { kind: 'consent_required' }
  }
  // What a challenge comes with, whatever else is said, is answered by meeting the challenge.
  if (claims !== undefined) return { kind: 'interaction_required' }
  const bySuberror = suberror === undefined ? undefined : outcomeBySuberror.get(suberror)
  return byCode ?? bySuberror ?? outcomeByError.get(error) ?? { kind: 'unavailable' }
}

function summary(detail: EntraErrorDetail & { readonly codes: readonly number[] }): string {
  const { status, codes, error, suberror, correlationId, traceId } = detail
  const parts = [
    `HTTP ${status}`,
    codes.map((code) => `AADSTS${code}`).join(', '),
    [error, suberror].filter((part) => part !== undefined).join('/'),
    correlationId && `correlation id ${correlationId}`,
    traceId && `trace id ${traceId}`,
  ]
  return `Entra refused: ${parts.filter((part) => part).join(', ')}`
}

function jsonObject(body: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function numbers(value: unknown): readonly number[] {
  if (!Array.isArray(value)) return []
  return value.map(Number).filter((code) => Number.isSafeInteger(code) && code > 0)
}

/** Error codes and ids, nothing that could carry text, line breaks or markup into a log. */
function word(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w.-]{1,64}$/.test(value) ? value : undefined
}

/** `claims` is a JSON object inside a string; an empty one asks for nothing. */
function claimsJson(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  return Object.keys(jsonObject(value)).length > 0 ? value : undefined
}
