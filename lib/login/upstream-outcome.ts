/** What a client hears when Entra refuses or does not answer. Entra's own words stay with the operator. */
import type { EntraError } from '../entra/errors.js'
import type { EventFacts } from '../http/event-facts.js'
import type { EventOrigin } from '../http/events.js'
import type { Report } from '../http/report.js'
import { OAuthError } from '../oauth/errors.js'

/** What the operator sees of a failure at Entra. */
export function upstreamDetail(error: EntraError) {
  const { kind, message, codes, suberror, status, correlationId, traceId, hint } = error
  return { reason: kind, detail: message, codes, suberror, status, correlationId, traceId, hint }
}

/** Reports what Entra answered: as a failure when it is out of reach or this server is misconfigured. */
export function reportUpstream(
  report: Report,
  endpoint: string,
  error: EntraError,
  facts: EventFacts,
  origin?: EventOrigin,
): void {
  const name =
    error.kind === 'misconfigured' || error.kind === 'unavailable' ? 'failure' : 'refusal'
  report(name, { endpoint, ...upstreamDetail(error), origin }, facts)
}

/** For a login: the error goes to the client by redirect. @see RFC 6749 section 4.1.2.1 */
export function loginOutcome(cause: EntraError): OAuthError {
  switch (cause.kind) {
    case 'unavailable':
      return new OAuthError(
        'temporarily_unavailable',
        'Microsoft Entra cannot be reached. Try again shortly.',
        { cause },
      )
    case 'access_denied':
    case 'interaction_required':
    case 'consent_required':
      return new OAuthError('access_denied', 'Microsoft Entra did not let the user in.', { cause })
    case 'misconfigured':
      return new OAuthError(
        'server_error',
        'This server is not set up correctly. Its log tells the operator why.',
        { cause },
      )
    default:
      return new OAuthError('server_error', 'The sign-in could not be completed. Try again.', {
        cause,
      })
  }
}

/** For a refresh: an outage or a misconfiguration of ours is a 503, everything else ends the login. */
export function refreshOutcome(cause: EntraError): OAuthError {
  if (cause.kind === 'unavailable' || cause.kind === 'misconfigured') {
    return new OAuthError(
      'temporarily_unavailable',
      'The token cannot be refreshed right now. Try again shortly.',
      { cause, retryAfter: cause.retryAfter ?? 5 },
    )
  }
  return new OAuthError('invalid_grant', 'The login has ended. Sign in again.', { cause })
}
