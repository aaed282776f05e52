/** The end of a sign-in to the pages of the account: Entra's answer becomes a session of the browser. */
import { randomReference } from '../crypto/reference.js'
import type { Browser } from '../http/browser.js'
import type { EventFacts } from '../http/event-facts.js'
import { redirect } from '../http/respond.js'
import { concludeFailedLogin } from '../login/failed-login.js'
import { identifyUser } from '../login/identify-user.js'
import { OAuthError } from '../oauth/errors.js'
import type { Params } from '../oauth/params.js'
import { pathInLanguage } from '../pages/language.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { redeemAnswer } from './entra-answer.js'
import { sendProblem } from './run-route.js'
import { type PendingSignIn, signInScopes } from './upstream-login.js'

/** Where the connected apps are shown, below the path of `baseUrl`. */
export const appsPath = '/auth/apps'

/**
 * Signs the user in and goes on to the connected apps. The login policy is not asked: who may no longer use this server
 * may still see which apps have access, and end it.
 */
export async function finishSignIn(
  context: ProxyContext,
  request: EndpointRequest,
  res: Browser['res'],
  params: Params,
  login: PendingSignIn,
): Promise<void> {
  const browser = { req: request.req, res }
  const reference = randomReference()
  let known: EventFacts = { reference }
  try {
    await signIn(context, browser, params, login, {
      reference,
      onIdentified(facts) {
        known = { ...facts, reference }
      },
    })
  } catch (error) {
    const isReported = params.error !== undefined
    const refusal = concludeFailedLogin(context.report, error, known, isReported)
    const look = context.looks.forReader(request.req, login.language)
    return sendProblem(res, look, refusal, reference)
  }
  redirect(res, 303, pathInLanguage(context.basePath + appsPath, login.language))
}

/** For the operator. */
interface SignInReport {
  /** Of the page that the user sees when it fails. */
  readonly reference: string
  readonly onIdentified: (facts: EventFacts) => void
}

async function signIn(
  context: ProxyContext,
  browser: Browser,
  params: Params,
  login: PendingSignIn,
  { reference, onIdentified }: SignInReport,
): Promise<void> {
  const { account, verifier, report } = context
  const tokens = await redeemAnswer(context, params, login, {
    scopes: signInScopes,
    facts: { reference },
  })
  const user = await identifyUser(verifier, tokens, login.nonce)
  const facts = { user, trace: tokens.trace }
  onIdentified(facts)
  if (!account.sessions) throw new OAuthError('access_denied', 'This server has no account pages.')
  await account.sessions.begin(browser, user)
  report('login', { outcome: 'signed_in' }, facts)
}
