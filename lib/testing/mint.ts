/** Mints tokens without a sign-in: valid ones, and all kinds that a verifier has to refuse. */
import { randomBytes } from 'node:crypto'
import { accessTokenClaims, idTokenClaims } from './claims.js'
import { type AppRef, type EntraApp, type EntraUser, graphId, type UserRef } from './directory.js'
import type { Emulation } from './emulation.js'
import { type JsonObject, signJwt, signWithPublicKey, unsigned } from './jwt.js'
import type { SigningKey } from './signing-keys.js'

/**
 * Which key signs a minted token: the `current` one; a `foreign` one under the current key's id; `none`
 * (`alg: none`); `hs256-public` (HMAC under the public key's PEM); or a key of `signingKeys`.
 */
export type MintKey = 'current' | 'foreign' | 'none' | 'hs256-public' | SigningKey

interface MintOptions {
  /** The application the token is issued to. Default: the first app. */
  readonly client?: AppRef
  /** Claims to add or replace; one that is `undefined` is left out. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** Header parameters to add or replace; one that is `undefined` is left out. */
  readonly header?: Readonly<Record<string, unknown>>
  /** Seconds from now to `exp`; negative for an expired token. */
  readonly expiresIn?: number
  /** Seconds from now to `nbf` and `iat`; positive for a token that is not valid yet. Default 0. */
  readonly notBefore?: number
  /** The key that signs. Default `current`. */
  readonly key?: MintKey
}

/** Options of `mintAccessToken`. */
export interface MintAccessTokenOptions extends MintOptions {
  /** The user; null for an app-only token. Default: the first user of the first tenant. */
  readonly user?: UserRef | null
  /** The API the token is for. Default: the first app. */
  readonly app?: AppRef
  /** Tenant id of an app-only token. Default: the API's home tenant. */
  readonly tenant?: string
  /** Short names for `scp`. Default: all of the API's. */
  readonly scopes?: readonly string[]
  /** `roles`. Default: the user's, or the daemon's application permissions. */
  readonly roles?: readonly string[]
  /** Token version. Default: the one that the API asks for. */
  readonly version?: 1 | 2
  /** `aud`, as it is. */
  readonly audience?: string
}

/** Options of `mintIdToken`. */
export interface MintIdTokenOptions extends MintOptions {
  /** The user. Default: the first user of the first tenant. */
  readonly user?: UserRef
  /** `nonce`. */
  readonly nonce?: string
}

/** Mints an access token. */
export function mintAccessToken(emulation: Emulation, options: MintAccessTokenOptions): string {
  const resource = findApp(emulation, options.app)
  const client = findApp(emulation, options.client ?? options.app)
  const user = options.user === null ? undefined : findUser(emulation, options.user)
  const version = options.version ?? resource.requestedAccessTokenVersion
  const subject = {
    client,
    proof: '1',
    resource,
    audience: resource.identifierUris[0] ?? resource.clientId,
    user,
    tid: user?.tid ?? options.tenant ?? resource.tenantId,
    version,
    scopes: options.scopes ?? resource.scopes,
    roles: options.roles ?? rolesOf(user, client, resource),
  } as const
  const claims = accessTokenClaims(emulation, subject, options)
  const audience = options.audience === undefined ? {} : { aud: options.audience }
  return mint(emulation, accessTokenHeader(resource), { ...claims, ...audience }, options)
}

/** Mints an ID token. */
export function mintIdToken(emulation: Emulation, options: MintIdTokenOptions): string {
  const client = findApp(emulation, options.client)
  const user = findUser(emulation, options.user)
  const scopes = ['openid', 'profile', 'email']
  const claims = idTokenClaims(emulation, { user, client, nonce: options.nonce, scopes }, options)
  return mint(emulation, {}, claims, options)
}

/** Mints a token signed with the current key. */
export function issue(emulation: Emulation, header: JsonObject, claims: JsonObject): string {
  return mint(emulation, header, claims, {})
}

/** Header parameters of a resource's access tokens: Graph's have a nonce, v1 tokens an `x5t`. */
export function accessTokenHeader(resource: EntraApp): JsonObject {
  return resource.clientId === graphId ? { nonce: randomBytes(32).toString('base64url') } : {}
}

function rolesOf(user: EntraUser | undefined, client: EntraApp, resource: EntraApp) {
  return user?.roles ?? resource.applicationPermissions[client.clientId] ?? []
}

function mint(
  { keys }: Emulation,
  extra: JsonObject,
  claims: JsonObject,
  options: MintOptions,
): string {
  const { key = 'current' } = options
  const named = typeof key === 'string' ? keys.current : key
  const algorithm = key === 'none' ? 'none' : key === 'hs256-public' ? 'HS256' : 'RS256'
  const version = claims.ver === '1.0' ? { x5t: named.kid } : {}
  const header = {
    typ: 'JWT',
    ...extra,
    alg: algorithm,
    ...version,
    kid: named.kid,
    ...options.header,
  }
  const finalHeader = withoutUndefined(header)
  const finalClaims = withoutUndefined({ ...claims, ...options.claims })
  if (key === 'none') return unsigned(finalHeader, finalClaims)
  if (key === 'hs256-public') return signWithPublicKey(finalHeader, finalClaims, named)
  return signJwt(finalHeader, finalClaims, key === 'foreign' ? keys.foreign : named)
}

function withoutUndefined(part: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(part).filter(([, value]) => value !== undefined))
}

function findApp({ directory }: Emulation, ref: AppRef | undefined): EntraApp {
  const clientId = typeof ref === 'object' ? ref.clientId : (ref ?? directory.apps[0]?.clientId)
  const app = clientId === undefined ? undefined : directory.app(clientId)
  if (!app) throw new TypeError(`mint: no app with the client id "${clientId}"`)
  return app
}

function findUser({ directory }: Emulation, ref: UserRef | undefined): EntraUser {
  const user = ref === undefined ? directory.tenants[0]?.users[0] : directory.user(ref)
  if (!user) throw new TypeError('mint: no such user in the directory')
  return user
}
