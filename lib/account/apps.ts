/** `GET /auth/apps`: the apps that hold the user's access. Who is not signed in goes through Entra first. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { attribute } from '../http/event-facts.js'
import { redirect, sendPage } from '../http/respond.js'
import { type AppsPage, appsPage } from '../pages/apps-page.js'
import type { EndpointRequest } from '../routes/context.js'
import { beginSignIn } from '../routes/upstream-login.js'
import type { ConnectedApp } from '../tokens/connected-apps.js'
import { type AccountContext, type AccountView, accountView } from './account-context.js'
import type { AccountSession } from './browser-sessions.js'

/** The page, or the way to Entra. */
export function showApps(context: AccountContext) {
  return async function appsEndpoint(request: EndpointRequest, res: ServerResponse): Promise<void> {
    const { req } = request
    const browser = { req, res }
    const view = accountView(context, request)
    const session = await context.sessions.read(browser)
    if (!session) {
      const signIn = { language: view.language, hints: hints(context, req) }
      return redirect(res, 302, beginSignIn(context, browser, signIn))
    }
    const { user } = session
    const apps = await context.connectedApps.list(user).catch((error: unknown) => {
      throw attribute(error, { user })
    })
    sendPage(res, 200, appsPage(view.look, shown(context, view, session, apps)))
  }
}

function shown(
  { serverName, scopes }: AccountContext,
  { path }: AccountView,
  { user, csrf }: AccountSession,
  apps: readonly ConnectedApp[],
): AppsPage {
  const actions = { revoke: path('revoke'), signOut: path('signOut') }
  return { server: serverName, scopes, user, apps, actions, fields: { csrf } }
}

/**
 * Entra would sign in silently whoever is still signed in there. Who has signed out here, and goes back or leaves the
 * device to somebody else, is asked.
 */
function hints(
  { sessions }: AccountContext,
  req: IncomingMessage,
): Readonly<Record<string, string>> {
  return sessions.hasSignedOut(req) ? { prompt: 'select_account' } : {}
}
