/** The claims of tokens: of v1 and v2 access tokens, and of the ID token. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { type EntraApp, type EntraUser, exchangeId, userKey } from './directory.js'
import type { Emulation } from './emulation.js'
import type { JsonObject } from './jwt.js'

/** How the client has authenticated: the claim `azpacr` (v2) or `appidacr` (v1). */
export type ClientProof = '0' | '1' | '2'

/** What an access token is about. */
export interface AccessTokenSubject {
  readonly client: EntraApp
  readonly proof: ClientProof
  readonly resource: EntraApp
  /** The audience of a v1 token: the resource as the client named it. */
  readonly audience: string
  /** The user; absent in an app-only token. */
  readonly user?: EntraUser | undefined
  readonly tid: string
  readonly version: 1 | 2
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
}

/** Times of a token, in seconds: its start relative to now, and its end relative to now. */
export interface TokenTimes {
  readonly notBefore?: number | undefined
  readonly expiresIn?: number | undefined
}

/** Claims of an access token, in the version that its API asks for. */
export function accessTokenClaims(
  emulation: Emulation,
  subject: AccessTokenSubject,
  times: TokenTimes,
): JsonObject {
  const common = {
    ...tokenTimes(emulation, times),
    aio: randomBytes(32).toString('base64'),
    ...(subject.user ? userClaims(subject.user, subject.resource) : appClaims(subject)),
    ...(subject.user ? { scp: subject.scopes.join(' '), sid: randomUUID() } : { idtyp: 'app' }),
    ...(subject.roles.length > 0 ? { roles: subject.roles } : {}),
    rh: `1.${randomBytes(18).toString('base64url')}.`,
    tid: subject.tid,
    uti: randomBytes(16).toString('base64url'),
    ...agentClaims(subject),
  }
  const ofVersion =
    subject.version === 1 ? claimsOfV1(emulation, subject) : claimsOfV2(emulation, subject)
  return { ...ofVersion, ...common }
}

/**
 * The marks of agents: facets of the actor and of the subject, among others that mean nothing here, and the blueprint.
 *
 * @see https://learn.microsoft.com/entra/agent-id/agent-token-claims
 */
function agentClaims({ client, user }: AccessTokenSubject): JsonObject {
  if (client.blueprint === undefined) return {}
  const actor = { xms_act_fct: '3 9 11', xms_par_app_azp: client.blueprint }
  if (!user) return { ...actor, xms_sub_fct: '9 3 11', scp: '/' }
  return { ...actor, idtyp: 'user', ...(user.agent !== undefined && { xms_sub_fct: '13 3' }) }
}

/** What an ID token is about. */
export interface IdTokenSubject {
  readonly user: EntraUser
  readonly client: EntraApp
  readonly nonce?: string | undefined
  readonly scopes: readonly string[]
}

/** Claims of an ID token: name and username need `profile`, the address needs `email`. */
export function idTokenClaims(
  emulation: Emulation,
  { user, client, nonce, scopes }: IdTokenSubject,
  times: TokenTimes,
): JsonObject {
  const { name, ...rest } = userClaims(user, client)
  const profile = { name, preferred_username: user.username }
  return {
    aud: client.clientId,
    iss: issuerOf(emulation, user.tid, 2),
    ...tokenTimes(emulation, { expiresIn: 3600, ...times }),
    ...rest,
    ...(scopes.includes('profile') ? profile : {}),
    ...(scopes.includes('email') ? { email: user.username } : {}),
    ...(user.roles.length > 0 ? { roles: user.roles } : {}),
    ...(nonce === undefined ? {} : { nonce }),
    rh: `1.${randomBytes(18).toString('base64url')}.`,
    sid: randomUUID(),
    tid: user.tid,
    uti: randomBytes(16).toString('base64url'),
    ver: '2.0',
  }
}

/** The `iss` of a tenant's tokens. */
export function issuerOf({ url }: Pick<Emulation, 'url'>, tid: string, version: 1 | 2): string {
  return version === 1 ? `https://sts.windows.net/${tid}/` : `${url}/${tid}/v2.0`
}

/** The pairwise subject of a user (or a daemon) at an app. */
export function pairwise(key: string, app: EntraApp): string {
  return createHash('sha256').update(`${key} ${app.clientId}`).digest('base64url')
}

/** The object id of an app's service principal in a tenant: not its client id. */
export function servicePrincipalId(client: EntraApp, tid: string): string {
  if (client.principalId !== undefined) return client.principalId
  const hex = createHash('sha256').update(`${client.clientId} ${tid}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** `iat`, `nbf` and `exp`. */
export function tokenTimes(emulation: Emulation, { notBefore = 0, expiresIn }: TokenTimes) {
  const now = emulation.clock.now()
  const lifetime = expiresIn ?? emulation.accessTokenLifetime
  return { iat: now + notBefore, nbf: now + notBefore, exp: now + lifetime }
}

function claimsOfV1(emulation: Emulation, subject: AccessTokenSubject): JsonObject {
  const { user, client, proof, tid } = subject
  const amr = user && emulation.mfa.hasPassed(user) ? ['pwd', 'mfa'] : ['pwd']
  return {
    aud: subject.audience,
    iss: issuerOf(emulation, tid, 1),
    acr: '1',
    ...(user ? { amr, ipaddr: '127.0.0.1', unique_name: user.username, upn: user.username } : {}),
    appid: client.clientId,
    appidacr: proof,
    app_displayname: client.name,
    ver: '1.0',
  }
}

function claimsOfV2(emulation: Emulation, subject: AccessTokenSubject): JsonObject {
  const { user, client, proof, resource, tid } = subject
  return {
    // Entra writes a GUID here too, and knows the URI that belongs to it. With the URI itself, comparing is simple.
    aud: resource.clientId === exchangeId ? subject.audience : resource.clientId,
    iss: issuerOf(emulation, tid, 2),
    azp: client.clientId,
    azpacr: proof,
    ...(user ? { preferred_username: user.username } : {}),
    ver: '2.0',
  }
}

function userClaims(user: EntraUser, app: EntraApp) {
  return {
    oid: user.oid,
    sub: pairwise(userKey(user), app),
    name: user.name,
    ...(user.guest
      ? { acct: 1, idp: 'https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/' }
      : {}),
    ...groupClaims(user),
  }
}

function appClaims({ client, tid }: AccessTokenSubject) {
  const oid = servicePrincipalId(client, tid)
  return { oid, sub: oid }
}

/** Above 200 groups a token names an endpoint instead, which is the retired Azure AD Graph. */
function groupClaims({ groups, tid, oid }: EntraUser): JsonObject {
  if (groups.length === 0) return {}
  if (groups.length <= 200) return { groups }
  const endpoint = `https://graph.windows.net/${tid}/users/${oid}/getMemberObjects`
  return { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint } } }
}
