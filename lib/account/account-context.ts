/** What the account pages share. */
import { appsPath } from '../routes/account-sign-in.js'
import type { ProxyContext } from '../routes/context.js'
import type { AccountSessions } from './browser-sessions.js'

/** Everything an account page may use. */
export interface AccountContext extends ProxyContext {
  readonly sessions: AccountSessions
}

/** Paths below that of `baseUrl`. */
export const accountPaths = {
  apps: appsPath,
  revoke: `${appsPath}/revoke`,
  signOut: '/auth/signout',
  signedOut: '/auth/signed-out',
} as const
