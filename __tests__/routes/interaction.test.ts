/** The URL of an interaction: who may finish it, and what becomes of the login. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { memoryStorage, resourceMetadata, revokeUser, type Storage } from 'mcp-entra'
import { accountRoutes } from 'mcp-entra/account'
import type { Browser, Page } from '../../examples/demo/browser.js'
import { userRead } from '../support/auth-options.js'
import { startGate, type TestGate } from '../support/gate.js'
import type { Entra } from '../support/host.js'
import {
  askedUrl,
  callProfile,
  callTool,
  canShowUrls,
  initialize,
  modernMeta,
  mountProfile,
  mountProfileTool,
  mountTools,
} from '../support/in-session.js'
import {
  ada,
  bob,
  callMcp,
  challengeParams,
  login,
  newBrowser,
  postForm,
  refresh,
  register,
} from '../support/oauth-client.js'
import { hear, startTestEntra, testClock } from '../support/proxy.js'

let entra: Entra
let gate: TestGate
let clientId: string
let allow: () => boolean | Promise<boolean> = () => true
beforeAll(async () => {
  entra = await startTestEntra()
  gate = await startGate(entra, { mount: mountProfile, options: { allow: () => allow() } })
  clientId = await register(gate.url, { client_name: 'Secret client' })
})
afterAll(() => gate.close())
afterEach(() => {
  allow = () => true
  gate.store.down = false
  entra.clearFaults()
  for (const user of [ada, bob]) entra.requireMfa(user, false)
  entra.consent('all', userRead)
})

const words = 'This link is for somebody else, has been used, or has expired.'

/** A challenge that is the same after every sign-in. */
const unsatisfied = '{"access_token":{"acrs":{"value":"c9"}}}'

/** A login whose client can show URLs. */
async function signedIn(user = ada) {
  const browser = newBrowser()
  const tokens = await login(gate.url, { user, clientId, browser })
  await initialize(gate.url, tokens.access_token)
  return { browser, tokens }
}

/** A login whose client can show URLs, of which Entra wants MFA. */
async function challenged(user = ada) {
  const { browser, tokens } = await signedIn(user)
  entra.requireMfa(user, true)
  return { browser, tokens, url: await askedUrl(gate, tokens.access_token) }
}

/** Follows redirects by hand, up to the page or a redirect that leads to a place like this. */
async function walk(browser: Browser, url: string, until?: RegExp): Promise<Page[]> {
  const pages: Page[] = []
  let target = url
  for (let hops = 0; hops < 12; hops++) {
    const page = await browser.fetchOnce(target)
    pages.push(page)
    const location = page.headers.get('location')
    if (location === null) return pages
    target = new URL(location, target).href
    if (until?.test(target)) return pages
  }
  throw new Error('in circles')
}

const locationOf = (page: Page | undefined) => page?.headers.get('location') ?? ''
const called = async (response: Response) => [
  response.status,
  Object.keys((await response.json()) as object),
]

/** Opens a URL in a browser where this user is signed in at Entra. */
async function browserOf(user: string): Promise<Browser> {
  const browser = newBrowser()
  await login(gate.url, { user, clientId, browser })
  return browser
}

describe('what the client is told', () => {
  it('is the error of 2025-11-25, for a client that declared URLs when it connected', async () => {
    const { url, tokens } = await challenged()
    const body = await (await callProfile(gate.url, tokens.access_token)).json()
    const host = new URL(gate.url).host
    const message = `Microsoft wants more proof that it is you, such as MFA. Open this page of ${host}, which leads to Microsoft, and sign in with the same account.`
    expect(body).toEqual({
      jsonrpc: '2.0',
      id: 7,
      error: {
        code: -32042,
        message,
        data: {
          elicitations: [
            { mode: 'url', message, elicitationId: expect.any(String), url: expect.any(String) },
          ],
        },
      },
    })
    expect(url).toMatch(new RegExp(`^${gate.url}/auth/interaction\\?id=[\\w-]{43}$`))
  })

  it('is the result of 2026-07-28, for a client that declares URLs with each request', async () => {
    const { access_token } = await login(gate.url, { user: ada, clientId })
    entra.requireMfa(ada, true)
    const response = await callProfile(gate.url, access_token, {
      ...modernMeta(),
      requestState: "the tool's own",
    })
    expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store'])
    const { result, ...message } = (await response.json()) as { result: { inputRequests: object } }
    const { inputRequests, ...rest } = result
    expect(message).toEqual({ jsonrpc: '2.0', id: 7 })
    expect(rest).toEqual({ resultType: 'input_required', requestState: "the tool's own" })
    expect(Object.values(inputRequests)).toEqual([
      {
        method: 'elicitation/create',
        params: {
          mode: 'url',
          message: expect.stringContaining(new URL(gate.url).host),
          url: expect.stringContaining(`${gate.url}/auth/interaction?id=`),
        },
      },
    ])
  })

  it.each([
    ['nothing', {}],
    ['forms alone', { elicitation: { form: {} } }],
    ['elicitation of 2025-06-18', { elicitation: {} }],
    ['URLs in a word', { elicitation: { url: true } }],
  ])('is the 401 of today for a client that declares %s', async (_what, capabilities) => {
    const { access_token } = await login(gate.url, { user: ada })
    await initialize(gate.url, access_token, canShowUrls)
    await initialize(gate.url, access_token, capabilities)
    entra.requireMfa(ada, true)
    expect((await callProfile(gate.url, access_token)).status).toBe(401)
    const modern = await callProfile(gate.url, access_token, modernMeta(capabilities))
    expect(modern.status).toBe(401)
  })

  it('is the 401 of today for a batch, and for a token of Entra itself', async () => {
    const { tokens } = await challenged()
    const params = { name: 'my_profile', arguments: {} }
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params }
    const headers = {
      authorization: `Bearer ${tokens.access_token}`,
      'content-type': 'application/json',
    }
    const body = JSON.stringify([call, call])
    const batch = await fetch(`${gate.url}/mcp`, { method: 'POST', headers, body })
    expect(batch.status).toBe(401)
    const direct = await entra.mintAccessToken({ user: ada })
    expect((await callProfile(gate.url, direct, modernMeta())).status).toBe(401)
  })

  it('is the 401 of today in direct mode, where there is no login of ours: three times, then 403', async () => {
    const direct = await startGate(entra, {
      without: ['keys', 'storage'],
      options: { mode: 'direct' },
      mount: (app, auth) => {
        app.use(resourceMetadata(auth))
        mountProfileTool(app, auth)
      },
    })
    try {
      const token = await entra.mintAccessToken({ user: ada })
      await initialize(direct.url, token)
      const claims = '{"access_token":{"acrs":{"value":"c1"}}}'
      entra.fault({ at: 'token', grant: 'on_behalf_of', error: 50076, claims })
      const answers: unknown[] = []
      for (const more of [
        {},
        modernMeta(),
        {
          ...modernMeta(),
          inputResponses: { [`signIn.${'x'.repeat(43)}`]: { action: 'decline' } },
        },
        modernMeta(),
      ]) {
        // What Entra has refused is told again from memory for five seconds.
        direct.clock.advance(6)
        const response = await callProfile(direct.url, token, more)
        answers.push([response.status, challengeParams(response).error])
        if (response.status === 401) {
          const sent = challengeParams(response).claims ?? ''
          expect(Buffer.from(sent, 'base64').toString()).toBe(claims)
        }
        expect(await response.text()).not.toContain('auth/interaction')
      }
      expect(answers).toEqual([
        [401, 'insufficient_claims'],
        [401, 'insufficient_claims'],
        [401, 'insufficient_claims'],
        [403, undefined],
      ])
    } finally {
      await direct.close()
    }
  })

  it('does not end the login: it refreshes while the user is asked', async () => {
    const { tokens } = await challenged()
    expect((await refresh(gate.url, tokens)).status).toBe(200)
  })
})

describe('the calls of one login that want the same', () => {
  it('are all sent to the same URL, and the first alone writes it', async () => {
    const { tokens, url } = await challenged()
    gate.store.calls.length = 0
    const urls = await Promise.all(
      Array.from({ length: 12 }, () => askedUrl(gate, tokens.access_token)),
    )
    // Entra's answer is remembered for five seconds, and the next one has other words.
    gate.clock.advance(6)
    urls.push(await askedUrl(gate, tokens.access_token))
    expect(new Set(urls)).toEqual(new Set([url]))
    expect(gate.store.calls.filter((call) => !call.startsWith('get '))).toEqual([])
  })

  it('are sent to another one once it is finished, and the finished one stays dead', async () => {
    const { browser, tokens } = await signedIn()
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 50076, claims: unsatisfied })
    const first = await askedUrl(gate, tokens.access_token)
    expect((await walk(browser, first)).at(-1)?.status).toBe(200)
    expect((await callProfile(gate.url, tokens.access_token)).status).toBe(403)
    gate.clock.advance(600)
    entra.advance(606)
    const second = await askedUrl(gate, tokens.access_token)
    expect(second).not.toBe(first)
    expect((await browser.fetchOnce(first)).status).toBe(403)
    expect((await walk(browser, second)).at(-1)?.status).toBe(200)
  })

  it('of two logins of one user have two', async () => {
    const one = await challenged()
    const other = await login(gate.url, { user: ada, clientId })
    await initialize(gate.url, other.access_token)
    expect(await askedUrl(gate, other.access_token)).not.toBe(one.url)
  })
})

describe('a client that could not show a URL, and now can', () => {
  it('may refresh again: no login has to carry the challenge any more', async () => {
    const tokens = await login(gate.url, { user: ada })
    entra.requireMfa(ada, true)
    expect((await callProfile(gate.url, tokens.access_token)).status).toBe(401)
    expect((await refresh(gate.url, tokens)).status).toBe(400)
    await initialize(gate.url, tokens.access_token)
    await askedUrl(gate, tokens.access_token)
    expect((await refresh(gate.url, tokens)).status).toBe(200)
  })
})

describe('the user who was asked', () => {
  it('finishes it, and the call works at once: with other tokens of Entra in the same login', async () => {
    const events = hear('mcp-entra:login')
    const { browser, tokens, url } = await challenged()
    entra.clearRequests()
    const pages = await walk(browser, url)
    expect(pages.at(-1)?.status).toBe(200)
    expect(pages.at(-1)?.html).toContain('You can go back to your application')
    const asked = entra.requestsTo('authorize').map(({ params }) => params)
    expect(asked).toHaveLength(2)
    expect(asked[0]).not.toHaveProperty('claims')
    expect(asked[1]).toMatchObject({
      claims: expect.any(String),
      login_hint: 'ada@contoso.example',
    })
    expect(await called(await callProfile(gate.url, tokens.access_token))).toEqual([
      200,
      ['jsonrpc', 'id', 'result'],
    ])
    expect(events).toContainEqual(
      expect.objectContaining({
        outcome: 'interaction',
        user: expect.objectContaining({ oid: ada }),
      }),
    )
  })

  it('reads the last page in German', async () => {
    const { browser, url } = await challenged()
    const german = { headers: { 'accept-language': 'de' } }
    let page = await browser.fetchOnce(url, german)
    while (page.headers.has('location')) {
      page = await browser.fetchOnce(new URL(locationOf(page), page.url).href, german)
    }
    expect(page.html).toContain('Sie können zu Ihrer Anwendung zurückgehen')
  })

  it('gives consent, by the names of the downstream scopes', async () => {
    const browser = newBrowser()
    const tokens = await login(gate.url, { user: ada, clientId, browser })
    await initialize(gate.url, tokens.access_token)
    entra.withdrawConsent('all', userRead)
    const url = await askedUrl(gate, tokens.access_token)
    entra.clearRequests()
    expect((await walk(browser, url)).at(-1)?.status).toBe(200)
    const asked = entra.requestsTo('authorize').at(-1)?.params
    expect(asked).toMatchObject({ prompt: 'consent', scope: expect.stringContaining(userRead) })
    expect((await callProfile(gate.url, tokens.access_token)).status).toBe(200)
  })

  it('may say no at Entra, and open the URL again', async () => {
    const { browser, tokens, url } = await challenged()
    entra.fault({ at: 'authorize', times: 1 })
    entra.fault({ at: 'authorize', times: 1, error: 65004 })
    const page = (await walk(browser, url)).at(-1)
    expect([page?.status, page?.html]).toEqual([403, expect.stringContaining('was refused')])
    expect(page?.html).not.toContain('AADSTS')
    expect((await walk(browser, url)).at(-1)?.status).toBe(200)
    expect((await callProfile(gate.url, tokens.access_token)).status).toBe(200)
  })

  it('hears 403 and goes in no circles when that did not help', async () => {
    const { browser, tokens } = await signedIn()
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 53003, claims: unsatisfied })
    const url = await askedUrl(gate, tokens.access_token)
    expect((await walk(browser, url)).at(-1)?.status).toBe(200)
    const response = await callProfile(gate.url, tokens.access_token)
    expect(response.status).toBe(403)
  })
})

describe('several tools in one conversation', () => {
  const scopes = ['Mail.Read', 'Mail.Send', 'Calendars.Read', 'Files.Read', 'User.ReadBasic.All']
  const apis = Object.fromEntries(
    scopes.map((scope) => [scope, `https://graph.microsoft.com/${scope}`]),
  )

  it('ask for one consent after the other, and for MFA after that', async () => {
    const fresh = await startTestEntra()
    const host = await startGate(fresh, { mount: (app, auth) => mountTools(app, auth, apis) })
    try {
      const browser = newBrowser()
      const { access_token } = await login(host.url, { user: ada, browser })
      await initialize(host.url, access_token)
      const finish = async (tool: string) => {
        const url = await askedUrl(host, access_token, tool)
        expect((await walk(browser, url)).at(-1)?.status).toBe(200)
        expect(await called(await callTool(host.url, access_token, tool))).toEqual([
          200,
          ['jsonrpc', 'id', 'result'],
        ])
      }
      for (const scope of scopes.slice(0, 4)) await finish(scope)
      fresh.consent(ada, apis['User.ReadBasic.All'] ?? '')
      fresh.requireMfa(ada, true)
      await finish('User.ReadBasic.All')
    } finally {
      await host.close()
    }
  })
})

describe('anybody else who has the URL', () => {
  it('is sent to Entra without a word about user, client, tool or what is wanted', async () => {
    const { url } = await challenged()
    const page = await newBrowser().fetchOnce(url)
    const upstream = new URL(locationOf(page))
    expect(page.status).toBe(302)
    expect([...upstream.searchParams.keys()].sort()).toEqual(
      [
        'client_id',
        'code_challenge',
        'code_challenge_method',
        'nonce',
        'redirect_uri',
        'response_mode',
        'response_type',
        'scope',
        'state',
      ].sort(),
    )
    expect(upstream.searchParams.get('scope')).toBe('openid profile')
    expect(page.headers.get('referrer-policy')).toBe('no-referrer')
  })

  it('learns nothing and changes nothing: no page differs from that of a link that never was', async () => {
    const { browser, tokens, url } = await challenged()
    const stranger = await browserOf(bob)
    gate.store.calls.length = 0
    const pages = await walk(stranger, url)
    const refused = pages.at(-1)
    const upstream = pages.map(locationOf).filter((location) => location.startsWith(entra.url))
    expect(upstream).toEqual([expect.not.stringMatching(/claims|login_hint|ada|prompt/)])
    expect(gate.store.calls.filter((call) => !call.startsWith('get '))).toEqual([])
    const never = await stranger.fetchOnce(`${gate.url}/auth/interaction?id=${'x'.repeat(43)}`)
    const plain = (page: Page | undefined) => page?.html.replace(/<code>.*?<\/code>/, '')
    expect([refused?.status, plain(refused)]).toEqual([403, expect.stringContaining(words)])
    expect([never.status, plain(never)]).toEqual([refused?.status, plain(refused)])
    expect(refused?.html).not.toMatch(/ada|contoso|Secret client|my_profile|graph/i)
    // The user can still finish it.
    expect((await walk(browser, url)).at(-1)?.status).toBe(200)
    expect((await callProfile(gate.url, tokens.access_token)).status).toBe(200)
  })

  it('does not get in by signing in as somebody else on the second trip', async () => {
    const { browser, tokens, url } = await challenged()
    const pages = await walk(browser, url, /authorize\?.*claims=/)
    const upstream = new URL(locationOf(pages.at(-1)))
    upstream.searchParams.set('login_hint', bob)
    const page = (await walk(browser, upstream.href)).at(-1)
    expect([page?.status, page?.html]).toEqual([403, expect.stringContaining(words)])
    expect(await called(await callProfile(gate.url, tokens.access_token))).toEqual([
      200,
      ['jsonrpc', 'id', 'error'],
    ])
    expect((await refresh(gate.url, tokens)).status).toBe(200)
  })

  it.each(['', '?id=', '?id=a&id=b', `?id=${'A'.repeat(5000)}`, '?id=%00'])(
    'gets a page for junk (%#), and nothing is written',
    async (query) => {
      gate.store.calls.length = 0
      const response = await fetch(`${gate.url}/auth/interaction${query}`, { redirect: 'manual' })
      expect([400, 403]).toContain(response.status)
      expect(response.headers.get('content-type')).toContain('text/html')
      expect(response.headers.getSetCookie()).toEqual([])
      expect(gate.store.calls.filter((call) => !call.startsWith('get '))).toEqual([])
    },
  )

  it('who repeats it as an input response of another login gets a URL of his own', async () => {
    const mine = await challenged()
    const his = await login(gate.url, { user: bob, clientId })
    entra.requireMfa(bob, true)
    const id = new URL(mine.url).searchParams.get('id')
    const response = await callProfile(gate.url, his.access_token, {
      ...modernMeta(),
      inputResponses: { [`signIn.${id}`]: { action: 'accept' } },
    })
    const { result } = (await response.json()) as { result: { inputRequests: object } }
    expect(Object.keys(result.inputRequests)).toEqual([expect.stringMatching(/^signIn\./)])
    expect(JSON.stringify(result)).not.toContain(id)
  })
})

describe('the URL', () => {
  it('can be used once', async () => {
    const { browser, url } = await challenged()
    expect((await walk(browser, url)).at(-1)?.status).toBe(200)
    const again = (await walk(browser, url)).at(-1)
    expect([again?.status, again?.html]).toEqual([403, expect.stringContaining(words)])
  })

  it('is finished by exactly one of two trips that end together', async () => {
    const { browser, url } = await challenged()
    const other = await browserOf(ada)
    const ends = await Promise.all(
      [browser, other].map(async (each) => {
        const asked = locationOf((await walk(each, url, /authorize\?.*claims=/)).at(-1))
        return locationOf(await each.fetchOnce(asked))
      }),
    )
    const pages = await Promise.all([
      browser.fetchOnce(ends[0] ?? ''),
      other.fetchOnce(ends[1] ?? ''),
    ])
    expect(pages.map(({ status }) => status).sort()).toEqual([200, 403])
  })

  it('expires after ten minutes', async () => {
    const { browser, url } = await challenged()
    gate.clock.advance(560)
    expect((await browser.fetchOnce(url)).status).toBe(302)
    gate.clock.advance(41)
    expect((await browser.fetchOnce(url)).status).toBe(403)
    entra.advance(601)
  })

  it('finishes in the browser that began, and in no other', async () => {
    const { browser, url } = await challenged()
    const callback = locationOf((await walk(browser, url, /auth\/callback/)).at(-1))
    const page = await newBrowser().fetchOnce(callback)
    expect([page.status, page.headers.has('location')]).toEqual([403, false])
  })
})

describe('a login that ends while its user is at Entra', () => {
  const askedTrip = async ({ browser, url }: { browser: Browser; url: string }) => {
    const asked = locationOf((await walk(browser, url, /authorize\?.*claims=/)).at(-1))
    return locationOf(await browser.fetchOnce(asked))
  }

  it.each([
    [
      'revoked by its client',
      (tokens: { refresh_token: string }) =>
        postForm(`${gate.url}/revoke`, { token: tokens.refresh_token, client_id: clientId }),
    ],
    ['cut off by the operator', () => revokeUser(gate.auth, { tid: entra.tenant.id, oid: ada })],
  ])('(%s) stays ended', async (_how, end) => {
    const started = await challenged()
    const callback = await askedTrip(started)
    await end(started.tokens)
    const page = await started.browser.fetchOnce(callback)
    expect([page.status, page.html]).toEqual([403, expect.stringContaining(words)])
    gate.clock.advance(2)
    expect((await callProfile(gate.url, started.tokens.access_token)).status).toBe(401)
    expect((await refresh(gate.url, started.tokens)).status).toBe(400)
  })

  it('ends when the login policy has turned against the user', async () => {
    const started = await challenged()
    const callback = await askedTrip(started)
    allow = () => false
    expect((await started.browser.fetchOnce(callback)).status).toBe(403)
    gate.clock.advance(2)
    expect((await callProfile(gate.url, started.tokens.access_token)).status).toBe(401)
  })

  it('stays ended when that happens at the last moment, and the page does not say otherwise', async () => {
    const started = await challenged()
    const callback = await askedTrip(started)
    allow = async () => {
      const { refresh_token: token } = started.tokens
      await postForm(`${gate.url}/revoke`, { token, client_id: clientId })
      return true
    }
    const page = await started.browser.fetchOnce(callback)
    expect([page.status, page.html]).toEqual([403, expect.stringContaining(words)])
    gate.clock.advance(2)
    expect((await callProfile(gate.url, started.tokens.access_token)).status).toBe(401)
  })

  it('goes on when it was refreshed meanwhile: nothing of the refresh is lost', async () => {
    const started = await challenged()
    const callback = await askedTrip(started)
    const [page, refreshed] = await Promise.all([
      started.browser.fetchOnce(callback),
      refresh(gate.url, started.tokens),
    ])
    expect([page.status, refreshed.status]).toEqual([200, 200])
    const next = (await refreshed.json()) as { access_token: string; refresh_token: string }
    expect((await callProfile(gate.url, next.access_token)).status).toBe(200)
    expect((await refresh(gate.url, { ...next, clientId })).status).toBe(200)
  })
})

describe('when the policy fails', () => {
  it('the page says to come back, the login goes on, and the URL is still good', async () => {
    const { browser, tokens, url } = await challenged()
    allow = () => {
      throw new Error('the directory is away')
    }
    expect((await walk(browser, url)).at(-1)?.status).toBe(503)
    allow = () => true
    expect((await walk(browser, url)).at(-1)?.status).toBe(200)
    expect((await callProfile(gate.url, tokens.access_token)).status).toBe(200)
  })
})

describe('when the store is away', () => {
  it('a client connects all the same, and the operator hears why its user is not asked', async () => {
    const { access_token } = await login(gate.url, { user: ada })
    await initialize(gate.url, access_token, {})
    gate.store.down = true
    gate.logs.length = 0
    await initialize(gate.url, access_token)
    expect(gate.logs).toContainEqual(
      expect.objectContaining({ reason: 'url_elicitation_not_recorded' }),
    )
  })

  it('the URL is a page that says to come back', async () => {
    const { browser, url } = await challenged()
    gate.store.down = true
    const page = await browser.fetchOnce(url)
    expect([page.status, page.headers.get('retry-after')]).toEqual([503, '5'])
  })

  it('a challenge is a 401 or 503, and never a success', async () => {
    const { tokens } = await challenged()
    gate.clock.advance(6)
    gate.store.down = true
    const response = await callProfile(gate.url, tokens.access_token)
    expect([401, 503]).toContain(response.status)
  })
})

describe('on two replicas', () => {
  /** One store behind two gates at one public address, and a login of which each has a copy. */
  async function twoGates() {
    const fresh = await startTestEntra()
    const clock = testClock()
    const options = { storage: memoryStorage({ now: clock.now }), now: clock.now }
    const one = await startGate(fresh, { mount: mountProfile, options })
    const at = { ...options, baseUrl: one.url }
    const two = await startGate(fresh, { mount: mountProfile, options: at })
    const browser = newBrowser()
    const tokens = await login(one.url, { user: ada, browser })
    await initialize(one.url, tokens.access_token)
    await initialize(two.url, tokens.access_token)
    fresh.requireMfa(ada, true)
    const close = () => Promise.all([one.close(), two.close()])
    return { one, two, clock, browser, tokens, close }
  }

  it('the call works at once, on the replica that had met the challenge', async () => {
    const { one, two, browser, tokens, close } = await twoGates()
    try {
      const url = await askedUrl(two, tokens.access_token)
      expect((await walk(browser, url)).at(-1)?.status).toBe(200)
      for (const { url: at } of [two, one]) {
        expect(await called(await callProfile(at, tokens.access_token))).toEqual([
          200,
          ['jsonrpc', 'id', 'result'],
        ])
      }
    } finally {
      await close()
    }
  })

  it('calls that are made together are sent to one URL', async () => {
    const { one, two, tokens, close } = await twoGates()
    try {
      const urls = await Promise.all(
        Array.from({ length: 12 }, (_, n) => askedUrl(n % 2 ? one : two, tokens.access_token)),
      )
      expect(new Set(urls).size).toBe(1)
    } finally {
      await close()
    }
  })

  it('each URL is finished by exactly one, and two URLs of one login do not hurt it', async () => {
    const { one, two, clock, browser, tokens, close } = await twoGates()
    try {
      const first = await askedUrl(one, tokens.access_token)
      clock.advance(301)
      const second = await askedUrl(two, tokens.access_token)
      expect(second).not.toBe(first)
      // Three trips of one browser: two for the same URL, one for the other.
      const callbacks: string[] = []
      for (const url of [first, first, second]) {
        const asked = locationOf((await walk(browser, url, /authorize\?.*claims=/)).at(-1))
        callbacks.push(locationOf(await browser.fetchOnce(asked)))
      }
      const pages = await Promise.all(
        callbacks.map((callback, n) =>
          browser.fetchOnce(n === 1 ? callback.replace(one.url, two.url) : callback),
        ),
      )
      const [a, b, other] = pages.map(({ status }) => status)
      expect([a, b].sort()).toEqual([200, 403])
      expect(other).toBe(200)
      expect((await callProfile(two.url, tokens.access_token)).status).toBe(200)
      expect((await refresh(one.url, tokens)).status).toBe(200)
    } finally {
      await close()
    }
  })
})

describe('calls that wait for their user', () => {
  /** A store that holds back the write of a grant, and counts looks at how an interaction ends. */
  function slowStore() {
    const memory = memoryStorage()
    const slow = { looks: 0, held: undefined as Promise<void> | undefined, isHit: false }
    const storage: Storage = {
      ...memory,
      get(key) {
        if (key.startsWith('interaction-end:')) slow.looks += 1
        return memory.get(key)
      },
      async set(key, value, ttl) {
        if (key.startsWith('grant:') && slow.held) {
          slow.isHit = true
          await slow.held
        }
        return memory.set(key, value, ttl)
      },
    }
    return { slow, storage }
  }

  async function waiting() {
    const { slow, storage } = slowStore()
    const fresh = await startTestEntra()
    const host = await startGate(fresh, {
      mount: mountProfile,
      options: { storage, now: Date.now },
    })
    const browser = newBrowser()
    const tokens = await login(host.url, { user: ada, browser })
    fresh.requireMfa(ada, true)
    const ask = async (more: object = {}) => {
      const response = await callProfile(host.url, tokens.access_token, {
        ...modernMeta(),
        ...more,
      })
      return (await response.json()) as { result: Asked }
    }
    const { result } = await ask()
    const [key = ''] = Object.keys(result.inputRequests ?? {})
    const repeat = () => ask({ inputResponses: { [key]: { action: 'accept' } } })
    return { slow, host, browser, url: result.inputRequests?.[key]?.params.url ?? '', repeat }
  }
  interface Asked {
    readonly called?: unknown
    readonly inputRequests?: Record<string, { params: { url: string } }>
  }

  it('find the new tokens, however long it takes to store them', async () => {
    const { slow, host, browser, url, repeat } = await waiting()
    const asked = locationOf((await walk(browser, url, /authorize\?.*claims=/)).at(-1))
    const callback = locationOf(await browser.fetchOnce(asked))
    let release = (): void => undefined
    slow.held = new Promise((resolve) => {
      release = resolve
    })
    const page = browser.fetchOnce(callback)
    await until(() => slow.isHit)
    // The URL is spent, and the login does not have the tokens yet.
    const answer = repeat()
    const early = await Promise.race([answer, until(() => slow.looks >= 2)])
    slow.held = undefined
    release()
    expect(early).toBeUndefined()
    expect((await page).status).toBe(200)
    expect((await answer).result).toHaveProperty('called')
    await host.close()
  })

  it('are ten at most for one login: the others are sent to the same URL at once', async () => {
    const { host, browser, url, repeat } = await waiting()
    const over: Asked[] = []
    const calls = Array.from({ length: 13 }, async () => {
      const { result } = await repeat()
      if (result.inputRequests) over.push(result)
      return result
    })
    await until(() => over.length === 3)
    expect(over.flatMap(({ inputRequests = {} }) => Object.values(inputRequests))).toEqual(
      Array.from({ length: 3 }, () =>
        expect.objectContaining({ params: expect.objectContaining({ url }) }),
      ),
    )
    expect((await walk(browser, url)).at(-1)?.status).toBe(200)
    const results = await Promise.all(calls)
    expect(results.filter(({ called: ran }) => ran !== undefined)).toHaveLength(10)
    await host.close()
  })
})

/** As long as it takes; the test's own time ends it. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 20))
}

describe('with account pages', () => {
  it('asks Entra at once for what is wanted, in a browser where the user is signed in', async () => {
    const fresh = await startTestEntra()
    const host = await startGate(fresh, {
      mount(app, auth) {
        app.use(accountRoutes(auth))
        mountProfile(app, auth)
      },
    })
    try {
      const id = await register(host.url)
      const browser = newBrowser()
      const { access_token } = await login(host.url, { user: ada, clientId: id, browser })
      await initialize(host.url, access_token)
      fresh.requireMfa(ada, true)
      const url = await askedUrl(host, access_token)
      const upstream = new URL(locationOf(await browser.fetchOnce(url)))
      expect(upstream.searchParams.has('claims')).toBe(true)
      const stranger = newBrowser()
      await login(host.url, { user: bob, clientId: id, browser: stranger })
      const other = new URL(locationOf(await stranger.fetchOnce(url)))
      expect(other.searchParams.has('claims')).toBe(false)
      expect((await callMcp(host.url, access_token, 'tools/list')).status).toBe(200)
    } finally {
      await host.close()
    }
  })
})
