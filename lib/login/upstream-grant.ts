/**
 * Grants made of Entra's tokens: one is created when a user has signed in, and renewed for as long as the login lasts.
 * Both steps check whose tokens these are, that they are for this API, and the login policy.
 */
import type { Clock } from '../async/clock.js'
import { decodeJwt } from '../crypto/decode-jwt.js'
import { callerFromClaims } from '../entra/caller-claims.js'
import type { ScopeStrategy } from '../entra/scopes.js'
import type { TokenEndpoint, UpstreamTokens } from '../entra/token-endpoint.js'
import type { EntraClaims, EntraVerifier } from '../entra/verify.js'
import { attribute, type EntraTrace, type EventFacts, factsOf } from '../http/event-facts.js'
import type { Report } from '../http/report.js'
import { OAuthError, unavailable } from '../oauth/errors.js'
import { grantFacts } from '../tokens/event-subject.js'
import type { Grants } from '../tokens/grants.js'
import type { Grant, UpstreamGrant } from '../tokens/records.js'
import { checkPolicy, type LoginPolicy, recheckPolicy } from './policy.js'
import { refuseTokens, unusableTokens } from './unusable-tokens.js'
import { userFromClaims } from './user.js'

/** What creating and renewing grants needs. */
export interface UpstreamContext {
  readonly scopes: ScopeStrategy
  readonly verifier: EntraVerifier
  readonly policy: LoginPolicy
  readonly now: Clock
}

/** The sign-in that Entra's tokens belong to. */
export interface SignIn {
  /** The nonce we sent to Entra: its id token repeats it. */
  readonly nonce: string
  /** SHA-256 of the client id. */
  readonly client: string
  /** What the client asked for: short names. */
  readonly scopes: readonly string[]
  readonly resource: string
  /** When Entra's answer to it came in: milliseconds since the epoch. */
  readonly arrivedAt: number
}

/**
 * Checks who signed in, and creates their grant. A user who may not use this server hears it now, and not in a loop
 * of 401s later.
 *
 * @param onIdentified hears who has signed in before they are refused, so that the operator hears it too
 * @throws OAuthError `access_denied` for such a user, `server_error` for tokens that cannot be used, 503 when
 *   Entra's keys are out of reach
 */
export async function admitUser(
  context: UpstreamContext,
  tokens: UpstreamTokens,
  { nonce, client, scopes: requested, resource, arrivedAt }: SignIn,
  onIdentified: (facts: Pick<EventFacts, 'user' | 'scopes'>) => void = () => {},
): Promise<Grant> {
  const now = nowSeconds(context)
  const claims = await verifyTokens(context, tokens, nonce)
  const user = userFromClaims(claims)
  const granted = context.scopes.fromUpstream(tokens.scope ?? String(claims.scp ?? ''))
  const scopes = context.scopes.grant(requested, granted)
  onIdentified({ user, scopes })
  checkGranted(context, scopes)
  await checkPolicy(context.policy, user, claims)
  return {
    user,
    client,
    scopes,
    requested,
    resource,
    // Exact, because access that is given right after a cut-off is good. And from before Entra and the policy were
    // asked: what they said of the user before a cut-off does not count after it.
    createdAt: arrivedAt / 1000,
    renewedAt: now,
    generation: 0,
    upstream: upstreamGrant(tokens, now),
  }
}

function checkGranted({ scopes }: UpstreamContext, granted: readonly string[]): void {
  if (scopes.missing(granted, scopes.required).length === 0) return
  throw new OAuthError(
    'access_denied',
    'Microsoft Entra did not grant the scopes this server needs.',
  )
}

/** A login in the store. */
export interface LoginAtHand {
  readonly sid: string
  readonly grant: Grant
  /** The client's own id: the grant has only its hash. */
  readonly clientId: string
}

/** A grant with new tokens of Entra's. */
export interface RenewedGrant {
  readonly grant: Grant
  /** Where Entra's logs have the renewal. */
  readonly trace: EntraTrace | undefined
}

/**
 * Gets new tokens from Entra for a grant. It asks for the scopes requested at login, not for those granted, so that
 * refreshing neither adds nor loses any. The login policy is asked again, about the claims that Entra sends now.
 *
 * @throws EntraError when Entra does not refresh
 * @throws OAuthError `invalid_grant` when the grant has no refresh token of Entra's, or Entra answers with tokens of
 *   another user; `access_denied` when the policy refuses the user; 503 when the policy or Entra's keys are out of
 *   reach, or Entra's tokens cannot be used
 */
export async function renewGrant(
  context: UpstreamContext & { readonly tokenEndpoint: TokenEndpoint },
  grant: Grant,
): Promise<RenewedGrant> {
  const refreshToken = grant.upstream?.refreshToken
  if (refreshToken === undefined) throw refreshTokenRefusal()
  const tokens = await context.tokenEndpoint.refresh({
    refreshToken,
    scopes: context.scopes.toUpstreamRefresh(grant.requested),
    tenant: grant.user.tid,
  })
  const { trace } = tokens
  try {
    const claims = await verifyAccessToken(context, tokens.accessToken).catch(throwOutage)
    if (claims.oid !== grant.user.oid || claims.tid !== grant.user.tid) {
      throw refreshTokenRefusal()
    }
    await recheckPolicy(context.policy, userNow(grant, claims), claims)
    return { grant: putTokens(context, grant, tokens, claims), trace }
  } catch (error) {
    throw attribute(error, { trace })
  }
}

/** Entra's tokens of a sign-in that renews a grant. */
export interface VerifiedRenewal {
  /** Puts them into the grant, which may have been edited meanwhile. */
  putInto(grant: Grant): Grant
  /** Asks the login policy about the claims that Entra sends now. @throws OAuthError `access_denied`, or 503 */
  checkPolicy(): Promise<void>
}

/**
 * Checks Entra's tokens of a sign-in that is to renew a grant: they have to be of its user, and for this API.
 *
 * @param nonce what was sent to Entra
 * @throws OAuthError `access_denied` for another user; `server_error` for tokens that cannot be used; 503 when Entra's
 *   keys are out of reach
 */
export async function verifyRenewal(
  context: UpstreamContext,
  tokens: UpstreamTokens,
  nonce: string,
  grant: Grant,
): Promise<VerifiedRenewal> {
  const claims = await verifyTokens(context, tokens, nonce)
  if (claims.oid !== grant.user.oid || claims.tid !== grant.user.tid) throw anotherUser()
  return {
    putInto: (current) => putTokens(context, current, tokens, claims),
    checkPolicy: () => recheckPolicy(context.policy, userNow(grant, claims), claims),
  }
}

function anotherUser(): OAuthError {
  return new OAuthError('access_denied', 'Another user has signed in.', {
    situation: 'interactionNotOpen',
  })
}

/** Roles are Entra's to give, but for a user for whom somebody else has vouched. */
function userNow({ user, assertedBy }: Grant, { roles = [] }: EntraClaims): Grant['user'] {
  return assertedBy === undefined ? { ...user, roles } : user
}

function putTokens(
  context: UpstreamContext,
  grant: Grant,
  tokens: UpstreamTokens,
  claims: EntraClaims,
): Grant {
  const refreshToken = grant.upstream?.refreshToken
  const upstream = {
    ...(refreshToken !== undefined && { refreshToken }),
    ...upstreamGrant(tokens, nowSeconds(context)),
  }
  // What another identity provider has allowed stays as it is: Entra may allow more.
  if (grant.assertedBy !== undefined) return { ...grant, upstream }
  const granted = context.scopes.fromUpstream(tokens.scope ?? String(claims.scp ?? ''))
  return {
    ...grant,
    user: userNow(grant, claims),
    scopes: context.scopes.grant(grant.requested, granted),
    upstream,
  }
}

/** Revokes the grant of a user whom the login policy no longer lets in. */
export async function endRefusedGrant(
  { grants, report }: { readonly grants: Grants; readonly report: Report },
  { sid, grant, clientId }: LoginAtHand,
  refusal: OAuthError,
): Promise<void> {
  await grants.revoke(sid)
  const facts = { ...grantFacts(sid, grant, clientId), ...factsOf(refusal) }
  report('revocation', { reason: 'login_policy', detail: refusal.description }, facts)
}

/** The error for a refresh token that cannot be used any more. */
export function refreshTokenRefusal(): OAuthError {
  return new OAuthError(
    'invalid_grant',
    'The refresh token is unknown, expired, used or revoked. Sign in again.',
  )
}

function nowSeconds({ now }: UpstreamContext): number {
  return Math.floor(now() / 1000)
}

function upstreamGrant(
  { accessToken, expiresIn, refreshToken }: UpstreamTokens,
  now: number,
): UpstreamGrant {
  return {
    accessToken,
    expiresAt: now + expiresIn,
    ...(refreshToken !== undefined && { refreshToken }),
  }
}

/** The id token proves by its nonce that it belongs to this login, the access token that it is for our API. */
async function verifyTokens(
  context: UpstreamContext,
  { idToken, accessToken }: UpstreamTokens,
  nonce: string,
): Promise<EntraClaims> {
  if (idToken === undefined) throw unusableTokens('Entra sent no id token')
  try {
    const [identity, access] = await Promise.all([
      context.verifier.idToken(idToken, { nonce }),
      verifyAccessToken(context, accessToken),
    ])
    if (identity.oid !== access.oid || identity.tid !== access.tid) {
      throw unusableTokens('id token and access token belong to two users')
    }
    return { ...identity, ...access }
  } catch (error) {
    throw refuseTokens(error)
  }
}

async function verifyAccessToken(
  { verifier }: UpstreamContext,
  token: string,
): Promise<EntraClaims> {
  const jwt = decodeJwt(token)
  if (!jwt) throw unusableTokens('the access token is not a JWT')
  const claims = await verifier.accessToken(jwt)
  const { kind } = callerFromClaims(claims)
  if (kind === 'user' || kind === 'agent-for-user') return claims
  throw unusableTokens('the access token is of no person')
}

/** The client keeps its login when Entra answers a refresh with tokens that cannot be used: it can try again. */
function throwOutage(cause: unknown): never {
  if (cause instanceof OAuthError && cause.status === 503) throw cause
  throw unavailable('The token cannot be refreshed right now. Try again shortly.', cause)
}
