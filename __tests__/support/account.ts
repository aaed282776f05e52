/** The account pages in front of an emulated Entra, and what a browser does there. */
import { type AccountOptions, accountRoutes } from 'mcp-entra/account'
import { type Browser, formsOf, type Page } from '../../examples/demo/browser.js'
import type { ConnectedApp, ConnectedApps, UserId } from '../../lib/tokens/connected-apps.js'
import type { Entra } from './host.js'
import { proxyContextOf } from './internal-auth.js'
import { newBrowser } from './oauth-client.js'
import { type ProxyOptions, startProxy, type TestProxy } from './proxy.js'

/** Connected apps in memory, by object id. */
export interface FakeApps extends ConnectedApps {
  readonly byUser: Map<string, ConnectedApp[]>
  /** What the next operations throw. */
  failure: Error | undefined
}

export function fakeApps(): FakeApps {
  const byUser = new Map<string, ConnectedApp[]>()
  const of = ({ oid }: UserId) => {
    if (fake.failure) throw fake.failure
    return byUser.get(oid) ?? []
  }
  const fake: FakeApps = {
    byUser,
    failure: undefined,
    async record() {},
    async noteSignIn() {},
    noteUse() {},
    list: async (user) => of(user),
    async revoke(user, id) {
      const apps = of(user)
      byUser.set(
        user.oid,
        apps.filter((app) => app.id !== id),
      )
      return apps.some((app) => app.id === id) ? { hash: id } : undefined
    },
    async revokeAll(user) {
      of(user)
      byUser.delete(user.oid)
    },
  }
  return fake
}

/** An app as the index has it. */
export function app(
  more: { [K in keyof ConnectedApp]?: ConnectedApp[K] | undefined } = {},
): ConnectedApp {
  return {
    id: 'app-one',
    name: 'Claude',
    host: 'claude.ai',
    verified: true,
    verifiedBy: 'document',
    scopes: ['notes.read'],
    downstream: [],
    firstUsedAt: Date.UTC(2026, 10, 1, 9, 30) / 1000,
    lastUsedAt: Date.UTC(2026, 10, 24, 17) / 1000,
    logins: 1,
    ...more,
  } as ConnectedApp
}

/** Options of a proxy with account pages. */
export interface AccountProxyOptions extends ProxyOptions {
  readonly account?: AccountOptions
  /** Default: the server's own. */
  readonly apps?: ConnectedApps
}

/** Starts a proxy with account pages. */
export function startAccountProxy(
  entra: Entra,
  { account, apps, ...options }: AccountProxyOptions = {},
): Promise<TestProxy> {
  return startProxy(entra, {
    ...options,
    mount(app, auth) {
      const proxy = (caller: string) => ({
        ...proxyContextOf(auth, caller),
        ...(apps && { connectedApps: apps }),
      })
      app.use(accountRoutes(Object.assign({ ...auth }, { proxy }), account))
      options.mount?.(app, auth)
    },
  })
}

/** Where Entra's sign-in page sends a browser that signs this user in. */
export async function signInAtAccount(
  url: string,
  user: string,
  browser: Browser = newBrowser(),
  query = '',
): Promise<{ browser: Browser; callback: string; upstream: URL }> {
  const away = await browser.fetchOnce(`${url}/auth/apps${query}`)
  const upstream = new URL(away.headers.get('location') ?? 'about:blank')
  const hinted = new URL(upstream)
  hinted.searchParams.set('login_hint', user)
  const back = await browser.fetchOnce(hinted.href)
  return { browser, callback: back.headers.get('location') ?? '', upstream }
}

/** Signs a user in, and opens the page of connected apps. */
export async function openApps(
  url: string,
  user: string,
  browser?: Browser,
  query?: string,
): Promise<{ browser: Browser; page: Page }> {
  const { browser: used, callback } = await signInAtAccount(url, user, browser, query)
  return { browser: used, page: await used.open(callback) }
}

/** The form of a page that has this field, as the browser would send it. */
export function formWith(page: Page, field: string, value?: string): [string, RequestInit] {
  const form = formsOf(page).find(({ fields }) =>
    value === undefined ? fields.has(field) : fields.get(field) === value,
  )
  if (!form) throw new Error(`no form with ${field}=${value} on ${page.url}:\n${page.html}`)
  return [form.url, { method: 'POST', body: form.fields }]
}

/** The form that signs out. */
export function signOutForm(page: Page): [string, RequestInit] {
  const form = formsOf(page).find(({ url }) => new URL(url).pathname.endsWith('/auth/signout'))
  if (!form) throw new Error(`no way to sign out on ${page.url}:\n${page.html}`)
  return [form.url, { method: 'POST', body: form.fields }]
}

/** The value of the session cookie that a browser has. */
export async function sessionCookie(browser: Browser, url: string): Promise<string | undefined> {
  const cookies = await browser.jar.getCookies(url)
  return cookies.find(({ key }) => key.endsWith('mcp-entra-session'))?.value
}
