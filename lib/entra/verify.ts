/** Entra's tokens: what may refuse cheaply refuses first, and nothing is believed before the signature. */
import { monotonicNow } from '../async/monotonic-now.js'
import { constantTimeEqual } from '../crypto/hashing.js'
import { type ParsedJws, parseJws, verifyJws } from '../crypto/jws.js'
import { OAuthError, unavailable } from '../oauth/errors.js'
import { type EntraAuthority, isGuid } from './authority.js'
import { isV1Issuer, personalAccounts } from './clouds.js'
import { type Discovery, discovery, tenantOfIssuer } from './discovery.js'
import { EntraError } from './errors.js'
import type { SigningKey, SigningKeys } from './signing-keys.js'
import { tenantIdOf } from './tenant-id.js'

/** The claims of a verified v2 token. Key users on `tid` and `oid`; names are for display only. */
export interface EntraClaims {
  readonly ver: string
  readonly iss: string
  readonly aud: string
  readonly tid: string
  readonly oid: string
  readonly sub: string
  /** Seconds since the epoch. */
  readonly exp: number
  readonly nbf?: number
  readonly iat?: number
  /** The client that asked for the token. */
  readonly azp?: string
  /** Short scope names, space-separated. Users' tokens only. */
  readonly scp?: string
  readonly roles?: readonly string[]
  readonly name?: string
  readonly preferred_username?: string
  readonly idtyp?: string
  readonly nonce?: string
  readonly [claim: string]: unknown
}

/** What tokens are checked against. */
export interface EntraVerifierOptions {
  readonly authority: EntraAuthority
  readonly clientId: string
  /** Audiences beside the client id. Default `api://{clientId}`. */
  readonly identifierUris?: readonly string[] | undefined
  /** Tenant ids whose users may come in, or `'any'`, said on purpose. Needed when the authority is of many. */
  readonly allowedTenants?: readonly string[] | 'any' | undefined
  readonly keys: SigningKeys
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Milliseconds on a clock that only goes forward. Default: `now` when that is given. */
  readonly monotonic?: () => number
  /** Seconds two clocks may differ. Default 5. */
  readonly clockSkew?: number
}

/**
 * Checks tokens. Every refusal is an OAuthError `invalid_token` that tells the client's developer what to
 * change; when keys cannot be had it is a 503, never a 401.
 */
export interface EntraVerifier {
  /** An access token for this app, a user's or an application's. Throws at once what needs no signature to be refused. */
  accessToken(jws: ParsedJws): Promise<EntraClaims>
  /** The id token of a login of ours. @see OpenID Connect Core 1.0, section 3.1.3.7 */
  idToken(token: string, expected: { readonly nonce: string }): Promise<EntraClaims>
}

type Claims = Readonly<Record<string, unknown>>

/** Says whether a tenant may come in; a promise while its name is looked up. */
type TenantRule = (tid: string) => boolean | Promise<boolean>

/**
 * Makes the verifier of an app registration.
 *
 * @throws TypeError when an authority of many tenants comes without `allowedTenants`
 * @see https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-tokens
 */
export function entraVerifier(options: EntraVerifierOptions): EntraVerifier {
  const { authority, keys, now = Date.now, clockSkew = 5 } = options
  const { monotonic = options.now ?? monotonicNow } = options
  const clientId = options.clientId.toLowerCase()
  const apiAudiences = [clientId, ...(options.identifierUris ?? [`api://${options.clientId}`])]
  const discovered = discovery(authority, monotonic)
  const tenantRule = tenantRuleOf(options, monotonic, discovered)

  /** Throws at once what needs no signature to be refused. */
  function verify(
    jws: ParsedJws,
    audiences: readonly string[],
    wanted: (claims: Claims) => void,
  ): Promise<EntraClaims> {
    const kid = checkHeader(jws.header)
    checkTimes(jws.claims, now() / 1000, clockSkew)
    checkAudience(jws.claims, audiences)
    if (authority.kind === 'b2c') checkPolicy(jws.claims, authority.policy)
    else checkVersion(jws.claims)
    wanted(jws.claims)
    return signed(jws, kid)
  }

  async function signed(jws: ParsedJws, kid: string): Promise<EntraClaims> {
    const key = await outageAs503(keys.find(kid))
    if (!key || !(await verifyJws(jws, 'RS256', key.key))) {
      throw refused('The signature is not valid.')
    }
    const issuer = await outageAs503(issuerTemplate(key, authority, discovered))
    const claims = checkIssuer(jws.claims, issuer, authority)
    if (await tenantAllowed(tenantRule, claims.tid)) return claims
    throw refused('Accounts of this tenant are not allowed here.')
  }

  return Object.freeze({
    accessToken: (jws: ParsedJws) => verify(jws, apiAudiences, checkAccessToken),
    async idToken(token: string, expected: { readonly nonce: string }) {
      const jws = parseJws(token)
      if (!jws) throw refused('The id token is no JWT.')
      return verify(jws, [clientId], (claims) => checkNonce(claims, expected.nonce))
    },
  })
}

/**
 * Whether the token is an application's own, with no user behind it.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
 */
export function isAppOnly(claims: Claims): boolean {
  const { idtyp, scp, roles, oid, sub, nonce } = claims
  if (idtyp !== undefined) return idtyp === 'app'
  // `idtyp` is an optional claim; without it, this is what an application's token looks like.
  return (
    scp === undefined &&
    nonce === undefined &&
    Array.isArray(roles) &&
    typeof oid === 'string' &&
    oid === sub
  )
}

/** @returns the name of the key */
function checkHeader({ alg, kid, crit, typ, nonce }: Claims): string {
  if (nonce !== undefined) throw refused(graphHint)
  if (alg !== 'RS256') throw refused('The token is not signed with RS256.')
  if (crit !== undefined) throw refused('The token has critical extensions.') // RFC 7515 section 4.1.11
  if (typ !== undefined && String(typ).toUpperCase() !== 'JWT')
    throw refused('The token is no JWT.')
  if (typeof kid !== 'string' || kid === '') throw refused('The token names no key.')
  return kid
}

function checkTimes({ exp, nbf }: Claims, now: number, skew: number): void {
  if (!isTime(exp)) throw refused('The token has no expiry.')
  if (exp + skew <= now) throw refused('The token has expired.')
  if (nbf === undefined) return
  if (!isTime(nbf) || nbf - skew > now) throw refused('The token is not valid yet.')
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

const graphAudiences = ['00000003-0000-0000-c000-000000000000', 'https://graph.microsoft.com']
const graphHint =
  'This is a token for Microsoft Graph, not for this server. Ask for a scope of this server.'

function checkAudience({ aud }: Claims, audiences: readonly string[]): void {
  if (typeof aud === 'string' && audiences.includes(aud)) return
  const graph = typeof aud === 'string' && graphAudiences.includes(aud.replace(/\/$/, ''))
  throw refused(
    graph ? graphHint : 'The token is for another application: its audience is not this server.',
  )
}

/** Which version an API gets is up to its own registration, not to the endpoint or the client. */
function checkVersion({ ver, iss }: Claims): void {
  if (ver === '1.0' || isV1Issuer(String(iss))) {
    throw refused(
      "The token is of version 1.0. Set requestedAccessTokenVersion to 2 in the app registration's manifest (api.requestedAccessTokenVersion).",
    )
  }
  if (ver !== '2.0') throw refused('The token is not of version 2.0.')
}

/**
 * All policies of a B2C tenant share issuer and keys: without this, a token of a weaker one would do. What
 * B2C calls its version says nothing.
 *
 * @see https://learn.microsoft.com/azure/active-directory-b2c/tokens-overview#claims
 */
function checkPolicy({ tfp, acr }: Claims, policy = ''): void {
  if (String(tfp ?? acr).toLowerCase() === policy.toLowerCase()) return
  throw refused('The token was issued under another policy.')
}

function checkAccessToken(claims: Claims): void {
  const { scp } = claims
  if (isAppOnly(claims) || (typeof scp === 'string' && scp.trim() !== '')) return
  throw refused(
    'The token grants no scope. Send an access token for a scope of this server, not an id token.',
  )
}

function checkNonce({ nonce }: Claims, expected: string): void {
  if (typeof nonce !== 'string' || !constantTimeEqual(nonce, expected)) {
    throw refused('The id token belongs to another login.')
  }
}

/**
 * Every key says whose tokens it signs; for one that does not, the authority or its discovery document does.
 *
 * @returns an issuer, maybe with `{tenantid}` in it
 */
function issuerTemplate(
  key: SigningKey,
  authority: EntraAuthority,
  discovered: Discovery,
): string | Promise<string> {
  if (key.issuer !== undefined) return key.issuer
  if (authority.discoversIssuer) return Promise.resolve(discovered()).then(({ issuer }) => issuer)
  return authority.issuerFor('{tenantid}')
}

/**
 * The issuer must be the key's, letter for letter, and the tenant in its path the token's own.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer
 */
function checkIssuer(claims: Claims, template: string, authority: EntraAuthority): EntraClaims {
  const own = authority.kind === 'b2c' ? b2cIdentity(claims, template) : claims
  const { iss, tid } = own
  if (!isGuid(tid)) throw refused('The token names no tenant.')
  const expected = template.replace(/\{tenantid\}/gi, tid)
  if (iss !== expected || tenantOfIssuer(expected) !== tid.toLowerCase()) {
    throw refused('The issuer is not valid.')
  }
  if (!isEntraClaims(own)) throw refused('The token names no user and no application.')
  return own
}

/** B2C leaves `tid` to the issuer, and the object id to `sub` unless a policy is told otherwise. */
function b2cIdentity(claims: Claims, issuer: string): Claims {
  const { tid = tenantOfIssuer(issuer), oid = claims.sub } = claims
  return { ...claims, tid, oid }
}

function isEntraClaims(claims: Claims): claims is EntraClaims {
  const { oid, sub, roles = [] } = claims
  const texts = ['azp', 'scp', 'name', 'preferred_username', 'idtyp', 'nonce']
  return (
    typeof oid === 'string' &&
    typeof sub === 'string' &&
    Array.isArray(roles) &&
    roles.every((role) => typeof role === 'string') &&
    texts.every((name) => ['string', 'undefined'].includes(typeof claims[name]))
  )
}

function tenantRuleOf(
  options: EntraVerifierOptions,
  now: () => number,
  discovered: Discovery,
): TenantRule {
  const { authority, allowedTenants } = options
  if (allowedTenants === 'any' && authority.multiTenant) return anyTenant(authority)
  if (allowedTenants !== undefined) return listRule(authority, allowedTenants)
  if (authority.multiTenant) {
    throw new TypeError(
      `entraAuth: tenantId '${authority.tenantId}' lets users of every tenant sign in: list those you mean in allowedTenants, or say allowedTenants: 'any'`,
    )
  }
  const tenantId = tenantIdOf(authority, now, discovered)
  return async (tid) => (await tenantId()) === tid
}

/** Whose accounts each of the three names stands for. */
function anyTenant({ tenantId }: EntraAuthority): TenantRule {
  if (tenantId === 'consumers') return (tid) => tid === personalAccounts
  if (tenantId === 'organizations') return (tid) => tid !== personalAccounts
  return () => true
}

function listRule(
  authority: EntraAuthority,
  allowedTenants: readonly string[] | 'any',
): TenantRule {
  if (
    !Array.isArray(allowedTenants) ||
    allowedTenants.length === 0 ||
    !allowedTenants.every(isGuid)
  ) {
    throw new TypeError(
      "entraAuth: allowedTenants must be a list of Directory (tenant) IDs, or 'any' together with tenantId 'organizations' or 'common'",
    )
  }
  const allowed = new Set(allowedTenants.map((id) => id.toLowerCase()))
  const { tenantId } = authority
  const possible = anyTenant(authority)
  const impossible = isGuid(tenantId)
    ? allowed.size > 1 || !allowed.has(tenantId)
    : [...allowed].some((tid) => !possible(tid))
  if (impossible) {
    const word = allowed.has(personalAccounts) ? 'common' : 'organizations'
    throw new TypeError(
      `entraAuth: allowedTenants names tenants that cannot sign in at tenantId: set tenantId to '${word}'`,
    )
  }
  return (tid) => allowed.has(tid)
}

function tenantAllowed(rule: TenantRule, tid: string): boolean | Promise<boolean> {
  return outageAs503(rule(tid.toLowerCase()))
}

/** An outage says nothing about the token. */
function outageAs503<T>(value: T | Promise<T>): T | Promise<T> {
  if (!(value instanceof Promise)) return value
  return value.catch((error: unknown) => {
    if (!(error instanceof EntraError)) throw error
    throw unavailable('The token cannot be checked right now.', error, error.retryAfter)
  })
}

function refused(description: string): OAuthError {
  return new OAuthError('invalid_token', description)
}
