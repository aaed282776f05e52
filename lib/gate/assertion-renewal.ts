/** A new assertion for a login whose own has expired: from Entra's refresh token, once for all who wait for it. */
import { singleFlight } from '../async/single-flight.js'
import type { TokenEndpoint } from '../entra/token-endpoint.js'
import type { Report } from '../http/report.js'
import { isPolicyRefusal } from '../login/policy.js'
import {
  endRefusedGrant,
  type LoginAtHand,
  renewGrant,
  type UpstreamContext,
} from '../login/upstream-grant.js'
import { OAuthError } from '../oauth/errors.js'
import type { Grants } from '../tokens/grants.js'
import type { Grant, UpstreamGrant } from '../tokens/records.js'
import type { VerifiedToken } from './verified-token.js'

/**
 * Gets an assertion that is not the one of `verified`; undefined when there is no way to have one.
 *
 * @throws EntraError when Entra does not refresh
 * @throws OAuthError 503 when the store or the login policy is out of reach; `invalid_token` when the policy has
 *   turned against the user: then the grant is revoked
 */
export type RenewAssertion = (verified: VerifiedToken) => Promise<UpstreamGrant | undefined>

/** What renewing needs. */
export interface AssertionRenewalOptions extends UpstreamContext {
  readonly tokenEndpoint: TokenEndpoint
  readonly grants: Grants
  readonly report: Report
}

/** Works under the lock that the client's own refreshes take, so that they never race. */
export function assertionRenewal(options: AssertionRenewalOptions): RenewAssertion {
  const { grants, now } = options
  const renewals = singleFlight<UpstreamGrant | undefined>()

  const live = ({ upstream }: Pick<Grant, 'upstream'>, expired: string) =>
    upstream && upstream.accessToken !== expired && upstream.expiresAt * 1000 > now()
      ? upstream
      : undefined

  const renew = async (sid: string, { clientId }: VerifiedToken, assertion: string) => {
    const known = live((await grants.read(sid))?.value ?? {}, assertion)
    return known ?? grants.exclusively(sid, () => renewLocked(sid, assertion, clientId))
  }

  const renewLocked = async (sid: string, expired: string, clientId: string) => {
    const grant = (await grants.read(sid))?.value
    const meanwhile = live(grant ?? {}, expired)
    if (meanwhile || grant?.upstream?.refreshToken === undefined) return meanwhile
    const login = { sid, grant, clientId }
    const { grant: next } = await renewGrant(options, grant).catch((error) => refuse(login, error))
    return (await grants.keep(sid, next)) ? next.upstream : undefined
  }

  /** The gate answers, not the token endpoint. */
  const refuse = async (login: LoginAtHand, error: unknown): Promise<never> => {
    if (!isPolicyRefusal(error)) throw error
    await endRefusedGrant(options, login, error)
    throw new OAuthError('invalid_token', 'The login has ended. Sign in again.')
  }

  return async function renewAssertion(verified) {
    const { sid, assertion } = verified
    if (sid === undefined || assertion === undefined) return undefined
    return renewals.run(sid, () => renew(sid, verified, assertion.token))
  }
}
