/** The account pages over HTTP: signing in, seeing the apps, ending them, signing out, and everybody who may not. */
import { once } from 'node:events'
import {
  connect as connectHttp2,
  createServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
} from 'node:http2'
import { type AddressInfo, connect as connectTo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import connect from 'connect'
import express from 'express'
import express4 from 'express4'
import { entraAuth, oauthRoutes } from 'mcp-entra'
import { accountRoutes } from 'mcp-entra/account'
import { type Browser, formsOf, type Page } from '../../examples/demo/browser.js'
import {
  app,
  type FakeApps,
  fakeApps,
  formWith,
  openApps,
  sessionCookie,
  signInAtAccount,
  signOutForm,
  startAccountProxy,
} from '../support/account.js'
import { authOptions } from '../support/auth-options.js'
import { type Entra, listen } from '../support/host.js'
import { ada, bob, newBrowser } from '../support/oauth-client.js'
import {
  countingStorage,
  entraWords,
  hear,
  signInAtEntra,
  startTestEntra,
  type TestProxy,
} from '../support/proxy.js'

let entra: Entra
let proxy: TestProxy
let apps: FakeApps
let writes: readonly string[]

beforeAll(async () => {
  entra = await startTestEntra()
  apps = fakeApps()
  const counting = countingStorage()
  writes = counting.writes
  proxy = await startAccountProxy(entra, { apps, storage: counting.storage })
})
beforeEach(() => {
  apps.byUser.clear()
  apps.failure = undefined
  proxy.logs.length = 0
})
afterEach(() => entra.clearFaults())

/** Sends a request with this target, as no client library would, and reads the whole answer. */
async function sendLine(url: string, target: string, cookie: string): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connectTo(Number(port), hostname)
  socket.write(
    `GET ${target} HTTP/1.1\r\nHost: ${hostname}\r\nCookie: ${cookie}\r\nConnection: close\r\n\r\n`,
  )
  return text(socket)
}

const texts = ({ html }: Page) => html.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ')

describe('without a session', () => {
  it('goes to Entra with OpenID Connect alone, its own state, nonce and PKCE, and writes nothing', async () => {
    const before = writes.length
    const browser = newBrowser()
    const urls = await Promise.all(
      [1, 2].map(async () => {
        const answer = await browser.fetchOnce(`${proxy.url}/auth/apps`)
        expect(answer.status).toBe(302)
        expect(answer.headers.get('cache-control')).toBe('no-store')
        return new URL(answer.headers.get('location') ?? '')
      }),
    )
    for (const { origin, searchParams } of urls) {
      expect(origin).toBe(new URL(entra.url).origin)
      expect(Object.fromEntries(searchParams)).toEqual({
        client_id: entra.app.clientId,
        response_type: 'code',
        response_mode: 'query',
        redirect_uri: `${proxy.url}/auth/callback`,
        scope: 'openid profile',
        state: expect.stringMatching(/^[\w-]{43}$/),
        nonce: expect.stringMatching(/^[\w-]{43}$/),
        code_challenge: expect.stringMatching(/^[\w-]{43}$/),
        code_challenge_method: 'S256',
      })
    }
    const secrets = urls.flatMap(({ searchParams }) =>
      ['state', 'nonce', 'code_challenge'].map((name) => searchParams.get(name)),
    )
    expect(new Set(secrets).size).toBe(6)
    expect(writes.length).toBe(before)
  })

  it('comes back from Entra to the page, in a session of its own', async () => {
    const { browser, callback } = await signInAtAccount(proxy.url, ada)
    expect(await sessionCookie(browser, proxy.url)).toBeUndefined()
    const back = await browser.fetchOnce(callback)
    expect([back.status, back.headers.get('location')]).toEqual([303, '/auth/apps'])
    expect(back.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^mcp-entra-login-[\w-]{16}=; Max-Age=0/),
      expect.stringMatching(
        /^mcp-entra-session=s%3A[\w-]{32}\.[\w%]+; Path=\/; HttpOnly; SameSite=Lax$/,
      ),
    ])
    const page = await browser.fetchOnce(`${proxy.url}/auth/apps`)
    expect(page.status).toBe(200)
    expect(texts(page)).toContain('Ada Lovelace')
    expect(texts(page)).toContain('ada@contoso.example')
    expect(proxy.logs).toContainEqual(expect.objectContaining({ outcome: 'signed_in' }))
  })

  it.each(['none', 'consent', 'select_account', ''])(
    'passes nothing of the request on (prompt=%s)',
    async (prompt) => {
      const answer = await newBrowser().fetchOnce(
        `${proxy.url}/auth/apps?prompt=${prompt}&login_hint=eve&domain_hint=evil.example`,
      )
      const { searchParams } = new URL(answer.headers.get('location') ?? '')
      expect([...searchParams.keys()].sort()).toEqual([
        'client_id',
        'code_challenge',
        'code_challenge_method',
        'nonce',
        'redirect_uri',
        'response_mode',
        'response_type',
        'scope',
        'state',
      ])
    },
  )
})

describe('a sign-in that Entra does not complete', () => {
  it.each([
    ['the user cancels', { at: 'authorize', error: 65004 }, 403],
    ['Entra is out of order', { at: 'authorize', error: 90033 }, 503],
    ['the code is refused', { at: 'token', error: 70008 }, 500],
    ['our secret is wrong', { at: 'token', error: 7000215 }, 500],
    ['the token endpoint is away', { at: 'token', reset: true }, 503],
    ['the tenant blocks the user', { at: 'token', error: 50105 }, 403],
  ] as const)('is a page, and no way round in a circle: %s', async (_what, fault, status) => {
    const remove = entra.fault(fault)
    const { browser, callback } = await signInAtAccount(proxy.url, ada)
    const page = await browser.fetchOnce(callback)
    remove()
    expect(page.status).toBe(status)
    expect(page.headers.get('location')).toBeNull()
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(texts(page)).not.toMatch(entraWords)
    expect(await sessionCookie(browser, proxy.url)).toBeUndefined()
    // A failure of ours or Entra's is one line for the operator.
    const failures = proxy.logs.filter(({ message }) => message === 'mcp-entra: failure')
    expect(failures.length).toBeLessThanOrEqual(1)
    expect(proxy.logs.length).toBeGreaterThan(0)
  })

  it('is refused in another browser, and a second time', async () => {
    const { browser, callback } = await signInAtAccount(proxy.url, ada)
    const other = await newBrowser().fetchOnce(callback)
    expect([other.status, other.headers.get('location')]).toEqual([403, null])
    expect((await browser.fetchOnce(callback)).status).toBe(303)
    expect((await browser.fetchOnce(callback)).status).toBe(403)
  })

  it('is refused with the code of another sign-in: PKCE and nonce are of this one', async () => {
    const mine = await signInAtAccount(proxy.url, ada)
    const victim = await signInAtAccount(proxy.url, bob)
    const swapped = new URL(victim.callback)
    swapped.searchParams.set('code', new URL(mine.callback).searchParams.get('code') ?? '')
    const page = await victim.browser.fetchOnce(swapped.href)
    expect(page.status).toBeGreaterThanOrEqual(400)
    expect(await sessionCookie(victim.browser, proxy.url)).toBeUndefined()
  })

  it('has nothing to do with a client: its code is none for one', async () => {
    const client = await signInAtEntra(proxy.url)
    const account = await signInAtAccount(proxy.url, ada, client.browser)
    // The state of the client's login with the code of the account's sign-in.
    const swapped = new URL(client.callback)
    swapped.searchParams.set('code', new URL(account.callback).searchParams.get('code') ?? '')
    const answer = await client.browser.fetchOnce(swapped.href)
    const location = new URL(answer.headers.get('location') ?? '')
    expect(location.searchParams.get('code')).toBeNull()
    expect(location.searchParams.get('error')).toBeTruthy()
  })
})

describe('who may no longer use the server', () => {
  it('may still see and end what there is', async () => {
    const strict = await startAccountProxy(entra, {
      apps,
      allow: () => false,
      requiredRoles: ['Nobody.Has.This'],
    })
    apps.byUser.set(ada, [app()])
    const { browser, page } = await openApps(strict.url, ada)
    expect(page.status).toBe(200)
    await browser.open(...formWith(page, 'app', 'app-one'))
    expect(apps.byUser.get(ada)).toEqual([])
  })
})

describe('the login of a client', () => {
  it('begins a session as well, when there are account pages', async () => {
    const login = await signInAtEntra(proxy.url, { params: { login_hint: bob } })
    await login.browser.fetchOnce(login.callback)
    const page = await login.browser.fetchOnce(`${proxy.url}/auth/apps`)
    expect(page.status).toBe(200)
    expect(texts(page)).toContain('Bob')
  })

  it('begins none when it is refused', async () => {
    const remove = entra.fault({ at: 'token', error: 50105 })
    const login = await signInAtEntra(proxy.url)
    await login.browser.fetchOnce(login.callback)
    remove()
    expect(await sessionCookie(login.browser, proxy.url)).toBeUndefined()
  })
})

describe('the page', () => {
  it('shows of each app its name, host, trust, scopes in words, downstream access, times and logins', async () => {
    apps.byUser.set(ada, [
      app({
        scopes: ['notes.read', 'notes.write'],
        downstream: ['https://graph.microsoft.com/User.Read'],
        logins: 3,
      }),
      app({
        id: 'app-two',
        name: 'Unknown thing',
        host: 'thing.example',
        verified: false,
        verifiedBy: undefined,
      }),
    ])
    const { page } = await openApps(proxy.url, ada)
    const [first = '', second = ''] = [...page.html.matchAll(/<li>[\s\S]*?<\/li>/g)].map(
      ([li]) => li,
    )
    const words = texts({ ...page, html: first })
    for (const text of [
      'Claude',
      'claude.ai',
      'Verified',
      'Read your notes ( notes.read )',
      'notes.write',
      'https://graph.microsoft.com/User.Read',
      'November 1, 2026',
      'November 24, 2026',
      '3',
    ]) {
      expect(words).toContain(text)
    }
    expect(first).toContain(`<form method="post" action="/auth/apps/revoke">`)
    expect(first.match(/<button /g)).toHaveLength(1)
    expect(first.match(/<form /g)).toHaveLength(1)
    expect(texts({ ...page, html: second })).toMatch(/Unknown thing.*Not verified.*thing\.example/)
    const actions = formsOf(page).map(({ url, fields }) => [
      new URL(url).pathname,
      fields.get('app'),
    ])
    expect(actions).toEqual([
      ['/auth/apps/revoke', 'app-one'],
      ['/auth/apps/revoke', 'app-two'],
      ['/auth/apps/revoke', 'all'],
      ['/auth/signout', null],
    ])
  })

  it('says so when there is no app', async () => {
    const { page } = await openApps(proxy.url, ada)
    expect(texts(page)).toContain('No application has access')
    expect(formsOf(page).map(({ url }) => new URL(url).pathname)).toEqual(['/auth/signout'])
  })

  it('takes no word of a client for markup', async () => {
    const name = '<script>alert(1)</script>\u202eevil"\'&'
    apps.byUser.set(ada, [
      app({ name, host: '<b>host</b>', id: '"><b>', verified: false, verifiedBy: undefined }),
    ])
    const { page } = await openApps(proxy.url, ada)
    expect(page.html).not.toMatch(/<script|<b>|\u202e/)
    expect(page.html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;\u25a1evil&quot;&#39;&amp;')
  })

  it('may be framed, cached and scripted by nobody, and is for one reader', async () => {
    const { page } = await openApps(proxy.url, ada)
    expect(Object.fromEntries(page.headers)).toMatchObject({
      'cache-control': 'no-store',
      'content-security-policy': expect.stringMatching(
        /^default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'; frame-ancestors 'none'/,
      ),
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    })
    expect(page.headers.get('access-control-allow-origin')).toBeNull()
    expect(page.html).not.toMatch(/<script|<link|<img|@import|url\(|https?:\/\/(?!graph)/)
  })

  it('has the same form secret as long as the session lasts, and another one after', async () => {
    const { browser, page } = await openApps(proxy.url, ada)
    const csrf = ({ html }: Page) => /name="csrf" value="([^"]*)"/.exec(html)?.[1]
    expect(csrf(page)).toMatch(/^[\w-]{43}$/)
    expect(csrf(await browser.open(`${proxy.url}/auth/apps`))).toBe(csrf(page))
    const again = await openApps(proxy.url, ada)
    expect(csrf(again.page)).not.toBe(csrf(page))
  })

  it.each(['http://%', "http://it's", 'http://host:99999'])(
    'comes whatever whole URL the request line has (%s)',
    async (origin) => {
      const { browser } = await openApps(proxy.url, ada)
      const cookie = await browser.jar.getCookieString(proxy.url)
      const page = await sendLine(proxy.url, `${origin}/auth/apps`, cookie)
      expect(page.split('\r\n', 1)).toEqual(['HTTP/1.1 200 OK'])
      expect(page).toContain('Ada Lovelace')
      const stranger = await sendLine(proxy.url, `${origin}/auth/apps`, '')
      expect(stranger.split('\r\n', 1)).toEqual(['HTTP/1.1 302 Found'])
    },
  )

  it('is a 503 while the index cannot be read, and nothing is lost', async () => {
    const { browser } = await openApps(proxy.url, ada)
    const { unavailable } = await import('../../lib/oauth/errors.js')
    apps.failure = unavailable('The session store cannot be reached. Try again shortly.', 'test')
    const answer = await browser.fetchOnce(`${proxy.url}/auth/apps`)
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
    apps.failure = undefined
    expect((await browser.fetchOnce(`${proxy.url}/auth/apps`)).status).toBe(200)
  })
})

describe('ending access', () => {
  const revocations = hear('mcp-entra:revocation')
  async function withApps() {
    apps.byUser.set(ada, [app(), app({ id: 'app-two', name: 'Second' })])
    apps.byUser.set(bob, [app({ id: 'app-of-bob', name: "Bob's" })])
    return openApps(proxy.url, ada)
  }
  const left = () =>
    Object.fromEntries([...apps.byUser].map(([user, all]) => [user, all.map(({ id }) => id)]))
  const untouched = { [ada]: ['app-one', 'app-two'], [bob]: ['app-of-bob'] }

  it('of one app leaves the others, and goes back to the page', async () => {
    const { browser, page } = await withApps()
    const answer = await browser.fetchOnce(...formWith(page, 'app', 'app-two'))
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/auth/apps'])
    expect(left()).toEqual({ ...untouched, [ada]: ['app-one'] })
    // A second press of the button finds nothing to do.
    expect((await browser.fetchOnce(...formWith(page, 'app', 'app-two'))).status).toBe(303)
    expect(left()).toEqual({ ...untouched, [ada]: ['app-one'] })
  })

  it('of all apps ends those of this user alone', async () => {
    const { browser, page } = await withApps()
    const answer = await browser.open(...formWith(page, 'app', 'all'))
    expect(texts(answer)).toContain('No application has access')
    expect(left()).toEqual({ [bob]: ['app-of-bob'] })
  })

  it('is an event that says who ended what, once', async () => {
    const { browser, page } = await withApps()
    revocations.length = 0
    for (const id of ['app-two', 'app-two', 'all']) {
      await browser.fetchOnce(...formWith(page, 'app', id))
    }
    const user = { tid: entra.tenant.id, oid: ada }
    expect(revocations).toEqual([
      { reason: 'user', user, client: { id: 'app-two', onDevice: true } },
      { reason: 'user', user },
    ])
  })

  it("of another user's app does nothing", async () => {
    const { browser, page } = await withApps()
    const [url, init] = formWith(page, 'app', 'app-one')
    ;(init.body as URLSearchParams).set('app', 'app-of-bob')
    await browser.fetchOnce(url, init)
    expect(left()).toEqual(untouched)
  })

  type Change = (init: { body: URLSearchParams; headers: Record<string, string> }) => void
  const refusals: [string, Change, number][] = [
    ['without the secret of the form', ({ body }) => body.delete('csrf'), 400],
    ['with an empty secret', ({ body }) => body.set('csrf', ''), 400],
    ['with a wrong secret', ({ body }) => body.set('csrf', 'A'.repeat(43)), 403],
    ['with the secret twice', ({ body }) => body.append('csrf', String(body.get('csrf'))), 400],
    ['without an app', ({ body }) => body.delete('app'), 400],
    [
      'from another site',
      ({ headers }) => {
        headers['sec-fetch-site'] = 'cross-site'
      },
      403,
    ],
    [
      'from a sub-domain',
      ({ headers }) => {
        headers['sec-fetch-site'] = 'same-site'
      },
      403,
    ],
    [
      'from another origin',
      ({ headers }) => {
        headers.origin = 'https://evil.example'
      },
      403,
    ],
  ]

  it.each(refusals)(
    '%s is a page without a redirect, and changes nothing',
    async (_what, change, status) => {
      const { browser, page } = await withApps()
      for (const name of ['app-one', 'all']) {
        const [url, init] = formWith(page, 'app', name)
        const request = { body: init.body as URLSearchParams, headers: {} }
        change(request)
        const answer = await browser.fetchOnce(url, { method: 'POST', ...request })
        expect([answer.status, answer.headers.get('location')]).toEqual([status, null])
        expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8')
        expect(left()).toEqual(untouched)
      }
    },
  )

  it('in another browser, with a session of its own or without one, is refused', async () => {
    const { page } = await withApps()
    const others: Browser[] = [
      newBrowser(),
      (await openApps(proxy.url, bob)).browser,
      (await openApps(proxy.url, ada)).browser,
    ]
    for (const other of others) {
      for (const [url, init] of [formWith(page, 'app', 'all'), signOutForm(page)]) {
        const answer = await other.fetchOnce(url, init)
        expect([answer.status, answer.headers.get('location')]).toEqual([403, null])
      }
    }
    expect(left()).toEqual(untouched)
  })

  it('is not to be had by GET, nor by JSON', async () => {
    const { browser, page } = await withApps()
    const [url, init] = formWith(page, 'app', 'all')
    const get = await browser.fetchOnce(`${url}?${init.body}`)
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST, OPTIONS'])
    const json = await browser.fetchOnce(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(Object.fromEntries(init.body as URLSearchParams)),
    })
    expect([json.status, json.headers.get('location')]).toEqual([400, null])
    expect(left()).toEqual(untouched)
  })
})

describe('signing out', () => {
  it('ends the session, forgets the cookie, and leaves the apps their access', async () => {
    apps.byUser.set(ada, [app()])
    const { browser, page } = await openApps(proxy.url, ada)
    const stolen = await browser.jar.getCookieString(proxy.url)
    const answer = await browser.fetchOnce(...signOutForm(page))
    expect([answer.status, answer.headers.get('location')]).toEqual([303, '/auth/signed-out'])
    expect(answer.headers.getSetCookie()).toEqual([
      'mcp-entra-session=signed-out; Path=/; HttpOnly; SameSite=Lax',
    ])
    const after = await browser.fetchOnce(`${proxy.url}/auth/signed-out`)
    expect(after.status).toBe(200)
    expect(after.html).toContain('<a href="/auth/apps">')
    // Entra knows the user still, and would not ask.
    const away = await browser.fetchOnce(`${proxy.url}/auth/apps`)
    expect(away.status).toBe(302)
    const asked = new URL(away.headers.get('location') ?? '')
    expect(asked.searchParams.get('prompt')).toBe('select_account')
    const thief = await newBrowser().fetchOnce(`${proxy.url}/auth/apps`, {
      headers: { cookie: stolen },
    })
    expect(thief.status).toBe(302)
    expect(apps.byUser.get(ada)).toHaveLength(1)
    // Its forms are of no use any more.
    for (const form of [formWith(page, 'app', 'all'), signOutForm(page)]) {
      const late = await newBrowser().fetchOnce(form[0], {
        ...form[1],
        headers: { cookie: stolen },
      })
      expect([late.status, late.headers.get('location')]).toEqual([403, null])
    }
    expect(apps.byUser.get(ada)).toHaveLength(1)
  })

  it('is over with the next sign-in: after that Entra need not ask', async () => {
    const { browser, page } = await openApps(proxy.url, ada)
    await browser.fetchOnce(...signOutForm(page))
    const { callback } = await signInAtAccount(proxy.url, bob, browser)
    expect(texts(await browser.open(callback))).toContain('Bob')
    expect(await sessionCookie(browser, proxy.url)).not.toBe('signed-out')
  })
})

describe('mounting', () => {
  it('is done once for each entraAuth, and says so', () => {
    const auth = entraAuth(authOptions(entra, 'https://mcp.contoso.com', []))
    accountRoutes(auth)
    expect(() => accountRoutes(auth)).toThrow(
      new TypeError('accountRoutes: mount it once for each entraAuth'),
    )
  })

  it('needs keys and a credential', () => {
    const options = authOptions(entra, 'https://mcp.contoso.com', [])
    const { keys, ...rest } = options
    expect(() => accountRoutes(entraAuth({ ...rest, mode: 'proxy' }))).toThrow(
      new TypeError('accountRoutes: entraAuth needs the option `keys` for this'),
    )
    expect(keys).toBeDefined()
  })

  it('refuses a callback path that is one of its own', () => {
    const options = authOptions(entra, 'https://mcp.contoso.com', [], {
      callbackPath: '/auth/apps',
    })
    expect(() => accountRoutes(entraAuth(options))).toThrow(
      new TypeError(
        'accountRoutes: /auth/apps is a path of its own: give entraAuth another callbackPath',
      ),
    )
  })

  it('is below the path of baseUrl', async () => {
    const below = await startAccountProxy(entra, { apps, basePath: '/mcp-host' })
    const { browser, page } = await openApps(below.url, ada)
    expect(page.url).toBe(`${below.url}/auth/apps`)
    expect(new URL(signOutForm(page)[0]).pathname).toBe('/mcp-host/auth/signout')
    const out = await browser.open(...signOutForm(page))
    expect(out.url).toBe(`${below.url}/auth/signed-out`)
    expect(out.html).toContain('<a href="/mcp-host/auth/apps">')
  })

  it.each([
    ['Connect', () => connect()],
    ['Express 4', () => express4()],
    ['Express 5', () => express()],
  ] as const)('works in %s, before oauthRoutes as well', async (_name, create) => {
    const server = await listen((url) => {
      entra.addRedirectUri(`${url}/auth/callback`)
      const auth = entraAuth(authOptions(entra, url, []))
      const application = create() as ReturnType<typeof connect>
      application.use(accountRoutes(auth))
      application.use(oauthRoutes(auth))
      return application
    })
    const { browser, page } = await openApps(server.url, ada)
    expect(page.status).toBe(200)
    const out = await browser.open(...signOutForm(page))
    expect([out.status, out.url]).toEqual([200, `${server.url}/auth/signed-out`])
    await server.close()
  })

  it('works over HTTP/2', async () => {
    const baseUrl = 'https://mcp.contoso.example'
    entra.addRedirectUri(`${baseUrl}/auth/callback`)
    const auth = entraAuth(authOptions(entra, baseUrl, []))
    const application = connect()
    const errors: unknown[] = []
    application.use(oauthRoutes(auth)).use(accountRoutes(auth))
    const noteError: connect.ErrorHandleFunction = (error, _req, res, _next) => {
      errors.push(error)
      res.statusCode = 500
      res.end()
    }
    application.use(noteError)
    const server = await listenHttp2(application as unknown as Http2Listener)
    const away = await server.get('/auth/apps')
    const upstream = new URL(String(away.headers.location))
    upstream.searchParams.set('login_hint', ada)
    const callback = (await newBrowser().fetchOnce(upstream.href)).headers.get('location') ?? ''
    const back = await server.get(callback.slice(baseUrl.length), cookiesOf(away))
    expect(back.headers[':status']).toBe(303)
    // The answer to a request with a session notes that it was used.
    const page = await server.get('/auth/apps', cookiesOf(back))
    expect([page.headers[':status'], errors]).toEqual([200, []])
    expect(page.body).toContain('Ada Lovelace')
    expect(page.body).toMatch(/<\/html>\s*$/)
    await server.close()
  })
})

type Http2Listener = (req: Http2ServerRequest, res: Http2ServerResponse) => void
interface Http2Answer {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A server and one connection to it. */
async function listenHttp2(listener: Http2Listener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const connection = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  return {
    async get(path: string, cookie = ''): Promise<Http2Answer> {
      const request = connection.request({ ':path': path, cookie }).setEncoding('utf8')
      const [headers] = (await once(request, 'response')) as [IncomingHttpHeaders]
      let body = ''
      for await (const part of request) body += part
      return { headers, body }
    },
    async close() {
      connection.close()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function cookiesOf({ headers }: Http2Answer): string {
  return (headers['set-cookie'] ?? []).map((line) => line.split(';', 1)[0]).join('; ')
}
