/**
 * How to read `req.auth`, also in a tool, where `req` does not exist. It fits `AuthInfo` of the MCP SDK v1 and v2,
 * so it reaches a tool as `extra.authInfo` or `ctx.http.authInfo` unchanged.
 */

import type { Caller, CallerKind } from './entra/caller-claims.js'
import { type AuthInfo, type AuthInfoLike, internalsOf } from './gate/caller.js'
import type { User } from './tokens/records.js'

export type { Agent, Caller, CallerKind } from './entra/caller-claims.js'
export type { User } from './tokens/records.js'

/**
 * `req.auth` of a request that came through {@link requireBearer}, with its type. No interface of Express is widened for it.
 *
 * @throws TypeError when it did not
 * @example
 * app.get('/api/me', requireBearer(auth), (req, res) => res.json(userOf(authOf(req))))
 */
export function authOf(req: object): AuthInfo {
  const { auth } = req as { auth?: AuthInfo }
  internalsOf(auth, 'authOf')
  return auth as AuthInfo
}

/**
 * The signed-in user.
 *
 * @throws TypeError when the object is not from {@link requireBearer}, or the caller is no person: an app, an agent, or
 *   the user account of an agent
 * @see https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
 * @example
 * server.registerTool('whoami', {}, (extra) => text(userOf(extra.authInfo).name))
 */
export function userOf(auth: AuthInfoLike | undefined): User {
  internalsOf(auth, 'userOf')
  const user = auth?.extra?.user as User | undefined
  if (user) return user
  throw new TypeError(`userOf: ${noUser(callerOf(auth).kind)}`)
}

function noUser(kind: CallerKind): string {
  if (kind === 'agent-user')
    return 'an agent calls with a user account of its own: nobody is behind it'
  const who = kind === 'agent' ? 'an agent' : 'an app'
  return `${who} calls on its own behalf: there is no user`
}

/**
 * Who calls: a person, a person through an agent, an agent on its own, an agent with a user account of its own, or an
 * app. Authorize agents by their roles (`scopeGuard({ roles })`): one platform may come now as a project's and now as an
 * agent's own identity.
 *
 * @throws TypeError when the object is not from {@link requireBearer}
 * @see https://learn.microsoft.com/entra/agent-id/agent-token-claims
 * @example
 * const { kind, agent } = callerOf(extra.authInfo)
 * if (agent) log.info({ kind, agent: agent.id, blueprint: agent.blueprint }, 'called by an agent')
 */
export function callerOf(auth: AuthInfoLike | undefined): Caller {
  return internalsOf(auth, 'callerOf').caller()
}

/**
 * A claim of Entra's verified access token.
 *
 * @throws RangeError for a claim that the token does not have; it lists those it has
 * @example
 * const tenant = tokenClaim(extra.authInfo, 'tid')
 */
export function tokenClaim(auth: AuthInfoLike | undefined, name: string): unknown {
  const claims = internalsOf(auth, 'tokenClaim').claims()
  if (Object.hasOwn(claims, name)) return claims[name]
  const names = Object.keys(claims).sort().join(', ')
  throw new RangeError(`tokenClaim: the token has no claim "${name}"; it has: ${names}`)
}

/**
 * Object ids of the caller's groups, from Entra's token. Empty when the app registration does not ask for groups
 * (`groupMembershipClaims`). A token has no room for more than 200: then this throws instead of guessing. Groups
 * assigned to the application, and app roles, always fit.
 *
 * @throws RangeError when the token says that there are too many groups to name
 * @see https://learn.microsoft.com/security/zero-trust/develop/configure-tokens-group-claims-app-roles
 * @example
 * if (!groupsOf(extra.authInfo).includes(editors)) throw new Error('For editors only')
 */
export function groupsOf(auth: AuthInfoLike | undefined): readonly string[] {
  const { groups, hasgroups, _claim_names, ver } = internalsOf(auth, 'groupsOf').claims()
  if (ver === '') {
    throw new RangeError(
      'groupsOf: another identity provider has vouched for the caller, and Entra was not asked: ask Microsoft Graph (getMemberObjects) for the groups',
    )
  }
  const elsewhere = Object.hasOwn(Object(_claim_names) as object, 'groups')
  if (elsewhere || hasgroups === true || hasgroups === 'true') {
    throw new RangeError(
      'groupsOf: the caller is in more groups than a token can name (overage): emit only "Groups assigned to the application" in Token configuration, use app roles, or ask Microsoft Graph (getMemberObjects)',
    )
  }
  return Array.isArray(groups) ? groups.filter((id) => typeof id === 'string') : []
}

/**
 * A token for the downstream API that `oboToken` knows by this name, exchanged on behalf of the user. It comes from
 * the cache, or from Entra when the middleware has not fetched it yet.
 *
 * @throws RangeError for a name that `oboToken` does not know
 * @throws OAuthError when Entra does not issue it; the MCP client gets the right answer from `oboToken`
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
 * @example
 * const token = await downstreamToken(extra.authInfo, 'graph')
 */
export async function downstreamToken(
  auth: AuthInfoLike | undefined,
  name: string,
): Promise<string> {
  const { downstream, exchange } = internalsOf(auth, 'downstreamToken')
  const scopes = Object.hasOwn(downstream, name) ? downstream[name] : undefined
  if (!scopes) {
    const names = Object.keys(downstream).join(', ') || 'none: mount oboToken'
    throw new RangeError(`downstreamToken: no downstream API "${name}"; there is: ${names}`)
  }
  return (await exchange({ scopes })).token
}

/** Options of {@link DownstreamCredential.getToken}: those of `@azure/core-auth` that apply here. */
export interface GetTokenOptions {
  /** A claims challenge of the downstream API, as JSON. */
  readonly claims?: string
  /** Another tenant than the user's own. */
  readonly tenantId?: string
  /** When it is aborted already, nothing is asked for. */
  readonly abortSignal?: { readonly aborted: boolean }
}

/** A `TokenCredential` of `@azure/core-auth`: every Azure SDK client and the Graph client take it as it is. */
export interface DownstreamCredential {
  getToken(
    scopes: string | string[],
    options?: GetTokenOptions,
  ): Promise<{ token: string; expiresOnTimestamp: number; tokenType: 'Bearer' }>
}

/**
 * The user as a credential for Azure SDK clients.
 *
 * @example
 * const blobs = new BlobServiceClient(url, downstreamCredential(extra.authInfo))
 */
export function downstreamCredential(auth: AuthInfoLike | undefined): DownstreamCredential {
  const { exchange } = internalsOf(auth, 'downstreamCredential')
  return Object.freeze({
    async getToken(scopes: string | string[], options: GetTokenOptions = {}) {
      const { claims, tenantId, abortSignal } = options
      if (abortSignal?.aborted) throw new DOMException('The request was aborted.', 'AbortError')
      const { token, expiresAt } = await exchange({
        scopes: typeof scopes === 'string' ? [scopes] : scopes,
        ...(claims !== undefined && { claims }),
        ...(tenantId !== undefined && { tenantId }),
      })
      return { token, expiresOnTimestamp: expiresAt * 1000, tokenType: 'Bearer' as const }
    },
  })
}
