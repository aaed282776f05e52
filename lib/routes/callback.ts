/** `GET /auth/callback`: Entra's answer becomes a grant and a code of ours, or an error for the client. */
import type { ServerResponse } from 'node:http'
import type { Browser } from '../http/browser.js'
import { redirect } from '../http/respond.js'
import {
  findUnansweredChallenge,
  recordAnswers,
  refuseChallenge,
} from '../login/carried-challenges.js'
import { concludeFailedLogin, isLoginRefusal } from '../login/failed-login.js'
import { admitUser } from '../login/upstream-grant.js'
import { OAuthError } from '../oauth/errors.js'
import { type Params, required } from '../oauth/params.js'
import { keepTrying } from '../storage/keep-trying.js'
import type { PendingChallenge } from '../tokens/challenges.js'
import type { Grant, User } from '../tokens/records.js'
import { finishSignIn } from './account-sign-in.js'
import { codeAnswer, errorAnswer } from './client-answer.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { readEntraAnswer, redeemAnswer } from './entra-answer.js'
import { sendRefusalPage, siteOf } from './refusal-page.js'
import { beginChallengedLogin, endLogin, type PendingLogin } from './upstream-login.js'

/** @see RFC 6749 section 4.1.2, RFC 9700 section 4.7 (binding to the browser) */
export function callback(context: ProxyContext) {
  return async function callbackEndpoint(
    request: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const { req, query, arrivedAt } = request
    const params = readEntraAnswer(query)
    const browser = { req, res }
    const login = endLogin(context, browser, required(params, 'state'))
    if ('account' in login) return finishSignIn(context, request, res, params, login)
    try {
      const scopes = context.scopes.toUpstreamTokenExchange(login.scopes)
      const tokens = await redeemAnswer(context, params, login, scopes)
      const grant = recordAnswers(login.carries, await admitUser(context, tokens, login))
      const { challenge, code } = await concludeLogin(context, login, grant)
      if (challenge) {
        const onward = beginChallengedLogin(context, browser, login, grant.user, challenge)
        return redirect(res, 302, onward)
      }
      await beginSession(context, browser, grant.user)
      context.report('login', { outcome: 'success', milliseconds: context.now() - arrivedAt })
      redirect(res, 302, codeAnswer(login, code, context.baseUrl))
    } catch (error) {
      await concludeRefusal(context, browser, params, login, error)
    }
  }
}

/** The client hears of it, unless it has been answered before: then the user does. */
async function concludeRefusal(
  context: ProxyContext,
  { req, res }: Browser,
  params: Params,
  login: PendingLogin,
  error: unknown,
): Promise<void> {
  try {
    const refusal = concludeFailedLogin(context.report, error, params.error !== undefined)
    if (isLoginRefusal(refusal)) await refuseChallenge(context, login.client, login.carries)
    redirect(res, 302, errorAnswer(login, refusal, context.baseUrl))
  } catch (shown) {
    if (!(shown instanceof OAuthError)) throw shown
    const look = context.looks.forReader(req, login.language)
    const target = siteOf(login.redirectUri)
    sendRefusalPage(context, res, look, { endpoint: 'callback', error: shown, target })
  }
}

/** The user is back from Entra either way, and that no session could begin must not cost the client its login. */
async function beginSession(
  { account, report }: Pick<ProxyContext, 'account' | 'report'>,
  browser: Browser,
  user: User,
): Promise<void> {
  try {
    await account.sessions?.begin(browser, user)
  } catch (error) {
    report('failure', { endpoint: 'callback', reason: 'session_not_begun', error })
  }
}

/** Where a sign-in goes next: to Entra once more with a challenge, or to the client with a code. */
type Conclusion =
  | { readonly challenge: PendingChallenge; readonly code?: never }
  | { readonly challenge?: never; readonly code: string }

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
    return { code: await context.codes.create({ redirectUri, codeChallenge, grant }) }
  }, context)
}
