/** `GET /auth/callback`: Entra's answer becomes a grant and a code of ours, or an error for the client. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parseJws } from '../crypto/jws.js'
import { EntraError } from '../entra/errors.js'
import type { UpstreamTokens } from '../entra/token-endpoint.js'
import { type EntraClaims, isAppOnly } from '../entra/verify.js'
import { redirect } from '../http/respond.js'
import { checkPolicy } from '../login/policy.js'
import { loginOutcome, reportUpstream } from '../login/upstream-outcome.js'
import { OAuthError, type OAuthErrorCode } from '../oauth/errors.js'
import { type Params, required, singleParams } from '../oauth/params.js'
import { keepTrying } from '../storage/keep-trying.js'
import {
  answersAtMost,
  challengedUser,
  challengeId,
  type PendingChallenge,
} from '../tokens/challenges.js'
import type { Grant, User } from '../tokens/records.js'
import { codeAnswer, errorAnswer } from './client-answer.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { beginLogin, endLogin, type PendingLogin } from './upstream-login.js'

/** AADSTS numbers of one answer that are reported. */
const mostCodes = 8
/** AADSTS54005: somebody redeemed this code before us. */
const alreadyRedeemed = 54005
/** AADSTS9002313: what was sent as a code is none, and says nothing about how this server is set up. */
const malformed = 9002313

/** @see RFC 6749 section 4.1.2, RFC 9700 section 4.7 (binding to the browser) */
export function callback(context: ProxyContext) {
  return async function callbackEndpoint(
    { req, query, arrivedAt }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const params = entraParams(query)
    const login = endLogin(context, req, res, required(params, 'state'))
    try {
      const grant = await admit(context, await upstreamTokens(context, params, login), login)
      const { challenge, code } = await conclude(context, login, grant)
      if (challenge) return redirect(res, 302, onceMore(context, req, res, login, grant, challenge))
      context.report('login', { outcome: 'success', milliseconds: context.now() - arrivedAt })
      redirect(res, 302, codeAnswer(login, code, context.baseUrl))
    } catch (error) {
      const outcome = clientOutcome(context, error, params.error !== undefined)
      if (refusals.includes(outcome.code)) await giveUp(context, login)
      redirect(res, 302, errorAnswer(login, outcome, context.baseUrl))
    }
  }
}

/** What Entra's answer is made of, as far as it decides anything. */
const decisive = ['state', 'code', 'error']

/** `error_description` has line breaks in it: it is no reason to keep the error itself from the client. */
function entraParams(query: URLSearchParams): Params {
  const params = singleParams([...query].filter(([name]) => decisive.includes(name)))
  return { ...params, error_description: query.get('error_description') ?? undefined }
}

function upstreamTokens(
  context: ProxyContext,
  params: Params,
  login: PendingLogin,
): Promise<UpstreamTokens> {
  if (params.error !== undefined)
    throw upstreamRefusal(context, params.error, params.error_description)
  return context.tokenEndpoint.redeemCode({
    code: required(params, 'code'),
    redirectUri: context.baseUrl + context.callbackPath,
    codeVerifier: login.verifier,
    scopes: context.scopes.toUpstreamTokenExchange(login.scopes),
  })
}

/** How a sign-in goes on: once more to Entra, or to the client with a code. */
type Conclusion =
  | { readonly challenge: PendingChallenge; readonly code?: never }
  | { readonly challenge?: never; readonly code: string }

/**
 * Entra's code has been redeemed and cannot be again: a store that is away for a moment is to cost nobody a
 * sign-in that is all but finished. A repeated write is harmless, for it has new secrets.
 */
function conclude(context: ProxyContext, login: PendingLogin, grant: Grant): Promise<Conclusion> {
  return keepTrying(async () => {
    const challenge = await unanswered(context, login, grant)
    return challenge ? { challenge } : { code: await issueCode(context, login, grant) }
  }, context)
}

async function issueCode(
  context: ProxyContext,
  login: PendingLogin,
  grant: Grant,
): Promise<string> {
  const sid = await context.grants.create(grant)
  return context.codes.create({
    sid,
    client: login.client,
    redirectUri: login.redirectUri,
    codeChallenge: login.codeChallenge,
    resource: login.resource,
  })
}

/** A challenge that waits for this user at this client, unless this login has just carried it to Entra. */
async function unanswered(
  { challenges }: ProxyContext,
  { carries }: PendingLogin,
  grant: Grant,
): Promise<PendingChallenge | undefined> {
  const user = challengedUser(grant)
  const pending = await challenges.read(user)
  if (!pending || pending.refused) return undefined
  const carried = carries?.ids ?? []
  if (carried.length < answersAtMost && !carried.includes(challengeId(pending))) return pending
  await challenges.clear(user)
  return undefined
}

/** Only now is it known who is signing in: the browser goes to Entra again, with what Entra wanted of them. */
function onceMore(
  context: ProxyContext,
  req: IncomingMessage,
  res: ServerResponse,
  login: PendingLogin,
  { user }: Grant,
  challenge: PendingChallenge,
): string {
  const { tid, oid, username } = user
  const before = isFor(login.carries, user) ? login.carries?.ids : challenge.after
  context.report('login', { outcome: 'challenged' })
  return beginLogin(context, req, res, login, {
    challenge,
    carries: { ids: [...(before ?? []), challengeId(challenge)], tid, oid },
    ...(username !== undefined && { hints: { login_hint: username } }),
  })
}

/** The user could not satisfy Entra: asking again would go round in circles. */
async function giveUp(
  { challenges, report }: ProxyContext,
  { client, carries }: PendingLogin,
): Promise<void> {
  if (!carries) return
  const user = { client, tid: carries.tid, oid: carries.oid }
  try {
    const pending = await challenges.read(user)
    if (pending && carries.ids.includes(challengeId(pending))) {
      await challenges.remember(user, { ...pending, refused: true })
    }
  } catch (error) {
    // The client is to hear what Entra said all the same.
    report('failure', { endpoint: 'callback', reason: 'challenge_not_recorded', error })
  }
}

/** Checks at once who came back: who may not come in hears it now and not in a loop of 401s. */
async function admit(
  context: ProxyContext,
  tokens: UpstreamTokens,
  login: PendingLogin,
): Promise<Grant> {
  const now = Math.floor(context.now() / 1000)
  const claims = await verified(context, tokens, login.nonce)
  const user = userFrom(claims)
  const granted = context.scopes.fromUpstream(tokens.scope ?? String(claims.scp ?? ''))
  const scopes = context.scopes.grant(login.scopes, granted)
  if (context.scopes.missing(scopes, context.scopes.required).length > 0) {
    throw new OAuthError(
      'access_denied',
      'Microsoft Entra did not grant the scopes this server needs.',
    )
  }
  await checkPolicy(context.policy, user, claims)
  return {
    user,
    client: login.client,
    scopes,
    requested: login.scopes,
    resource: login.resource,
    createdAt: now,
    renewedAt: now,
    generation: 0,
    ...(isFor(login.carries, user) && { answered: login.carries?.ids ?? [] }),
    upstream: {
      accessToken: tokens.accessToken,
      expiresAt: now + tokens.expiresIn,
      ...(tokens.refreshToken !== undefined && { refreshToken: tokens.refreshToken }),
    },
  }
}

/** Whoever signs in may be somebody else than the user the challenge was for. */
function isFor(carries: PendingLogin['carries'], { tid, oid }: User): boolean {
  return carries?.tid === tid && carries.oid === oid
}

/** The id token proves the login is this one (nonce), the access token that it is for our API. */
async function verified(
  context: ProxyContext,
  tokens: UpstreamTokens,
  nonce: string,
): Promise<EntraClaims> {
  if (tokens.idToken === undefined) throw unusable('Entra sent no id token')
  try {
    const identity = await context.verifier.idToken(tokens.idToken, { nonce })
    const access = await accessClaims(context, tokens.accessToken)
    if (identity.oid !== access.oid || identity.tid !== access.tid) {
      throw unusable('id token and access token are of two users')
    }
    return { ...identity, ...access }
  } catch (error) {
    if (!(error instanceof OAuthError) || error.code !== 'invalid_token') throw error
    // What a gate would answer to a bearer is here a matter between Entra and the operator.
    throw new OAuthError('access_denied', error.description, { cause: error })
  }
}

/** Claims of an access token from Entra's token endpoint, if it is one for our API. @throws OAuthError */
export async function accessClaims(
  { verifier }: Pick<ProxyContext, 'verifier'>,
  token: string,
): Promise<EntraClaims> {
  const jws = parseJws(token)
  if (!jws) throw unusable('the access token is no JWT')
  const claims = await verifier.accessToken(jws)
  if (isAppOnly(claims)) throw unusable('the access token has no user')
  return claims
}

function unusable(cause: string): OAuthError {
  return new OAuthError('server_error', 'Microsoft Entra sent tokens this server cannot use.', {
    cause,
  })
}

function userFrom({ oid, tid, sub, name, preferred_username, roles }: EntraClaims): User {
  return {
    oid,
    tid,
    sub,
    ...(name !== undefined && { name }),
    ...(preferred_username !== undefined && { username: preferred_username }),
    roles: roles ?? [],
  }
}

/** Codes a client may be told as they are; everything else is between Entra and us. */
const passedOn: readonly OAuthErrorCode[] = [
  'access_denied',
  'login_required',
  'interaction_required',
  'consent_required',
  'account_selection_required',
  'temporarily_unavailable',
]

/** Of these, what means that Entra or the user said no. */
const refusals: readonly OAuthErrorCode[] = passedOn.filter(
  (code) => code !== 'temporarily_unavailable',
)

/** An error that Entra sent instead of a code. Its description is for the operator. */
function upstreamRefusal(
  context: ProxyContext,
  error: string,
  description: string | undefined,
): OAuthError {
  const codes = [...(description ?? '').matchAll(/AADSTS(\d{4,8})/g)]
    .slice(0, mostCodes)
    .map(([, code]) => Number(code))
  const code = passedOn.find((known) => known === error) ?? 'server_error'
  const refusal = new OAuthError(code, 'Microsoft Entra did not complete the sign-in.', {
    cause: { codes },
  })
  context.report(refusal.status >= 500 ? 'failure' : 'refusal', {
    endpoint: 'callback',
    reason: 'entra_error',
    error: code,
    codes,
    // The browser brings it, and nothing proves that Entra wrote it.
    origin: 'stranger',
  })
  return refusal
}

/**
 * Everything that can go wrong after the cookie was good, as the client hears it.
 *
 * @param reported whether an error that is the client's to hear has been reported as a failure already
 */
function clientOutcome(context: ProxyContext, error: unknown, reported: boolean): OAuthError {
  if (error instanceof EntraError) {
    // The browser brings the code as well: it may be none.
    const origin = error.codes.includes(malformed) ? 'stranger' : undefined
    reportUpstream(context.report, 'callback', error, origin)
    // The first redemption won, and its answer is on the way: an error now would overtake it.
    if (error.codes.includes(alreadyRedeemed)) {
      throw new OAuthError('access_denied', 'This sign-in has been completed already.', {
        cause: error,
      })
    }
    return loginOutcome(error)
  }
  if (error instanceof OAuthError) {
    const { code, description, status } = error
    const failed = status >= 500
    if (failed && reported) return error
    context.report(failed ? 'failure' : 'login', {
      ...(failed ? { endpoint: 'callback', reason: code } : { outcome: code }),
      detail: description,
      cause: causeOf(error),
    })
    return error
  }
  context.report('failure', { endpoint: 'callback', reason: 'unexpected', error })
  return new OAuthError('server_error', 'The sign-in could not be completed. Try again.', {
    cause: error,
  })
}

function causeOf({ cause }: OAuthError): unknown {
  return cause instanceof Error ? cause.message : cause
}
