/** Sessions of browsers in memory: what `accountRoutes` mounts, without its pages. */
import type { IncomingMessage } from 'node:http'
import { parse } from 'cookie'
import type { Browser } from '../../examples/demo/browser.js'
import type { BrowserSessions, SignedInUser } from '../../lib/login/browser-sessions.js'
import { unavailable } from '../../lib/oauth/errors.js'
import { proxyContextOf } from './internal-auth.js'
import type { ProxyOptions } from './proxy.js'

/** Sessions that a test begins, ends and breaks. */
export interface TestSessions extends BrowserSessions {
  /** For a proxy: mounts them as `accountRoutes` does. */
  readonly mount: NonNullable<ProxyOptions['mount']>
  /** How often a session was asked for. */
  readonly reads: number
  /** Signs a user in, in this browser. */
  signIn(browser: Browser, url: string, user: SignedInUser): Promise<void>
  /** Ends all sessions. */
  clear(): void
  /** From now on the store of the sessions is away, or back. */
  setAway(away: boolean): void
}

const cookieName = 'test-session'

export function testSessions(): TestSessions {
  const users = new Map<string, SignedInUser>()
  let reads = 0
  let away = false
  const begin = (user: SignedInUser) => {
    const id = `session-${users.size + 1}`
    users.set(id, user)
    return `${cookieName}=${id}; Path=/; HttpOnly; SameSite=Lax`
  }
  const idOf = (req: IncomingMessage) => parse(req.headers.cookie ?? '')[cookieName] ?? ''
  const sessions: TestSessions = {
    mount: (_app, auth) => proxyContextOf(auth).account.mount(sessions),
    get reads() {
      return reads
    },
    async read({ req }) {
      reads += 1
      if (away) throw unavailable('The session store cannot be reached.', new Error('away'))
      const user = users.get(idOf(req))
      return user && { user, signedInAt: 0 }
    },
    async begin({ res }, user) {
      res.appendHeader('Set-Cookie', begin(user))
    },
    async signIn(browser, url, user) {
      await browser.jar.setCookie(begin(user), url)
    },
    clear: () => users.clear(),
    setAway(now) {
      away = now
    },
  }
  return sessions
}
