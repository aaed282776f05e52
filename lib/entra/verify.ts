/** Verifies Entra's tokens: the cheap checks refuse first, and no claim is trusted before the signature is checked. */
import { compactVerify, errors } from 'jose'
import type { Clock } from '../async/clock.js'
import { monotonicNow } from '../async/monotonic-now.js'
import { type DecodedJwt, decodeJwt } from '../crypto/decode-jwt.js'
import { constantTimeEqual } from '../crypto/hashing.js'
import { OAuthError, unavailable } from '../oauth/errors.js'
import { tenantRule } from './allowed-tenants.js'
import { type EntraAuthority, isGuid } from './authority.js'
import { contradictsItself, hasReadableFacets, isAppOnly, isUnscoped } from './caller-claims.js'
import { isV1Issuer } from './clouds.js'
import { type Discovery, discovery, tenantOfIssuer } from './discovery.js'
import { EntraError } from './errors.js'
import type { SigningKey, SigningKeys } from './signing-keys.js'

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
  /** Facets of the actor and of the subject. Read them with `callerOf`. */
  readonly xms_act_fct?: string
  readonly xms_sub_fct?: string
  readonly nonce?: string
  readonly [claim: string]: unknown
}

/** What a verifier is made with. */
export interface EntraVerifierOptions {
  readonly authority: EntraAuthority
  readonly clientId: string
  /** Audiences accepted besides the client id. Default `api://{clientId}`. */
  readonly identifierUris?: readonly string[] | undefined
  /** Tenant ids whose users may sign in, or `'any'`. Required when the authority serves many tenants. */
  readonly allowedTenants?: readonly string[] | 'any' | undefined
  readonly keys: SigningKeys
  readonly now?: Clock
  /** Milliseconds on a clock that only goes forward. Default: `now` when that is given. */
  readonly monotonic?: () => number
  /** Seconds by which Entra's clock and ours may differ. Default 5. */
  readonly clockSkew?: number
}

/**
 * Checks tokens. A refusal is an OAuthError `invalid_token` that says what the client's developer has to change.
 * When the keys cannot be fetched, the error is a 503 and never a 401.
 */
export interface EntraVerifier {
  /** An access token for this app, a user's or an application's. */
  accessToken(jwt: DecodedJwt): Promise<EntraClaims>
  /**
   * The id token of a login that started here, straight from Entra's token endpoint. Over https the certificate of
   * that server vouches for it, so its signature is not checked, which saves a login 60 microseconds.
   *
   * @see OpenID Connect Core 1.0, section 3.1.3.7, point 6
   */
  idToken(token: string, expected: { readonly nonce: string }): Promise<EntraClaims>
  /** Whether users of this tenant may come in, whoever vouches for them. */
  isTenantAllowed(tid: string): Promise<boolean>
}

type Claims = Readonly<Record<string, unknown>>

/**
 * Makes the verifier of an app registration.
 *
 * @throws TypeError when the authority serves many tenants and `allowedTenants` is missing
 * @see https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-tokens
 */
export function entraVerifier(options: EntraVerifierOptions): EntraVerifier {
  const { authority, keys, now = Date.now, clockSkew = 5 } = options
  const { monotonic = options.now ?? monotonicNow } = options
  const clientId = options.clientId.toLowerCase()
  const apiAudiences = [clientId, ...(options.identifierUris ?? [`api://${options.clientId}`])]
  const isOverTls = authority.host.startsWith('https:')
  const discover = discovery(authority, monotonic)
  const isTenantAllowed = tenantRule(authority, options.allowedTenants, discover)

  async function verify(
    jwt: DecodedJwt,
    audiences: readonly string[],
    checkKind: (claims: Claims) => void,
    isVouchedFor = false,
  ): Promise<EntraClaims> {
    // Refusing an unverified token is safe and costs nothing, so garbage never reaches a signature check.
    const kid = checkHeader(jwt.header)
    checkTimes(jwt.claims, now() / 1000, clockSkew)
    checkAudience(jwt.claims, audiences)
    if (authority.kind === 'b2c') checkPolicy(jwt.claims, authority.policy)
    else checkVersion(jwt.claims)
    checkKind(jwt.claims)
    const key = await translateOutage(keys.find(kid))
    if (!key) throw badSignature()
    if (!isVouchedFor) await verifySignature(jwt, key)
    return checkOrigin(jwt.claims, key)
  }

  async function checkOrigin(verified: Claims, key: SigningKey): Promise<EntraClaims> {
    const issuer = await translateOutage(issuerTemplate(key, authority, discover))
    const claims = checkIssuer(verified, issuer, authority)
    if (await translateOutage(isTenantAllowed(claims.tid.toLowerCase()))) return claims
    throw refusal('Accounts of this tenant are not allowed here.')
  }

  return Object.freeze({
    accessToken: (jwt: DecodedJwt) => verify(jwt, apiAudiences, checkAccessToken),
    async idToken(token: string, expected: { readonly nonce: string }) {
      const jwt = decodeJwt(token)
      if (!jwt) throw refusal('The id token is not a JWT.')
      const check = (claims: Claims) => checkNonce(claims, expected.nonce)
      return verify(jwt, [clientId], check, isOverTls)
    },
    isTenantAllowed: (tid: string) => translateOutage(isTenantAllowed(tid.toLowerCase())),
  })
}

/** @returns the key id */
function checkHeader({ alg, kid, crit, typ, nonce }: Claims): string {
  if (nonce !== undefined) throw refusal(graphHint)
  if (alg !== 'RS256') throw refusal('The token is not signed with RS256.')
  if (crit !== undefined) throw refusal('The token has critical extensions.') // RFC 7515 section 4.1.11
  if (typ !== undefined && String(typ).toUpperCase() !== 'JWT')
    throw refusal('The token is not a JWT.')
  if (typeof kid !== 'string' || kid === '') throw refusal('The token names no key.')
  return kid
}

function checkTimes({ exp, nbf, iat }: Claims, now: number, skew: number): void {
  if (!isTime(exp)) throw refusal('The token has no expiry.')
  if (exp + skew <= now) throw refusal('The token has expired.')
  if (iat !== undefined && !isTime(iat)) throw refusal("The claim 'iat' is not valid.")
  if (nbf === undefined) return
  if (!isTime(nbf) || nbf - skew > now) throw refusal('The token is not valid yet.')
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

/** What the operator should do when these are the tokens that Entra sends for a sign-in. */
const hints = {
  version:
    'Entra issues version 1.0 tokens for this API: in Entra admin center > App registrations > (this app) > Manifest, set "requestedAccessTokenVersion": 2 (inside "api"), or run `az rest --method PATCH --url "https://graph.microsoft.com/v1.0/applications(appId=\'<client id>\')" --body \'{"api":{"requestedAccessTokenVersion":2}}\'`. It takes effect with the next sign-in.',
  audience:
    'The access token of the sign-in is for another API. clientId of entraAuth, clientId of entraScopes and the API under Expose an API must be one app registration; give the Application ID URI shown there as identifierUri of entraScopes, and in identifierUris of entraAuth.',
} as const

const graphAudiences = ['00000003-0000-0000-c000-000000000000', 'https://graph.microsoft.com']
const graphHint =
  'This is a token for Microsoft Graph, not for this server. Ask for a scope of this server.'

function checkAudience(claims: Claims, audiences: readonly string[]): void {
  const { aud } = claims
  if (typeof aud === 'string' && audiences.includes(aud)) return
  const isGraph = typeof aud === 'string' && graphAudiences.includes(aud.replace(/\/$/, ''))
  if (isGraph) throw refusal(graphHint, hints.audience)
  // Version 1.0 has the App ID URI as audience, so both may be wrong, and for one reason.
  const hint = isVersionOne(claims) ? hints.version : hints.audience
  throw refusal('The token is for another application: its audience is not this server.', hint)
}

const strangeClaim = 'A claim of the token is of another type than Entra gives it.'

/** The registration of an API decides which token version it gets, not the endpoint and not the client. */
function checkVersion(claims: Claims): void {
  if (isVersionOne(claims)) {
    throw refusal(
      "The token is of version 1.0. Set requestedAccessTokenVersion to 2 in the app registration's manifest (api.requestedAccessTokenVersion).",
      hints.version,
    )
  }
  if (claims.ver !== '2.0') throw refusal('The token is not of version 2.0.')
}

function isVersionOne({ ver, iss }: Claims): boolean {
  return ver === '1.0' || isV1Issuer(String(iss))
}

/**
 * All policies of a B2C tenant share issuer and keys, so without this check a token of a weaker policy would pass.
 * The claim `ver` says nothing about tokens of B2C.
 *
 * @see https://learn.microsoft.com/azure/active-directory-b2c/tokens-overview#claims
 */
function checkPolicy({ tfp, acr }: Claims, policy = ''): void {
  if (String(tfp ?? acr).toLowerCase() === policy.toLowerCase()) return
  throw refusal('The token was issued under another policy.')
}

function checkAccessToken(claims: Claims): void {
  if (!hasReadableFacets(claims)) throw refusal(strangeClaim)
  if (contradictsItself(claims)) {
    throw refusal(
      'The claims of the token do not agree on whether its subject is a user or an agent.',
    )
  }
  const { scp } = claims
  if (isAppOnly(claims) || (typeof scp === 'string' && !isUnscoped(scp))) return
  throw refusal(
    'The token grants no scope. Send an access token for a scope of this server, not an id token.',
  )
}

function checkNonce({ nonce }: Claims, expected: string): void {
  if (typeof nonce !== 'string' || !constantTimeEqual(nonce, expected)) {
    throw refusal('The id token belongs to another login.')
  }
}

/**
 * The claims were read from this very text, and their times have been checked: having jose's `jwtVerify` do both again
 * would cost 4 of the 45 microseconds that a new token takes.
 */
async function verifySignature(jwt: DecodedJwt, { key }: SigningKey): Promise<void> {
  try {
    await compactVerify(jwt.token, key, { algorithms: ['RS256'] })
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error
    throw badSignature()
  }
}

/**
 * Most keys name the issuer whose tokens they sign. For the others, the authority or its discovery document does.
 *
 * @returns an issuer that may contain `{tenantid}`
 */
async function issuerTemplate(
  key: SigningKey,
  authority: EntraAuthority,
  discover: Discovery,
): Promise<string> {
  if (key.issuer !== undefined) return key.issuer
  return authority.discoversIssuer ? (await discover()).issuer : authority.issuerFor('{tenantid}')
}

/**
 * The issuer must equal the key's exactly, and the tenant in its path must be the token's.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer
 */
function checkIssuer(claims: Claims, template: string, authority: EntraAuthority): EntraClaims {
  const own = authority.kind === 'b2c' ? b2cIdentity(claims, template) : claims
  const { iss, tid } = own
  if (!isGuid(tid)) throw refusal('The token names no tenant.')
  const expected = template.replace(/\{tenantid\}/gi, tid)
  if (iss !== expected || tenantOfIssuer(expected) !== tid.toLowerCase()) {
    throw refusal('The issuer is not valid.')
  }
  if (typeof own.oid !== 'string' || own.oid === '' || typeof own.sub !== 'string') {
    throw refusal('The token names no user and no application.')
  }
  if (!isEntraClaims(own)) throw refusal(strangeClaim)
  // As Entra writes them: cut-offs and the index of apps go by these two, whoever spells them.
  return {
    ...own,
    tid: own.tid.toLowerCase(),
    oid: isGuid(own.oid) ? own.oid.toLowerCase() : own.oid,
  }
}

/** In B2C the issuer names the tenant, and `sub` holds the object id unless the policy says otherwise. */
function b2cIdentity(claims: Claims, issuer: string): Claims {
  const { tid = tenantOfIssuer(issuer), oid = claims.sub } = claims
  return { ...claims, tid, oid }
}

/** Claims that are text if they are there at all. */
const texts = [
  'azp',
  'scp',
  'name',
  'preferred_username',
  'idtyp',
  'nonce',
  'xms_act_fct',
  'xms_sub_fct',
  'xms_par_app_azp',
]

function isEntraClaims(claims: Claims): claims is EntraClaims {
  const { roles = [] } = claims
  return (
    Array.isArray(roles) &&
    roles.every((role) => typeof role === 'string') &&
    texts.every((name) => ['string', 'undefined'].includes(typeof claims[name]))
  )
}

/** An outage says nothing about the token, so it becomes a 503. */
async function translateOutage<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof EntraError)) throw error
    throw unavailable('The token cannot be checked right now.', error, error.retryAfter)
  }
}

function badSignature(): OAuthError {
  return refusal('The signature is not valid.')
}

/** @param hint for the operator, if the registration is at fault whenever Entra itself has sent this token */
function refusal(description: string, hint?: string): OAuthError {
  if (hint === undefined) return new OAuthError('invalid_token', description)
  const cause = new EntraError('misconfigured', description, { hint })
  return new OAuthError('invalid_token', description, { cause })
}
