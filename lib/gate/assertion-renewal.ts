/** A new assertion for a login whose own has died: from Entra's refresh token, once for all who wait for it. */

import { isPolicyRefusal } from '../login/policy.js'
import { OAuthError } from '../oauth/errors.js'
import type { ProxyContext } from '../routes/context.js'
import { lockOut, type RenewalContext, renewed } from '../routes/token-refresh.js'
import type { Grants } from '../tokens/grants.js'
import type { Grant, UpstreamGrant } from '../tokens/records.js'
import type { VerifiedToken } from './verified-tokens.js'

/**
 * Gets an assertion that is not the one of `verified`; undefined when there is no way to have one.
 *
 * @throws EntraError when Entra does not refresh
 * @throws OAuthError 503 when the store or the login policy is out of reach; `invalid_token` when the policy has
 *   turned against the user: then the grant is revoked
 */
export type RenewAssertion = (verified: VerifiedToken) => Promise<UpstreamGrant | undefined>

/** Under the lock that the client's own refreshes take, so that they never race. */
export function assertionRenewal(
  context: RenewalContext & { readonly grants: Grants } & Pick<ProxyContext, 'report'>,
): RenewAssertion {
  const { grants, now } = context
  const running = new Map<string, Promise<UpstreamGrant | undefined>>()

  /** A gate answers, not the token endpoint. */
  const refuse = async (sid: string, error: unknown): Promise<never> => {
    if (!isPolicyRefusal(error)) throw error
    const { description } = await lockOut(context, sid, error)
    throw new OAuthError('invalid_token', description)
  }

  const renew = async (sid: string, dead: string): Promise<UpstreamGrant | undefined> => {
    const live = (grant: Grant | undefined) =>
      grant && grant.upstream.accessToken !== dead && grant.upstream.expiresAt * 1000 > now()
        ? grant.upstream
        : undefined
    const known = live((await grants.read(sid))?.value)
    if (known) return known
    return grants.exclusively(sid, async () => {
      const grant = (await grants.read(sid))?.value
      const meanwhile = live(grant)
      if (meanwhile || grant?.upstream.refreshToken === undefined) return meanwhile
      const next = await renewed(context, grant).catch((error) => refuse(sid, error))
      return (await grants.keep(sid, next)) ? next.upstream : undefined
    })
  }

  return async function renewAssertion({ sid, assertion }) {
    if (sid === undefined) return undefined
    const renewal = running.get(sid) ?? renew(sid, assertion).finally(() => running.delete(sid))
    running.set(sid, renewal)
    return renewal
  }
}
