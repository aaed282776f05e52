/** The pages of a user's account: the connected apps, ending their access, and signing out. */
import { checkOptionNames } from '../entra/option-names.js'
import type { EntraAuth } from '../entra-auth.js'
import type { Middleware } from '../http/middleware.js'
import type { ProxyContext } from '../routes/context.js'
import { pageRoute, type RouteTable, runRoute } from '../routes/run-route.js'
import { checkAuth } from '../setup/check-auth.js'
import { checkPeer } from '../storage/peer-package.js'
import { type AccountContext, accountPaths } from './account-context.js'
import { showApps } from './apps.js'
import { browserSessions } from './browser-sessions.js'
import { revokeApps } from './revoke-apps.js'
import { readSessionOptions, type SessionOptions } from './session-options.js'
import { foreignRecords, vaultRecords } from './session-records.js'
import { sessionStore } from './session-store.js'
import { showSignedOut, signOut } from './sign-out.js'

/** Options of {@link accountRoutes}. */
export interface AccountOptions {
  /** How long a browser stays signed in, and where that is kept. */
  readonly session?: SessionOptions
}

/**
 * The account pages: `GET /auth/apps` lists the apps that hold the signed-in user's access, `POST /auth/apps/revoke`
 * ends it, and `POST /auth/signout` ends the browser's session. Who is not signed in goes through Entra, by the same
 * redirect URI as the logins of clients. Mount it beside `oauthRoutes`, at the root of the application; it needs the
 * package `express-session`.
 *
 * @throws TypeError for options that cannot work, without `keys`, `credential` or the package, and when it is mounted
 *   twice
 * @example
 * app.use(oauthRoutes(auth))
 * app.use(accountRoutes(auth, { session: { store: new RedisStore({ client }) } }))
 */
export function accountRoutes(auth: EntraAuth, options: AccountOptions = {}): Middleware {
  checkAuth('accountRoutes', auth)
  checkOptionNames('accountRoutes', options, ['session'])
  checkPeer('accountRoutes', 'express-session')
  const context = accountContext(auth.proxy('accountRoutes'), options.session)
  const routes = routeTable(context)
  context.account.mount(context.sessions)
  return function accountRoutesMiddleware(req, res, next) {
    runRoute(context, routes, req, res, next)
  }
}

function accountContext(
  context: ProxyContext,
  options: SessionOptions | undefined,
): AccountContext {
  const { ring, vault, report, now, baseUrl, basePath } = context
  const { store, ...limits } = readSessionOptions(options)
  const records = store ? foreignRecords(store, ring) : vaultRecords(vault)
  const ended = vault.shelf<true>('ended-session')
  const secure = baseUrl.startsWith('https:')
  const makeStore = sessionStore({ ...limits, records, ended, now })
  const sessions = browserSessions({ secure, basePath, ring, makeStore, report, now })
  return Object.freeze({ ...context, sessions })
}

function routeTable(context: AccountContext): RouteTable {
  const { basePath, callbackPath } = context
  const routes: RouteTable = new Map([
    [basePath + accountPaths.apps, pageRoute('GET', showApps(context))],
    [basePath + accountPaths.revoke, pageRoute('POST', revokeApps(context))],
    [basePath + accountPaths.signOut, pageRoute('POST', signOut(context))],
    [basePath + accountPaths.signedOut, pageRoute('GET', showSignedOut(context))],
  ])
  if (routes.has(basePath + callbackPath)) {
    throw new TypeError(
      `accountRoutes: ${callbackPath} is a path of its own: give entraAuth another callbackPath`,
    )
  }
  return routes
}
