/** Asks the user: the consent page with its form, at `/authorize` and for somebody else who came back from Entra. */
import type { Browser } from '../http/browser.js'
import { attribute, type EventFacts } from '../http/event-facts.js'
import { sendPage } from '../http/respond.js'
import { senderOf } from '../http/sender.js'
import { consentPage } from '../pages/consent-page.js'
import { pathInLanguage } from '../pages/language.js'
import type { Look } from '../pages/look.js'
import type { User } from '../tokens/records.js'
import type { AuthorizationRequest } from './authorization-request.js'
import { writeConsentForm } from './consent-form.js'
import type { ProxyContext } from './context.js'
import { type Recalled, recallFor } from './remembered-consent.js'
import { identifyClient, type RequestingClient } from './requesting-client.js'
import type { ClientRequest } from './upstream-login.js'

/**
 * Shows the consent page.
 *
 * @param recalled who is asked, where that is known: what is new to them is marked
 * @throws OAuthError `invalid_request` when the request is too long for a form
 */
export function askForConsent(
  context: ProxyContext,
  browser: Browser,
  look: Look,
  { client }: RequestingClient,
  request: AuthorizationRequest,
  recalled: Recalled | undefined,
): void {
  const { serverName: server, scopes, basePath } = context
  const fields = writeConsentForm(context, browser, request, recalled?.user)
  // The form may be unreadable when it comes back, and the page about that is for the same reader.
  const action = pathInLanguage(`${basePath}/consent`, request.language)
  const newAccess = recalled?.newAccess
  const asked = { server, scopes, client, request, action, fields, newAccess }
  sendPage(browser.res, 200, consentPage(look, asked))
}

/** A user who came back from Entra and has not allowed what a login without the page would give the client. */
export interface UnaskedUser {
  readonly user: User
  readonly clientId: string
  /** Of the sign-in, for the operator. */
  readonly facts: EventFacts
}

/**
 * Asks a user who came back from Entra. What Entra sent is dropped: Approve goes to Entra again.
 *
 * @throws OAuthError to show on a page, when the client is none any more
 */
export async function askUnaskedUser(
  context: ProxyContext,
  browser: Browser,
  login: ClientRequest,
  { user, clientId, facts }: UnaskedUser,
): Promise<void> {
  const { redirectUri, state, codeChallenge, dpopJkt, scopes, resource, language } = login
  const named = { client_id: clientId, redirect_uri: redirectUri }
  const known = { ...facts, client: { id: clientId, redirectUri }, scopes }
  const identifying = identifyClient(context, named, senderOf(browser.req))
  const requesting = await identifying.catch((error: unknown) => {
    throw attribute(error, known)
  })
  const recalled = await recallFor(context, user, login)
  context.report('login', { outcome: 'consent_required' }, known)
  const request = {
    clientId,
    redirectUri,
    ...(state !== undefined && { state }),
    codeChallenge,
    ...(dpopJkt !== undefined && { dpopJkt }),
    scopes,
    resource,
    ...(language !== undefined && { language }),
    hints: user.username === undefined ? {} : { login_hint: user.username },
  }
  const look = context.looks.forReader(browser.req, language)
  askForConsent(context, browser, look, requesting, request, recalled)
}
