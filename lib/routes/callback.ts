/** `GET /auth/callback`: Entra's answer becomes a grant and a code of ours, or an error for the client. */
import type { ServerResponse } from 'node:http'
import { randomSecret } from '../crypto/hashing.js'
import type { Browser } from '../http/browser.js'
import type { EventFacts } from '../http/event-facts.js'
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
import { askUnaskedUser, type UnaskedUser } from './ask-for-consent.js'
import { codeAnswer, errorAnswer } from './client-answer.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { readEntraAnswer, redeemAnswer } from './entra-answer.js'
import { finishInteraction } from './interaction.js'
import { sendRefusalPage, siteOf } from './refusal-page.js'
import { isStillAllowed, rememberConsent } from './remembered-consent.js'
import { beginChallengedLogin, endLogin, loginFacts, type PendingLogin } from './upstream-login.js'

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
    if ('interaction' in login) return finishInteraction(context, request, res, params, login)
    const outcome = await finishLogin(context, browser, params, login, arrivedAt)
    if ('unasked' in outcome) return askUnaskedUser(context, browser, login, outcome.unasked)
    if ('shown' in outcome) return showRefusal(context, browser, login, outcome.shown)
    redirect(res, 302, outcome.onward)
  }
}

/**
 * Where the browser goes: to the client, to Entra once more, or nowhere, before its user has been asked or because the
 * client has been answered before.
 */
type Outcome =
  | { readonly onward: string }
  | { readonly unasked: UnaskedUser }
  | { readonly shown: OAuthError }

/** The user reads it in the language that the client asked for. */
function showRefusal(
  context: Pick<ProxyContext, 'report' | 'looks'>,
  { req, res }: Browser,
  login: PendingLogin,
  error: OAuthError,
): void {
  const look = context.looks.forReader(req, login.language)
  const target = siteOf(login.redirectUri)
  const facts = loginFacts(login)
  sendRefusalPage(context, res, look, { endpoint: 'callback', error, target, facts })
}

async function finishLogin(
  context: ProxyContext,
  browser: Browser,
  params: Params,
  login: PendingLogin,
  arrivedAt: number,
): Promise<Outcome> {
  const facts = loginFacts(login)
  let known: EventFacts = facts
  try {
    const asked = context.scopes.toUpstreamTokenExchange(login.scopes)
    const tokens = await redeemAnswer(context, params, login, { scopes: asked, facts })
    known = { ...facts, trace: tokens.trace }
    const admitted = await admitUser(context, tokens, { ...login, arrivedAt }, (identified) => {
      known = { ...known, ...identified }
    })
    const grant = recordAnswers(login.carries, admitted)
    const { user } = grant
    const { unasked, challenge, begun } = await concludeLogin(context, login, grant)
    if (unasked) return { unasked: { ...unasked, facts: known } }
    if (challenge) {
      context.report('login', { outcome: 'challenged' }, known)
      return { onward: beginChallengedLogin(context, browser, login, user, challenge) }
    }
    await rememberConsent(context, login, user, known)
    await beginSession(context, browser, user, known)
    const consent = login.remembered ? 'remembered' : 'given'
    const event = { outcome: 'success', consent, milliseconds: context.now() - arrivedAt } as const
    context.report('login', event, { ...known, sid: begun.sid })
    return { onward: codeAnswer(login, begun.code, context.baseUrl) }
  } catch (error) {
    return concludeRefusal(context, params, { login, facts: known }, error)
  }
}

async function concludeRefusal(
  context: Pick<ProxyContext, 'report' | 'challenges' | 'baseUrl'>,
  params: Params,
  { login, facts }: { readonly login: PendingLogin; readonly facts: EventFacts },
  error: unknown,
): Promise<Outcome> {
  const isReported = params.error !== undefined
  try {
    const refusal = concludeFailedLogin(context.report, error, facts, isReported)
    if (isLoginRefusal(refusal)) await refuseChallenge(context, login.client, login.carries)
    return { onward: errorAnswer(login, refusal, context.baseUrl) }
  } catch (shown) {
    if (shown instanceof OAuthError) return { shown }
    throw shown
  }
}

/** The user is back from Entra either way, and that no session could begin must not cost the client its login. */
async function beginSession(
  { account, report }: Pick<ProxyContext, 'account' | 'report'>,
  browser: Browser,
  user: User,
  facts: EventFacts,
): Promise<void> {
  try {
    await account.sessions?.begin(browser, user)
  } catch (error) {
    report('failure', { endpoint: 'callback', reason: 'session_not_begun', error }, facts)
  }
}

/** Where a sign-in goes next: to the page, to Entra once more with a challenge, or to the client with a code. */
type Conclusion =
  | { readonly unasked: Unasked; readonly challenge?: never; readonly begun?: never }
  | { readonly unasked?: never; readonly challenge: PendingChallenge; readonly begun?: never }
  | { readonly unasked?: never; readonly challenge?: never; readonly begun: BegunGrant }

type Unasked = Pick<UnaskedUser, 'user' | 'clientId'>

/** A code, and the secret of the grant that it begins. */
interface BegunGrant {
  readonly code: string
  readonly sid: string
}

/**
 * Entra's code is spent, so a store that is away for a moment must not cost the user a sign-in that is all but
 * finished. Writing twice does no harm: each write has new secrets.
 */
function concludeLogin(
  context: ProxyContext,
  login: PendingLogin,
  grant: Grant,
): Promise<Conclusion> {
  const { remembered, redirectUri, codeChallenge, dpopJkt } = login
  const bound = dpopJkt !== undefined && { dpopJkt }
  return keepTrying(async () => {
    if (remembered && !(await isStillAllowed(context, login, remembered, grant.user))) {
      return { unasked: { user: grant.user, clientId: remembered.clientId } }
    }
    const challenge = await findUnansweredChallenge(context.challenges, login.carries, grant)
    if (challenge) return { challenge }
    const sid = randomSecret()
    const code = await context.codes.create({ sid, redirectUri, codeChallenge, ...bound, grant })
    return { begun: { code, sid } }
  }, context)
}
