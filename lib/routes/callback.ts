/** `GET /auth/callback`: Entra's answer becomes a grant and a code of ours, or an error for the client. */
import type { ServerResponse } from 'node:http'
import { randomSecret } from '../crypto/hashing.js'
import type { UpstreamTokens } from '../entra/token-endpoint.js'
import type { EventFacts } from '../http/event-facts.js'
import { redirect } from '../http/respond.js'
import {
  findUnansweredChallenge,
  recordAnswers,
  refuseChallenge,
} from '../login/carried-challenges.js'
import { concludeFailedLogin, isLoginRefusal, refuseByEntra } from '../login/failed-login.js'
import { admitUser } from '../login/upstream-grant.js'
import { type Params, required, singleParams } from '../oauth/params.js'
import { keepTrying } from '../storage/keep-trying.js'
import type { PendingChallenge } from '../tokens/challenges.js'
import type { Grant } from '../tokens/records.js'
import { codeAnswer, errorAnswer } from './client-answer.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { beginChallengedLogin, endLogin, loginFacts, type PendingLogin } from './upstream-login.js'

/** @see RFC 6749 section 4.1.2, RFC 9700 section 4.7 (binding to the browser) */
export function callback(context: ProxyContext) {
  return async function callbackEndpoint(
    { req, query, arrivedAt }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const params = readEntraAnswer(query)
    const login = endLogin(context, { req, res }, required(params, 'state'))
    const facts = loginFacts(login)
    try {
      const tokens = await redeemCode(context, params, login, facts)
      const grant = recordAnswers(login.carries, await admitUser(context, tokens, login))
      const { user, scopes } = grant
      const known = { ...facts, user, scopes, trace: tokens.trace }
      const { challenge, code, sid } = await concludeLogin(context, login, grant)
      if (challenge) {
        context.report('login', { outcome: 'challenged' }, known)
        const onward = beginChallengedLogin(context, { req, res }, login, user, challenge)
        return redirect(res, 302, onward)
      }
      const milliseconds = context.now() - arrivedAt
      context.report('login', { outcome: 'success', milliseconds }, { ...known, sid })
      redirect(res, 302, codeAnswer(login, code, context.baseUrl))
    } catch (error) {
      const isReported = params.error !== undefined
      const refusal = concludeFailedLogin(context.report, error, facts, isReported)
      if (isLoginRefusal(refusal)) await refuseChallenge(context, login.client, login.carries)
      redirect(res, 302, errorAnswer(login, refusal, context.baseUrl))
    }
  }
}

/** The parameters of Entra's answer that decide anything. */
const decisive = ['state', 'code', 'error']

/** Entra's `error_description` has line breaks. They must not keep the error itself from the client. */
function readEntraAnswer(query: URLSearchParams): Params {
  const params = singleParams([...query].filter(([name]) => decisive.includes(name)))
  return { ...params, error_description: query.get('error_description') ?? undefined }
}

function redeemCode(
  context: Pick<ProxyContext, 'tokenEndpoint' | 'scopes' | 'baseUrl' | 'callbackPath' | 'report'>,
  params: Params,
  login: PendingLogin,
  facts: EventFacts,
): Promise<UpstreamTokens> {
  if (params.error !== undefined)
    throw refuseByEntra(context.report, params.error, params.error_description, facts)
  return context.tokenEndpoint.redeemCode({
    code: required(params, 'code'),
    redirectUri: context.baseUrl + context.callbackPath,
    codeVerifier: login.verifier,
    scopes: context.scopes.toUpstreamTokenExchange(login.scopes),
  })
}

/** Where a sign-in goes next: to Entra once more with a challenge, or to the client with a code. */
type Conclusion =
  | { readonly challenge: PendingChallenge; readonly code?: never; readonly sid?: never }
  | { readonly challenge?: never; readonly code: string; readonly sid: string }

/**
 * Entra's code is spent, so a store that is away for a moment must not cost the user a sign-in that is all but
 * finished. Writing twice does no harm: each write has new secrets.
 */
function concludeLogin(
  context: Pick<ProxyContext, 'challenges' | 'codes' | 'now'>,
  login: PendingLogin,
  grant: Grant,
): Promise<Conclusion> {
  return keepTrying(async () => {
    const challenge = await findUnansweredChallenge(context.challenges, login.carries, grant)
    if (challenge) return { challenge }
    const { redirectUri, codeChallenge } = login
    const sid = randomSecret()
    return { code: await context.codes.create({ sid, redirectUri, codeChallenge, grant }), sid }
  }, context)
}
