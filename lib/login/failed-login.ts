/** A login that did not succeed: what the operator sees of it, and what the client hears. */
import { aadstsCodesIn } from '../entra/aadsts-codes.js'
import { type Outcome, outcomeByCode, outcomeByError } from '../entra/error-codes.js'
import { EntraError, isAlreadyRedeemed, isMalformedRequest } from '../entra/errors.js'
import { type EventFacts, factsOf } from '../http/event-facts.js'
import type { Report } from '../http/report.js'
import { OAuthError, type OAuthErrorCode } from '../oauth/errors.js'
import { loginOutcome, reportUpstream } from './upstream-outcome.js'

/** Codes that reach the client unchanged; everything else is between Entra and us. */
const passedOn: readonly OAuthErrorCode[] = [
  'access_denied',
  'login_required',
  'interaction_required',
  'consent_required',
  'account_selection_required',
  'temporarily_unavailable',
]

/** Whether Entra or the user said no: an outage and a failure of ours are something else. */
export function isLoginRefusal({ code }: OAuthError): boolean {
  return code !== 'temporarily_unavailable' && passedOn.includes(code)
}

/**
 * Reports an error that Entra sent through the browser instead of a code.
 *
 * @param description Entra's text: only the AADSTS numbers in it are reported
 * @param facts about the login
 * @returns the error for the client
 */
export function refuseByEntra(
  report: Report,
  error: string,
  description: string | undefined,
  facts: EventFacts,
): OAuthError {
  const codes = aadstsCodesIn(description ?? '')
  const code = passedOn.find((known) => known === error) ?? 'server_error'
  const refusal = new OAuthError(code, 'Microsoft Entra did not complete the sign-in.', {
    cause: { codes },
  })
  const outcome = outcomeOf(error, codes)
  const event = {
    endpoint: 'callback',
    reason: 'entra_error',
    error: code,
    codes,
    hint: outcome?.hint,
    // The browser brings this error, and nothing proves that Entra sent it.
    origin: 'stranger',
  } as const
  const isFailure = refusal.status >= 500 || outcome?.kind === 'misconfigured'
  report(isFailure ? 'failure' : 'refusal', event, facts)
  return refusal
}

/** A number says more than the error: Entra has `invalid_client` for a scope that does not exist. */
function outcomeOf(error: string, codes: readonly number[]): Outcome | undefined {
  const known = codes.map((code) => outcomeByCode.get(code)).find((found) => found !== undefined)
  return known ?? outcomeByError.get(error)
}

/**
 * Reports what ended a login.
 *
 * @param facts about the login
 * @param alreadyReported whether {@link refuseByEntra} has reported it as a failure
 * @returns the error for the client
 * @throws OAuthError `access_denied`, to show on a page, when this sign-in has been completed before
 */
export function concludeFailedLogin(
  report: Report,
  error: unknown,
  facts: EventFacts,
  alreadyReported: boolean,
): OAuthError {
  if (error instanceof EntraError) return concludeUpstreamFailure(report, error, facts)
  if (error instanceof OAuthError) {
    const all = { ...facts, ...factsOf(error) }
    if (isMisconfiguration(error.cause)) reportMisconfiguration(report, error.cause, all)
    else if (error.status < 500) reportRefusal(report, error, all)
    else if (!alreadyReported) reportFailure(report, error, all)
    return error
  }
  report('failure', { endpoint: 'callback', reason: 'unexpected', error }, facts)
  return new OAuthError('server_error', 'The sign-in could not be completed. Try again.', {
    cause: error,
  })
}

function concludeUpstreamFailure(report: Report, cause: EntraError, facts: EventFacts): OAuthError {
  // The code comes from the browser too, and may be made up.
  const origin = isMalformedRequest(cause) ? 'stranger' : undefined
  reportUpstream(report, 'callback', cause, facts, origin)
  if (isAlreadyRedeemed(cause)) {
    // The client gets the answer of the first redemption: an error by redirect could arrive before it.
    throw new OAuthError('access_denied', 'This sign-in has been completed already.', {
      cause,
      situation: 'signInCompleted',
    })
  }
  return loginOutcome(cause)
}

/** Entra itself has sent tokens that show what is wrong with the registration: no user can do anything about it. */
function isMisconfiguration(cause: unknown): cause is EntraError {
  return cause instanceof EntraError && cause.kind === 'misconfigured'
}

function reportMisconfiguration(report: Report, cause: EntraError, facts: EventFacts): void {
  const { kind: reason, message: detail, hint } = cause
  report('failure', { endpoint: 'callback', reason, detail, hint }, facts)
}

function reportRefusal(report: Report, error: OAuthError, facts: EventFacts): void {
  const { code: outcome, description: detail, cause } = error
  report('login', { outcome, detail, cause }, facts)
}

function reportFailure(report: Report, error: OAuthError, facts: EventFacts): void {
  const { code: reason, description: detail, cause } = error
  report('failure', { endpoint: 'callback', reason, detail, cause }, facts)
}
