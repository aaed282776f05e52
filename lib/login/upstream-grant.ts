/**
 * A grant out of Entra's tokens: made when a user comes back from signing in, and renewed for as long as the login
 * lasts. Both check the same things: whose tokens these are, that they are for this API, and the login policy.
 */
import { decodeJwt } from '../crypto/decode-jwt.js'
import type { ScopeStrategy } from '../entra/scopes.js'
import type { TokenEndpoint, UpstreamTokens } from '../entra/token-endpoint.js'
import { type EntraClaims, type EntraVerifier, isAppOnly } from '../entra/verify.js'
import type { Report } from '../http/report.js'
import { OAuthError, unavailable } from '../oauth/errors.js'
import type { Grants } from '../tokens/grants.js'
import type { Grant, UpstreamGrant } from '../tokens/records.js'
import { checkPolicy, type LoginPolicy, recheckPolicy } from './policy.js'
import { userFromClaims } from './user.js'

/** What grants are made with. */
export interface UpstreamContext {
  readonly scopes: ScopeStrategy
  readonly verifier: EntraVerifier
  readonly policy: LoginPolicy
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** The sign-in that Entra's tokens answer. */
export interface SignIn {
  /** Ours, towards Entra: its id token repeats it. */
  readonly nonce: string
  /** SHA-256 of the client id. */
  readonly client: string
  /** What the client asked for: short names. */
  readonly scopes: readonly string[]
  readonly resource: string
}

/**
 * Checks at once who came back: a user who may not come in hears it now and not in a loop of 401s.
 *
 * @throws OAuthError `access_denied` for such a user, `server_error` for tokens that cannot be used, 503 when
 *   Entra's keys are out of reach
 */
export async function admitUser(
  context: UpstreamContext,
  tokens: UpstreamTokens,
  { nonce, client, scopes: requested, resource }: SignIn,
): Promise<Grant> {
  const now = Math.floor(context.now() / 1000)
  const claims = await verifyTokens(context, tokens, nonce)
  const granted = context.scopes.fromUpstream(tokens.scope ?? String(claims.scp ?? ''))
  const scopes = context.scopes.grant(requested, granted)
  if (context.scopes.missing(scopes, context.scopes.required).length > 0) {
    throw new OAuthError(
      'access_denied',
      'Microsoft Entra did not grant the scopes this server needs.',
    )
  }
  const user = userFromClaims(claims)
  await checkPolicy(context.policy, user, claims)
  return {
    user,
    client,
    scopes,
    requested,
    resource,
    createdAt: now,
    renewedAt: now,
    generation: 0,
    upstream: upstreamGrant(tokens, now),
  }
}

/**
 * A grant with new tokens of Entra's. It asks again for what was requested at login, never for what was granted: so
 * nothing grows and nothing is lost. The login policy is asked again, about the claims that Entra sends now.
 *
 * @throws EntraError when Entra does not refresh
 * @throws OAuthError `invalid_grant` when there is nothing to renew it with, `access_denied` when the user may
 *   not come in any more, 503 when nobody knows
 */
export async function renewGrant(
  context: UpstreamContext & { readonly tokenEndpoint: TokenEndpoint },
  grant: Grant,
): Promise<Grant> {
  const { refreshToken } = grant.upstream
  if (refreshToken === undefined) throw loginEnded()
  const tokens = await context.tokenEndpoint.refresh({
    refreshToken,
    scopes: context.scopes.toUpstreamRefresh(grant.requested),
    tenant: grant.user.tid,
  })
  const claims = await verifyAccessToken(context, tokens.accessToken).catch(outageInstead)
  if (claims.oid !== grant.user.oid || claims.tid !== grant.user.tid) throw loginEnded()
  const user = { ...grant.user, roles: claims.roles ?? [] }
  await recheckPolicy(context.policy, user, claims)
  const granted = context.scopes.fromUpstream(tokens.scope ?? claims.scp)
  return {
    ...grant,
    user,
    scopes: context.scopes.grant(grant.requested, granted),
    upstream: { refreshToken, ...upstreamGrant(tokens, Math.floor(context.now() / 1000)) },
  }
}

/** Ends the grant of a user whom the login policy no longer lets in, on every replica. */
export async function endRefusedGrant(
  { grants, report }: { readonly grants: Grants; readonly report: Report },
  sid: string,
  { description }: OAuthError,
): Promise<void> {
  await grants.revoke(sid)
  report('revocation', { reason: 'login_policy', detail: description })
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

/** The id token proves that the login is this one (nonce), the access token that it is for our API. */
async function verifyTokens(
  context: UpstreamContext,
  { idToken, accessToken }: UpstreamTokens,
  nonce: string,
): Promise<EntraClaims> {
  if (idToken === undefined) throw unusable('Entra sent no id token')
  try {
    const identity = await context.verifier.idToken(idToken, { nonce })
    const access = await verifyAccessToken(context, accessToken)
    if (identity.oid !== access.oid || identity.tid !== access.tid) {
      throw unusable('id token and access token are of two users')
    }
    return { ...identity, ...access }
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'invalid_token') throw error
    // A gate would tell the bearer; here it is a matter between Entra and the operator.
    throw new OAuthError('access_denied', error.description, { cause: error })
  }
}

async function verifyAccessToken(
  { verifier }: UpstreamContext,
  token: string,
): Promise<EntraClaims> {
  const jwt = decodeJwt(token)
  if (!jwt) throw unusable('the access token is not a JWT')
  const claims = await verifier.accessToken(jwt)
  if (isAppOnly(claims)) throw unusable('the access token has no user')
  return claims
}

function unusable(cause: string): OAuthError {
  return new OAuthError('server_error', 'Microsoft Entra sent tokens this server cannot use.', {
    cause,
  })
}

/** Whatever is wrong with Entra's tokens, a refresh that cannot use them loses nothing. */
function outageInstead(cause: unknown): never {
  if (cause instanceof OAuthError && cause.status === 503) throw cause
  throw unavailable('The token cannot be refreshed right now. Try again shortly.', cause)
}

/** The answer to a refresh token that renews nothing any more. */
export function loginEnded(): OAuthError {
  return new OAuthError(
    'invalid_grant',
    'The refresh token is unknown, expired, used or revoked. Sign in again.',
  )
}
