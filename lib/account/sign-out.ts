/** `POST /auth/signout` ends the browser's session, and `GET /auth/signed-out` says so. Apps keep their access. */
import type { ServerResponse } from 'node:http'
import { redirect, sendPage } from '../http/respond.js'
import { signedOutPage } from '../pages/signed-out-page.js'
import type { EndpointRequest } from '../routes/context.js'
import { type AccountContext, accountView } from './account-context.js'
import { readAccountForm } from './account-form.js'

/** Ends the session. */
export function signOut(context: AccountContext) {
  return async function signOutEndpoint(
    request: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const browser = { req: request.req, res }
    await readAccountForm(context, browser)
    await context.sessions.end(browser)
    redirect(res, 303, accountView(context, request).path('signedOut'))
  }
}

/** A page of its own, so that going back or reloading sends no form again. */
export function showSignedOut(context: AccountContext) {
  return function signedOutEndpoint(request: EndpointRequest, res: ServerResponse): void {
    const { look, path } = accountView(context, request)
    sendPage(res, 200, signedOutPage(look, path('apps')))
  }
}
