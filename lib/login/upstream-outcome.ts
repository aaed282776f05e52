/** What a client is told when Entra says no, or says nothing. Entra's own words stay with the operator. */

import type { EntraError } from '../entra/errors.js'
import type { Report, ReportedEvent } from '../http/report.js'
import { OAuthError } from '../oauth/errors.js'

/** What the operator gets to see of a failure at Entra. */
export function upstreamDetail(error: EntraError): Record<string, unknown> {
  const { kind, message, codes, suberror, status, correlationId, traceId, hint } = error
  return { reason: kind, detail: message, codes, suberror, status, correlationId, traceId, hint }
}

/** Reports a failure at Entra: loudly when it is our own configuration. */
export function reportUpstream(
  report: Report,
  where: string,
  error: EntraError,
  origin?: ReportedEvent['origin'],
): void {
  const name =
    error.kind === 'misconfigured' || error.kind === 'unavailable' ? 'failure' : 'refusal'
  report(name, { endpoint: where, ...upstreamDetail(error), origin })
}

/** For the callback: goes to the client by redirect. @see RFC 6749 section 4.1.2.1 */
export function loginOutcome(error: EntraError): OAuthError {
  const options = { cause: error }
  switch (error.kind) {
    case 'unavailable':
      return new OAuthError(
        'temporarily_unavailable',
        'Microsoft Entra cannot be reached. Try again shortly.',
        options,
      )
    case 'access_denied':
    case 'interaction_required':
    case 'consent_required':
      return new OAuthError('access_denied', 'Microsoft Entra did not let the user in.', options)
    case 'misconfigured':
      return new OAuthError(
        'server_error',
        'This server is not set up correctly. Its operator has been told why.',
        options,
      )
    default:
      return new OAuthError(
        'server_error',
        'The sign-in could not be completed. Try again.',
        options,
      )
  }
}

/** For a refresh: an outage or a fault of ours is a 503, everything else ends the login. */
export function refreshOutcome(error: EntraError): OAuthError {
  const options = { cause: error }
  if (error.kind === 'unavailable' || error.kind === 'misconfigured') {
    return new OAuthError(
      'temporarily_unavailable',
      'The token cannot be refreshed right now. Try again shortly.',
      {
        ...options,
        retryAfter: error.retryAfter ?? 5,
      },
    )
  }
  return new OAuthError('invalid_grant', 'The login has ended. Sign in again.', options)
}
