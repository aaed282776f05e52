/** `GET /auth/callback`: Entra's answer becomes a grant and a code of ours, or an error for the client. */
import type { ServerResponse } from 'node:http'
import { aadstsCodesIn } from '../entra/aadsts-codes.js'
import { EntraError, isAlreadyRedeemed, isMalformedRequest } from '../entra/errors.js'
import type { UpstreamTokens } from '../entra/token-endpoint.js'
import { redirect } from '../http/respond.js'
import { admitUser } from '../login/upstream-grant.js'
import { loginOutcome, reportUpstream } from '../login/upstream-outcome.js'
import { OAuthError, type OAuthErrorCode } from '../oauth/errors.js'
import { type Params, required, singleParams } from '../oauth/params.js'
import { keepTrying } from '../storage/keep-trying.js'
import type { PendingChallenge } from '../tokens/challenges.js'
import type { Grant } from '../tokens/records.js'
import { codeAnswer, errorAnswer } from './client-answer.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import {
  carryToEntra,
  refuseChallenge,
  unansweredChallenge,
  withAnswers,
} from './login-challenges.js'
import { endLogin, type PendingLogin } from './upstream-login.js'

/** @see RFC 6749 section 4.1.2, RFC 9700 section 4.7 (binding to the browser) */
export function callback(context: ProxyContext) {
  return async function callbackEndpoint(
    { req, query, arrivedAt }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const params = entraParams(query)
    const login = endLogin(context, req, res, required(params, 'state'))
    try {
      const tokens = await redeemCode(context, params, login)
      const grant = withAnswers(login, await admitUser(context, tokens, login))
      const { challenge, code } = await conclude(context, login, grant)
      if (challenge)
        return redirect(res, 302, carryToEntra(context, req, res, login, grant, challenge))
      context.report('login', { outcome: 'success', milliseconds: context.now() - arrivedAt })
      redirect(res, 302, codeAnswer(login, code, context.baseUrl))
    } catch (error) {
      const outcome = clientOutcome(context, error, params.error !== undefined)
      if (refusals.includes(outcome.code)) await refuseChallenge(context, login)
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

function redeemCode(
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
    const challenge = await unansweredChallenge(context, login, grant)
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
  const codes = aadstsCodesIn(description ?? '')
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
    const origin = isMalformedRequest(error) ? 'stranger' : undefined
    reportUpstream(context.report, 'callback', error, origin)
    // The first redemption won, and its answer is on the way: an error now would overtake it.
    if (isAlreadyRedeemed(error)) {
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
