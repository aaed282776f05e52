/** Renews a login when its client refreshes. The login ends when Entra or the login policy refuses. */
import { EntraError } from '../entra/errors.js'
import type { TokenEndpoint } from '../entra/token-endpoint.js'
import type { Report } from '../http/report.js'
import { OAuthError } from '../oauth/errors.js'
import { grantFacts } from '../tokens/event-subject.js'
import type { Grants } from '../tokens/grants.js'
import { isPolicyRefusal } from './policy.js'
import {
  endRefusedGrant,
  type LoginAtHand,
  type RenewedGrant,
  renewGrant,
  type UpstreamContext,
} from './upstream-grant.js'
import { refreshOutcome, reportUpstream } from './upstream-outcome.js'

/** What renewing needs. */
export interface RenewalContext extends UpstreamContext {
  readonly tokenEndpoint: TokenEndpoint
  readonly grants: Grants
  readonly report: Report
}

/**
 * Gets new tokens from Entra for a login.
 *
 * @returns the renewed grant, which the caller stores
 * @throws OAuthError `invalid_grant` when the login has ended: its grant is revoked; 503 when Entra or the policy
 *   cannot answer: then nothing has changed
 */
export async function renewLogin(
  context: RenewalContext,
  login: LoginAtHand,
): Promise<RenewedGrant> {
  const { sid, grant, clientId } = login
  try {
    return await renewGrant(context, grant)
  } catch (error) {
    if (isPolicyRefusal(error)) {
      await endRefusedGrant(context, login, error)
      throw new OAuthError('invalid_grant', 'The login has ended. Sign in again.')
    }
    if (!(error instanceof EntraError)) throw error
    reportUpstream(context.report, 'token', error, grantFacts(sid, grant, clientId))
    const outcome = refreshOutcome(error)
    if (outcome.code === 'invalid_grant') await context.grants.revoke(sid)
    throw outcome
  }
}
