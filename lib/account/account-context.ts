/** What the account pages share. */
import { pathInLanguage } from '../pages/language.js'
import type { Look } from '../pages/look.js'
import { appsPath } from '../routes/account-sign-in.js'
import type { EndpointRequest, ProxyContext } from '../routes/context.js'
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

/** The account pages as one reader sees them. */
export interface AccountView {
  readonly look: Look
  /** Of `ui_locales`, if it names one that there is (BCP 47). */
  readonly language: string | undefined
  /** The path of another page, in the same language. */
  path(name: keyof typeof accountPaths): string
}

/** How a reader sees the account pages: a link to them may name a language (`ui_locales`), and it stays. */
export function accountView(
  { looks, basePath }: Pick<AccountContext, 'looks' | 'basePath'>,
  { req, query }: Pick<EndpointRequest, 'req' | 'query'>,
): AccountView {
  const language = looks.languageFor(query.get('ui_locales') ?? undefined)
  return {
    language,
    look: looks.forReader(req, language),
    path: (name) => pathInLanguage(basePath + accountPaths[name], language),
  }
}
