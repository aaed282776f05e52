/** Sessions of browsers: their ids, their cookie, their end, beside an application with sessions of its own. */
import { EventEmitter, once } from 'node:events'
import { beforeAll, describe, expect, it } from '@jest/globals'
import session, { MemoryStore } from 'express-session'
import { memoryStorage, type Storage } from 'mcp-entra'
import type { Page } from '../../examples/demo/browser.js'
import {
  app,
  fakeApps,
  formWith,
  openApps,
  sessionCookie,
  signInAtAccount,
  signOutForm,
  startAccountProxy,
} from '../support/account.js'
import type { Entra } from '../support/host.js'
import { ada, bob, newBrowser, redeem } from '../support/oauth-client.js'
import {
  clientAnswer,
  countingStorage,
  send,
  signInAtEntra,
  startTestEntra,
  testClock,
} from '../support/proxy.js'

let entra: Entra
beforeAll(async () => {
  entra = await startTestEntra()
})

const isSignedIn = (page: Page) => page.status === 200
const opened = (url: string, cookie: string) =>
  newBrowser().fetchOnce(`${url}/auth/apps`, { headers: { cookie } })

describe('the id of a session', () => {
  it('that was planted before the sign-in is not the one after it, and opens nothing', async () => {
    const proxy = await startAccountProxy(entra)
    // The attacker's own, from this very server.
    const attacker = await openApps(proxy.url, bob)
    const planted = await sessionCookie(attacker.browser, proxy.url)
    const { browser, callback } = await signInAtAccount(proxy.url, ada)
    await browser.jar.setCookie(`mcp-entra-session=${planted}; Path=/`, proxy.url)
    expect((await browser.fetchOnce(callback)).status).toBe(303)
    const after = await sessionCookie(browser, proxy.url)
    expect(after).not.toBe(planted)
    const open = (value = '') => opened(proxy.url, `mcp-entra-session=${value}`)
    expect((await open(after)).html).toContain('Ada Lovelace')
    expect((await open(planted)).status).toBe(302)
  })

  it.each([
    ['unsigned', 's%3AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
    ['signed by a stranger', `s%3A${'A'.repeat(32)}.${'B'.repeat(43)}`],
    ['bare', 'A'.repeat(32)],
    ['of the prototype', '__proto__'],
  ])('that nobody here has issued (%s) is not taken over', async (_what, value) => {
    const { storage, writes } = countingStorage()
    const proxy = await startAccountProxy(entra, { storage })
    const browser = newBrowser()
    await browser.jar.setCookie(`mcp-entra-session=${value}; Path=/`, proxy.url)
    const { callback } = await signInAtAccount(proxy.url, ada, browser)
    expect(writes).toEqual([])
    await browser.fetchOnce(callback)
    expect(await sessionCookie(browser, proxy.url)).not.toBe(value)
    expect(writes.filter((key) => key.startsWith('session:'))).toHaveLength(1)
  })

  it('is new after every sign-in, and the one before is over', async () => {
    const proxy = await startAccountProxy(entra)
    const { browser } = await openApps(proxy.url, ada)
    const first = await browser.jar.getCookieString(proxy.url)
    const login = await signInAtEntra(proxy.url, { browser, params: { login_hint: bob } })
    await browser.fetchOnce(login.callback)
    const second = await browser.jar.getCookieString(proxy.url)
    expect(second).not.toBe(first)
    expect((await opened(proxy.url, second)).html).toContain('Bob')
    expect((await opened(proxy.url, first)).status).toBe(302)
  })
})

describe('the cookie', () => {
  it('is __Host- and Secure over https, whatever the connection to us looks like', async () => {
    const baseUrl = 'https://mcp.contoso.example'
    const proxy = await startAccountProxy(entra, { baseUrl })
    const at = (path: string, cookie = '') => send(proxy.address + path, { headers: { cookie } })
    const away = await at('/auth/apps')
    const [login = ''] = String(away.headers['set-cookie']).split(';')
    const hinted = new URL(String(away.headers.location))
    hinted.searchParams.set('login_hint', ada)
    const callback = (await newBrowser().fetchOnce(hinted.href)).headers.get('location') ?? ''
    const back = await at(callback.slice(baseUrl.length), login)
    expect(back.status).toBe(303)
    const cookie = back.headers['set-cookie']?.find((line) => line.includes('session'))
    expect(cookie).toMatch(
      /^__Host-mcp-entra-session=s%3A[\w-]{32}\.[\w%]+; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    )
    const [value = ''] = String(cookie).split(';')
    expect((await at('/auth/apps', value)).status).toBe(200)
    // Another host of the domain could have set it.
    expect((await at('/auth/apps', value.replace('__Host-', ''))).status).toBe(302)
  })

  it('leaves those of other servers on the host alone, which have other paths', async () => {
    const browser = newBrowser()
    const urls: string[] = []
    for (const basePath of ['', '/notes', '/files']) {
      const { url } = await startAccountProxy(entra, { basePath })
      expect(isSignedIn((await openApps(url, ada, browser)).page)).toBe(true)
      urls.push(url)
    }
    for (const url of urls)
      expect(isSignedIn(await browser.fetchOnce(`${url}/auth/apps`))).toBe(true)
  })

  it('is signed by the first key and accepted under all of them', async () => {
    const storage = memoryStorage()
    const keys = ['the-first-of-these-server-keys-00', 'the-second-of-these-server-keys-0']
    const proxy = await startAccountProxy(entra, { storage, keys: keys.slice(0, 1) })
    const { browser } = await openApps(proxy.url, ada)
    const cookie = await browser.jar.getCookieString(proxy.url)
    const rotated = await startAccountProxy(entra, { storage, keys: keys.toReversed() })
    expect(isSignedIn(await opened(rotated.url, cookie))).toBe(true)
    const dropped = await startAccountProxy(entra, { storage, keys: keys.slice(1) })
    expect((await opened(dropped.url, cookie)).status).toBe(302)
  })
})

describe('a session ends', () => {
  it('when it is not used for the idle limit, and not before', async () => {
    const clock = testClock()
    const storage = memoryStorage({ now: clock.now })
    const proxy = await startAccountProxy(entra, { storage, now: clock.now })
    const { browser } = await openApps(proxy.url, ada)
    for (let n = 0; n < 3; n++) {
      clock.advance(860)
      expect(isSignedIn(await browser.fetchOnce(`${proxy.url}/auth/apps`))).toBe(true)
    }
    clock.advance(901)
    expect((await browser.fetchOnce(`${proxy.url}/auth/apps`)).status).toBe(302)
  })

  it('at the absolute limit, however much it is used', async () => {
    const clock = testClock()
    const storage = memoryStorage({ now: clock.now })
    const account = { session: { idle: 600, absolute: 1500 } }
    const proxy = await startAccountProxy(entra, { storage, now: clock.now, account })
    const { browser } = await openApps(proxy.url, ada)
    for (const seconds of [480, 480, 480]) {
      clock.advance(seconds)
      expect(isSignedIn(await browser.fetchOnce(`${proxy.url}/auth/apps`))).toBe(true)
    }
    clock.advance(61)
    expect((await browser.fetchOnce(`${proxy.url}/auth/apps`)).status).toBe(302)
  })

  it('by both limits in a store that keeps everything for ever', async () => {
    const clock = testClock()
    const kept = new Map<string, object>()
    const store = {
      get: (id: string, done: (error: unknown, record?: object | null) => void) =>
        done(null, kept.get(id)),
      set(id: string, record: object, done?: () => void) {
        kept.set(id, record)
        done?.()
      },
      destroy(id: string, done?: () => void) {
        kept.delete(id)
        done?.()
      },
    }
    const account = { session: { store, idle: 600, absolute: 700 } }
    const proxy = await startAccountProxy(entra, { now: clock.now, account })
    const idle = await openApps(proxy.url, ada)
    clock.advance(601)
    expect((await idle.browser.fetchOnce(`${proxy.url}/auth/apps`)).status).toBe(302)
    const busy = await openApps(proxy.url, ada)
    clock.advance(500)
    expect(isSignedIn(await busy.browser.fetchOnce(`${proxy.url}/auth/apps`))).toBe(true)
    clock.advance(200)
    expect((await busy.browser.fetchOnce(`${proxy.url}/auth/apps`)).status).toBe(302)
    expect(kept.size).toBe(2)
  })

  it('for good when its user signs out while a page of it is being made', async () => {
    const apps = fakeApps()
    const proxy = await startAccountProxy(entra, { apps })
    const { browser, page } = await openApps(proxy.url, ada)
    const cookie = await browser.jar.getCookieString(proxy.url)
    const listing = new EventEmitter()
    apps.list = async () => {
      listing.emit('begun')
      await once(listing, 'go on')
      return [app()]
    }
    const begun = once(listing, 'begun')
    const slow = opened(proxy.url, cookie)
    await begun
    expect((await browser.fetchOnce(...signOutForm(page))).status).toBe(303)
    listing.emit('go on')
    // Its answer notes that the session was used, which must not bring it back.
    expect((await slow).status).toBe(200)
    expect((await opened(proxy.url, cookie)).status).toBe(302)
  })
})

describe('beside an application with sessions of its own', () => {
  it('neither sees the other, whichever cookies and settings the application has', async () => {
    const seen: unknown[] = []
    const proxy = await startAccountProxy(entra, {
      apps: fakeApps(),
      before: (application) => {
        application.set('trust proxy', true)
        application.use(
          session({
            secret: 'of the application',
            resave: false,
            saveUninitialized: true,
            store: new MemoryStore(),
            cookie: { secure: false },
          }),
        )
        application.use((req, res, next) => {
          const own = req.session as typeof req.session & { visits?: number; user?: string }
          own.visits = (own.visits ?? 0) + 1
          own.user = 'the application knows her as well'
          res.on('finish', () => seen.push([own.visits, own.user, Object.keys(own).sort()]))
          next()
        })
      },
    })
    const { browser, page } = await openApps(proxy.url, ada)
    expect(page.html).toContain('Ada Lovelace')
    await browser.open(`${proxy.url}/auth/apps`)
    const out = await browser.open(...signOutForm(page))
    expect(out.url).toBe(`${proxy.url}/auth/signed-out`)
    expect(await sessionCookie(browser, proxy.url)).toBe('signed-out')
    const keys = ['cookie', 'user', 'visits']
    expect(seen).toEqual(
      [1, 2, 3, 4, 5, 6].map((visit) => [visit, 'the application knows her as well', keys]),
    )
  })
})

describe('when the store of sessions is away', () => {
  /** A storage that can lose its sessions, and nothing else. */
  function fragile() {
    const memory = memoryStorage()
    const state = { away: false }
    const checked =
      <A extends [string, ...unknown[]], T>(operation: (...args: A) => Promise<T>) =>
      async (...args: A) => {
        if (state.away && args[0].includes('session')) throw new Error('ECONNREFUSED')
        return operation(...args)
      }
    const storage: Storage = {
      get: checked(memory.get),
      set: checked(memory.set),
      add: checked(memory.add),
      take: checked(memory.take),
    }
    return { storage, state }
  }

  it('the pages are a 503, nobody is signed out by it, and nothing is ended', async () => {
    const { storage, state } = fragile()
    const apps = fakeApps()
    apps.byUser.set(ada, [app()])
    const proxy = await startAccountProxy(entra, { storage, apps })
    const { browser, page } = await openApps(proxy.url, ada)
    state.away = true
    const answers = [
      await browser.fetchOnce(`${proxy.url}/auth/apps`),
      await browser.fetchOnce(...formWith(page, 'app', 'all')),
      await browser.fetchOnce(...signOutForm(page)),
    ]
    for (const { status, headers } of answers) {
      expect([status, headers.get('retry-after'), headers.get('location')]).toEqual([
        503,
        '5',
        null,
      ])
    }
    state.away = false
    expect(apps.byUser.get(ada)).toHaveLength(1)
    expect(isSignedIn(await browser.fetchOnce(`${proxy.url}/auth/apps`))).toBe(true)
  })

  it('only when the record is to be removed, the user is signed out all the same', async () => {
    const memory = memoryStorage()
    const storage: Storage = {
      ...memory,
      async take(key) {
        if (key.startsWith('session:')) throw new Error('ECONNRESET')
        return memory.take(key)
      },
    }
    const proxy = await startAccountProxy(entra, { storage })
    const { browser, page } = await openApps(proxy.url, ada)
    const before = await browser.jar.getCookieString(proxy.url)
    const out = await browser.fetchOnce(...signOutForm(page))
    expect([out.status, out.headers.get('location')]).toEqual([303, '/auth/signed-out'])
    expect(await sessionCookie(browser, proxy.url)).toBe('signed-out')
    expect((await opened(proxy.url, before)).status).toBe(302)
  })

  it('a sign-in is a 503 on a page, not a way round in a circle', async () => {
    const { storage, state } = fragile()
    const proxy = await startAccountProxy(entra, { storage })
    const { browser, callback } = await signInAtAccount(proxy.url, ada)
    state.away = true
    const page = await browser.fetchOnce(callback)
    expect([page.status, page.headers.get('location')]).toEqual([503, null])
    expect(await sessionCookie(browser, proxy.url)).toBeUndefined()
  })

  it('no client loses its login: the operator hears of the session', async () => {
    const { storage, state } = fragile()
    const proxy = await startAccountProxy(entra, { storage })
    // With a session from before, which cannot be read, and without one.
    for (const { browser } of [await openApps(proxy.url, ada), { browser: newBrowser() }]) {
      proxy.logs.length = 0
      const login = await signInAtEntra(proxy.url, { browser })
      state.away = true
      const { code = '' } = clientAnswer(await browser.fetchOnce(login.callback))
      expect((await redeem(proxy.url, { ...login, code })).status).toBe(200)
      state.away = false
      expect(proxy.logs.filter(({ message }) => message === 'mcp-entra: failure')).toEqual([
        expect.objectContaining({ endpoint: 'callback', reason: 'session_not_begun' }),
      ])
    }
  })

  it('after a page has been made, the page arrives and the operator hears of it', async () => {
    const { storage, state } = fragile()
    const apps = fakeApps()
    const proxy = await startAccountProxy(entra, { storage, apps })
    const { browser } = await openApps(proxy.url, ada)
    apps.list = async () => {
      state.away = true
      return []
    }
    const page = await browser.fetchOnce(`${proxy.url}/auth/apps`)
    expect(page.status).toBe(200)
    expect(page.html).toContain('</html>')
    expect(proxy.logs).toContainEqual(
      expect.objectContaining({ endpoint: 'session', reason: 'not_kept' }),
    )
  })
})

describe('what a session costs', () => {
  it('is one write for the login of a client in a browser that has none', async () => {
    const { storage, writes } = countingStorage()
    const plain = await startAccountProxy(entra, { storage })
    const login = await signInAtEntra(plain.url)
    const before = writes.length
    await login.browser.fetchOnce(login.callback)
    const kinds = writes.slice(before).map((key) => key.split(':', 1)[0])
    expect(kinds.sort()).toEqual(['code', 'session'])
  })

  it('is one write more where another session ends by it: the mark that it has ended', async () => {
    const { storage, writes } = countingStorage()
    const proxy = await startAccountProxy(entra, { storage })
    const { browser } = await openApps(proxy.url, ada)
    const login = await signInAtEntra(proxy.url, { browser })
    const before = writes.length
    await browser.fetchOnce(login.callback)
    const kinds = writes.slice(before).map((key) => key.split(':', 1)[0])
    expect(kinds.sort()).toEqual(['code', 'ended-session', 'session'])
  })
})
