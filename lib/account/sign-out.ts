/** `POST /auth/signout` ends the browser's session, and `GET /auth/signed-out` says so. Apps keep their access. */
import type { ServerResponse } from 'node:http'
import { redirect, sendPage } from '../http/respond.js'
import { signedOutPage } from '../pages/signed-out-page.js'
import type { EndpointRequest } from '../routes/context.js'
import { type AccountContext, accountPaths } from './account-context.js'
import { readAccountForm } from './account-form.js'

/** Ends the session. */
export function signOut(context: AccountContext) {
  return async function signOutEndpoint(
    { req }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const browser = { req, res }
    await readAccountForm(context, browser)
    await context.sessions.end(browser)
    redirect(res, 303, context.basePath + accountPaths.signedOut)
  }
}

/** A page of its own, so that going back or reloading sends no form again. */
export function showSignedOut(context: AccountContext) {
  const signIn = context.basePath + accountPaths.apps
  return function signedOutEndpoint({ req }: EndpointRequest, res: ServerResponse): void {
    sendPage(res, 200, signedOutPage(context.looks.forReader(req), signIn))
  }
}
