/** `GET /auth/apps`: the apps that hold the user's access. Who is not signed in goes through Entra first. */
import type { ServerResponse } from 'node:http'
import { redirect, sendPage } from '../http/respond.js'
import { type AppsPage, appsPage } from '../pages/apps-page.js'
import type { EndpointRequest } from '../routes/context.js'
import { beginSignIn } from '../routes/upstream-login.js'
import type { ConnectedApp } from '../tokens/connected-apps.js'
import { type AccountContext, accountPaths } from './account-context.js'
import type { AccountSession } from './browser-sessions.js'

/** The page, or the way to Entra. */
export function showApps(context: AccountContext) {
  return async function appsEndpoint(
    { req, query }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const browser = { req, res }
    const session = await context.sessions.read(browser)
    if (!session) return redirect(res, 302, beginSignIn(context, browser, readHints(query)))
    const apps = await context.connectedApps.list(session.user)
    sendPage(res, 200, appsPage(context.looks.forReader(req), shown(context, session, apps)))
  }
}

function shown(
  { serverName, scopes, basePath }: AccountContext,
  { user, csrf }: AccountSession,
  apps: readonly ConnectedApp[],
): AppsPage {
  const actions = {
    revoke: basePath + accountPaths.revoke,
    signOut: basePath + accountPaths.signOut,
  }
  return { server: serverName, scopes, user, apps, actions, fields: { csrf } }
}

/** The page about having signed out links here, for people who want to be asked which account they mean. */
function readHints(query: URLSearchParams): Readonly<Record<string, string>> {
  return query.get('prompt') === 'select_account' ? { prompt: 'select_account' } : {}
}
