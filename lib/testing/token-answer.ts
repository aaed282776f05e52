/** A successful answer of the token endpoint: tokens and scopes of one resource, for a user. */
import { randomBytes } from 'node:crypto'
import { clientInfo } from './authorize.js'
import { accessTokenClaims, idTokenClaims } from './claims.js'
import type { AuthenticatedClient } from './client-authentication.js'
import { grantedScopes } from './consents.js'
import { type EntraUser, graphId } from './directory.js'
import type { Emulation } from './emulation.js'
import { refuse } from './errors.js'
import type { Params } from './messages.js'
import { accessTokenHeader, issue } from './mint.js'
import {
  checkResource,
  onlyResource,
  prefixed,
  prefixedDefault,
  type ResourceScopes,
  type ScopeRequest,
} from './scopes.js'

const refreshTokenLifetime = 90 * 24 * 3600
const spaRefreshTokenLifetime = 24 * 3600

/** What an answer is made from. */
export interface UserAnswer {
  readonly client: AuthenticatedClient
  readonly user: EntraUser
  readonly params: Params
  readonly scopes: ScopeRequest
  readonly nonce?: string | undefined
  /** The lifetime of the refresh token; undefined for no refresh token. */
  readonly refresh?: { readonly spa: boolean; readonly expiresAt?: number } | undefined
}

/** Checks consent and issues the tokens. */
export function userAnswer(emulation: Emulation, answer: UserAnswer): Record<string, unknown> {
  const { client, user, params, scopes, nonce } = answer
  if (!user.assigned)
    refuse(50105, `The signed in user '${user.username}' is not assigned to a role.`)
  checkResource(emulation.directory, params.resource, scopes)
  const request = onlyResource(emulation.directory, scopes)
  const names = grantedScopes(emulation.consents, user, client.app, request)
  const id = { user, client: client.app, nonce, scopes: scopes.oidc }
  return {
    token_type: 'Bearer',
    scope: answerScope(request, names, scopes.oidc).join(' '),
    expires_in: emulation.accessTokenLifetime,
    ext_expires_in: emulation.accessTokenLifetime,
    access_token: accessToken(emulation, answer, request, names),
    ...(answer.refresh ? refreshMembers(emulation, answer, answer.refresh) : {}),
    ...(scopes.oidc.includes('openid')
      ? { id_token: issue(emulation, {}, idTokenClaims(emulation, id, {})) }
      : {}),
    ...(params.client_info === '1' ? { client_info: clientInfo(user) } : {}),
  }
}

function accessToken(
  emulation: Emulation,
  { client, user, scopes }: UserAnswer,
  request: ResourceScopes,
  names: readonly string[],
): string {
  const { app } = request
  const subject = {
    client: client.app,
    proof: client.proof,
    resource: app,
    audience: audienceOf(request),
    user,
    tid: user.tid,
    version: app.requestedAccessTokenVersion,
    scopes: [...names, ...oidcOf(request, scopes.oidc)],
    roles: app.clientId === graphId ? [] : user.roles,
  }
  return issue(emulation, accessTokenHeader(app), accessTokenClaims(emulation, subject, {}))
}

/** The audience of a v1 token is the resource as the client named it. */
export function audienceOf({ identifier, app }: ResourceScopes): string {
  return identifier || (app.identifierUris[0] ?? app.clientId)
}

/** Consented scopes in the client's form. `.default` is echoed with the scopes it stood for. */
function answerScope(
  request: ResourceScopes,
  names: readonly string[],
  oidc: readonly string[],
): string[] {
  const echo = request.all ? [prefixedDefault(request)] : []
  return [...names.map((name) => prefixed(request, name)), ...echo, ...oidcOf(request, oidc)]
}

/** OIDC scopes belong to Graph, and appear only in its tokens. */
function oidcOf({ app }: ResourceScopes, oidc: readonly string[]): readonly string[] {
  return app.clientId === graphId ? oidc.filter((scope) => scope !== 'offline_access') : []
}

function refreshMembers(
  emulation: Emulation,
  { client, user, scopes }: UserAnswer,
  { spa, expiresAt }: { readonly spa: boolean; readonly expiresAt?: number },
): Record<string, unknown> {
  const now = emulation.clock.now()
  const lifetime = spa ? spaRefreshTokenLifetime : refreshTokenLifetime
  const end = expiresAt ?? now + lifetime
  const token = `1.${randomBytes(256).toString('base64url')}`
  const { clientId } = client.app
  emulation.refreshTokens.set(token, {
    user,
    clientId,
    spa,
    scopes,
    expiresAt: end,
    revoked: false,
  })
  return { refresh_token: token, ...(spa ? { refresh_token_expires_in: end - now } : {}) }
}
