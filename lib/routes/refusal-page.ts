/** A refusal that its user reads on a page, with a link back to the application where it is on the web. */
import type { ServerResponse } from 'node:http'
import { randomReference } from '../crypto/reference.js'
import type { EventFacts } from '../http/event-facts.js'
import { sendPage, setRetryAfter } from '../http/respond.js'
import type { OAuthError } from '../oauth/errors.js'
import { staysOnDevice } from '../oauth/redirect-uri.js'
import type { Look } from '../pages/look.js'
import { problemPage, returnPage } from '../pages/problem-page.js'
import type { ProxyContext } from './context.js'

/** What the user hears, and where the link goes. */
export interface Refusal {
  readonly endpoint: string
  readonly error: OAuthError
  /** An https URL of the application. */
  readonly target: string | undefined
  /** For the operator: about the login. */
  readonly facts: EventFacts
}

/** Reports the refusal and shows it, under one reference. */
export function sendRefusalPage(
  { report }: Pick<ProxyContext, 'report'>,
  res: ServerResponse,
  look: Look,
  { endpoint, error, target, facts }: Refusal,
): void {
  const { code: reason, description: detail, status, cause } = error
  const reference = randomReference()
  const about = { ...facts, reference }
  if (status < 500) report('refusal', { endpoint, reason, detail }, about)
  else report('failure', { endpoint, reason, detail, cause }, about)
  setRetryAfter(res, error)
  const page =
    target === undefined
      ? problemPage(look, error, reference)
      : returnPage(look, error, target, reference)
  sendPage(res, status, page)
}

/** The site of an application on the web. A program on this device has none. */
export function siteOf(redirectUri: string): string | undefined {
  return staysOnDevice(redirectUri) ? undefined : `${new URL(redirectUri).origin}/`
}
