/** The forms of the account pages: only the browser that was shown a form may send it. */
import type { IncomingMessage } from 'node:http'
import { constantTimeEqual } from '../crypto/hashing.js'
import { oauthBodyLimit, readForm } from '../http/body.js'
import type { Browser } from '../http/browser.js'
import { attribute } from '../http/event-facts.js'
import { checkSameOrigin } from '../http/same-origin.js'
import { OAuthError } from '../oauth/errors.js'
import { type Params, required } from '../oauth/params.js'
import type { AccountContext } from './account-context.js'
import type { AccountSession } from './browser-sessions.js'

/** A form that the signed-in user has sent. */
export interface AccountForm {
  readonly session: AccountSession
  readonly params: Params
}

/**
 * Reads a form, and checks that it comes from a page of this very session.
 *
 * @throws OAuthError `access_denied` when nobody is signed in, or the form is of another session or another site; 503
 */
export async function readAccountForm(
  { sessions, baseUrl }: Pick<AccountContext, 'sessions' | 'baseUrl'>,
  browser: Browser & { readonly req: IncomingMessage & { body?: unknown } },
): Promise<AccountForm> {
  const params = await readForm(browser.req, oauthBodyLimit)
  checkSameOrigin(browser.req, new URL(baseUrl).origin)
  const session = await sessions.read(browser)
  if (session && constantTimeEqual(required(params, 'csrf'), session.csrf)) {
    return { session, params }
  }
  const expired = new OAuthError(
    'access_denied',
    'This page has expired, or it was opened in another browser. Open your connected apps again.',
    { situation: 'appsPageExpired' },
  )
  throw session ? attribute(expired, { user: session.user }) : expired
}
