/** `grant_type=refresh_token`: one caller asks Entra, and all callers with the same token get the same answer. */
import { decodeJwt } from '../crypto/decode-jwt.js'
import { sha256 } from '../crypto/hashing.js'
import { withRequired } from '../entra/scopes.js'
import { attribute, type EntraTrace, type EventFacts } from '../http/event-facts.js'
import { renewLogin } from '../login/renew-login.js'
import { refreshTokenRefusal } from '../login/upstream-grant.js'
import { OAuthError } from '../oauth/errors.js'
import { required } from '../oauth/params.js'
import { findResource } from '../oauth/resource.js'
import type { VaultRecord } from '../storage/vault.js'
import { blocks, challengedUser } from '../tokens/challenges.js'
import { grantFacts } from '../tokens/event-subject.js'
import type { Grant, TokenAnswer } from '../tokens/records.js'
import type { RefreshToken, Renewal, Rotation } from '../tokens/refresh-token.js'
import type { ProxyContext } from './context.js'
import { tokenAnswer } from './token-answer.js'
import { bindGrant, checkBoundTo, useProof } from './token-proof.js'
import type { IssuedTokens, TokenRequest } from './token-request.js'

/** Seconds. */
const day = 86_400

/**
 * @throws OAuthError `invalid_grant` when the login has ended; `interaction_required` when the client was just
 *   refused for scopes that its login lacks; 503 when Entra or the login policy is out of reach. After the
 *   latter two the refresh token still works
 * @see RFC 6749 section 6, RFC 9700 section 4.14.2, RFC 9449 section 5
 */
export async function refreshTokenGrant(
  context: ProxyContext,
  request: TokenRequest,
): Promise<IssuedTokens> {
  const { params, client } = request
  const presented = context.refreshTokens.read(required(params, 'refresh_token'))
  const record = presented && (await context.grants.read(presented.sid))
  if (!record || record.value.client !== sha256(client.id)) throw refreshTokenRefusal()
  const facts = grantFacts(presented.sid, record.value, client.id)
  try {
    return await refreshGrant(context, request, { presented, record, facts })
  } catch (error) {
    throw attribute(error, facts)
  }
}

/** A refresh token that belongs to the client, and the grant behind it. */
interface PresentedGrant {
  readonly presented: RefreshToken
  readonly record: VaultRecord<Grant>
  readonly facts: EventFacts
}

async function refreshGrant(
  context: ProxyContext,
  request: TokenRequest,
  { presented, record, facts }: PresentedGrant,
): Promise<IssuedTokens> {
  const { params, client, proof } = request
  const grant = record.value
  // One from before the login was bound has been used, by whoever bound it: that ends the login, see below.
  if (presented.isBound) checkBoundTo(grant.jkt, proof, 'refresh token')
  const named = namedScopes(context, params.scope)
  checkResource(context, params.resource, grant)
  await checkChallenge(context, presented, grant)
  await checkScopes(context, named, presented, grant)
  await useProof(context, proof)
  let trace: EntraTrace | undefined
  const renewal = renewalFor(context, request, presented, (renewed) => {
    trace = renewed
  })
  const rotation = await context.refreshTokens.rotate(presented, record, renewal)
  const whole = readRotation(context, rotation, facts)
  if (
    context.account.keepsApps &&
    rotation.outcome === 'rotated' &&
    isFromAnotherDay(grant, context.now())
  ) {
    await context.connectedApps.record(presented.sid, grant, client)
  }
  const answer = await fitAnswer(context, request, { presented, named, whole, facts })
  return { answer, facts: { ...facts, trace } }
}

/** Once a day is enough for the index of apps to live as long as the grant. */
function isFromAnotherDay({ renewedAt }: Grant, now: number): boolean {
  return Math.floor(renewedAt / day) !== Math.floor(now / 1000 / day)
}

/** The scopes that the client names. None of ours means that it asks for all that were granted. */
function namedScopes(
  { scopes }: Pick<ProxyContext, 'scopes'>,
  scope: string | undefined,
): readonly string[] {
  return scope === undefined ? [] : scopes.fromClient(scope, [])
}

function checkResource(
  context: Pick<ProxyContext, 'resources'>,
  named: string | undefined,
  { resource }: Grant,
): void {
  if (named === undefined || findResource(context, named).url === resource) return
  throw new OAuthError('invalid_target', "'resource' differs from the one the token is for.")
}

/** A grant that ran into a claims challenge gets new tokens only by a login that carries the challenge to Entra. */
async function checkChallenge(
  { challenges }: Pick<ProxyContext, 'challenges'>,
  { sid }: RefreshToken,
  grant: Grant,
): Promise<void> {
  if (!blocks(await challenges.read(challengedUser(grant)), sid)) return
  throw new OAuthError(
    'invalid_grant',
    'Microsoft Entra asks the user to sign in again, for example with MFA. Authorize again.',
  )
}

async function checkScopes(
  { scopes, stepUpByLogin, stepUps }: Pick<ProxyContext, 'scopes' | 'stepUpByLogin' | 'stepUps'>,
  named: readonly string[],
  { sid }: RefreshToken,
  grant: Grant,
): Promise<void> {
  if (scopes.missing(grant.scopes, named).length > 0) {
    throw new OAuthError(
      'invalid_scope',
      "'scope' asks for more than was granted. Authorize again.",
    )
  }
  if (!stepUpByLogin || named.length > 0) return
  // SDK v1 clients answer a 403 by refreshing, and log in for the scopes they lack only when that is refused. Not
  // with `invalid_grant`: some clients then drop their tokens, which still work for every other tool.
  if (scopes.missing(grant.scopes, await stepUps.read(sid)).length > 0) {
    throw new OAuthError('interaction_required', 'More scopes are needed. Authorize again.')
  }
}

function renewalFor(
  context: ProxyContext,
  { client, proof }: TokenRequest,
  { sid }: RefreshToken,
  onRenewed: (trace: EntraTrace | undefined) => void,
): Renewal {
  return {
    async renew(grant) {
      checkBoundTo(grant.jkt, proof, 'refresh token')
      const renewed = await renewLogin(context, { sid, grant, clientId: client.id })
      onRenewed(renewed.trace)
      return bindGrant(renewed.grant, client, proof)
    },
    answer: (grantSid, grant, next) =>
      tokenAnswer(context, { sid: grantSid, grant, clientId: client.id, jkt: proof?.jkt }, next),
  }
}

function readRotation(
  context: Pick<ProxyContext, 'report'>,
  rotation: Rotation,
  facts: EventFacts,
): TokenAnswer {
  if ('answer' in rotation) return rotation.answer
  throw rotation.outcome === 'reused' ? reportReuse(context, facts) : refreshTokenRefusal()
}

/** Tells the operator that a login was ended because two had its refresh token. @returns what the client is told */
function reportReuse({ report }: Pick<ProxyContext, 'report'>, facts: EventFacts): OAuthError {
  report('revocation', { reason: 'refresh_token_reused' }, facts)
  return refreshTokenRefusal()
}

/** The answer that all callers with the same token get, and what this one asked for. */
interface SharedAnswer {
  readonly presented: RefreshToken
  readonly named: readonly string[]
  readonly whole: TokenAnswer
  readonly facts: EventFacts
}

/**
 * Makes an answer for all fit this one request: with fewer scopes for this one access token, while the refresh token
 * keeps them all (RFC 6749 section 6), and with the key of this request, when whoever rotated had another.
 */
async function fitAnswer(
  context: Pick<ProxyContext, 'grants' | 'scopes' | 'accessTokens' | 'report'>,
  { client, proof }: TokenRequest,
  { presented: { sid }, named, whole, facts }: SharedAnswer,
): Promise<TokenAnswer> {
  const isBoundRight = boundKeyOf(whole) === proof?.jkt
  if (named.length === 0 && isBoundRight) return whole
  const grant = (await context.grants.read(sid))?.value
  if (!grant) throw refreshTokenRefusal()
  if (grant.jkt !== undefined && grant.jkt !== proof?.jkt) {
    // No retry: whoever rotated has bound the login to a key of their own. Two have the token, and one has stolen it.
    await context.grants.revoke(sid)
    throw reportReuse(context, facts)
  }
  const scopes =
    named.length === 0
      ? grant.scopes
      : context.scopes.grant(withRequired(context.scopes, named), grant.scopes)
  if (scopes.join(' ') === whole.scope && isBoundRight) return whole
  const fitting = { sid, grant, clientId: client.id, scopes, jkt: proof?.jkt }
  return tokenAnswer(context, fitting, whole.refresh_token)
}

function boundKeyOf({ token_type, access_token }: TokenAnswer): string | undefined {
  if (token_type === 'Bearer') return undefined
  return (decodeJwt(access_token)?.claims.cnf as { jkt?: string } | undefined)?.jkt
}
