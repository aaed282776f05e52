/** What Entra's error answers mean for us. */
import { retryAfterSeconds } from '../http/retry-after.js'
import { type Outcome, outcomeByCode, outcomeByError, outcomeBySuberror } from './error-codes.js'
import { EntraError, type EntraErrorDetail, UpstreamOutage } from './errors.js'
import { jsonObject } from './json-object.js'

/** The parts of an HTTP answer that matter here. */
export interface UpstreamAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
  /** Seconds. */
  readonly retryAfter?: number | undefined
}

/**
 * Reads an error answer of the token endpoint. `claims`, `suberror` and `error_codes` decide: Entra reports MFA as
 * `invalid_grant`, so `error` alone says little. Descriptions are never parsed: they change, and they contain names.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/reference-error-codes
 */
export function readFailure(answer: UpstreamAnswer): EntraError {
  const { status, headers, body } = answer
  const fields = jsonObject(body)
  const codes = codesOf(fields.error_codes)
  const error = word(fields.error)
  const suberror = word(fields.suberror)
  const claims = claimsJson(fields.claims)
  const { kind, hint, retryAfter } = outcomeOf({ status, codes, error, suberror, claims })
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
  const message = summarize(detail)
  return kind === 'unavailable'
    ? new UpstreamOutage(message, detail)
    : new EntraError(kind, message, detail)
}

interface Refusal {
  readonly status: number
  readonly codes: readonly number[]
  readonly error: string | undefined
  readonly suberror: string | undefined
  readonly claims: string | undefined
}

function outcomeOf({ status, codes, error, suberror, claims }: Refusal): Outcome {
  if (status === 429 || status >= 500 || error === undefined) return { kind: 'unavailable' }
  const byCode = codes.map((code) => outcomeByCode.get(code)).find((known) => known !== undefined)
  if (byCode?.kind === 'consent_required' || suberror === 'consent_required') {
    return byCode ?? { kind: 'consent_required' }
  }
  // Whatever else the answer says: meeting the challenge comes first.
  if (claims !== undefined) {
    return byCode?.kind === 'interaction_required' ? byCode : { kind: 'interaction_required' }
  }
  const bySuberror = suberror === undefined ? undefined : outcomeBySuberror.get(suberror)
  return byCode ?? bySuberror ?? outcomeByError.get(error) ?? { kind: 'unavailable' }
}

function summarize(detail: EntraErrorDetail & { readonly codes: readonly number[] }): string {
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

function codesOf(value: unknown): readonly number[] {
  if (!Array.isArray(value)) return []
  return value.map(Number).filter((code) => Number.isSafeInteger(code) && code > 0)
}

/** Error codes and ids only, so that no text, line break or markup gets into a log. */
export function word(value: unknown): string | undefined {
  return typeof value === 'string' && /^[\w.-]{1,64}$/.test(value) ? value : undefined
}

/** `claims` is a JSON object inside a string. An empty one asks for nothing. */
function claimsJson(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  return Object.keys(jsonObject(value)).length > 0 ? value : undefined
}
