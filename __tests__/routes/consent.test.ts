/** The consent page, and which browser may send its form. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { formRequest, type Page } from '../../examples/demo/browser.js'
import type { Entra } from '../support/host.js'
import {
  authorizeUrl,
  getNotes,
  newBrowser,
  pkce,
  redeem,
  redirectUri,
  register,
  type Tokens,
} from '../support/oauth-client.js'
import {
  type AtConsent,
  approve,
  clientAnswer,
  jsonOf,
  openConsent,
  returnLink,
  send,
  signInAtEntra,
  startProxy,
  startTestEntra,
  type TestProxy,
  testClock,
} from '../support/proxy.js'

let entra: Entra
let proxy: TestProxy
const clock = testClock()
beforeAll(async () => {
  entra = await startTestEntra()
  proxy = await startProxy(entra, { resourceName: 'Notes', now: clock.now })
})
const text = (html: string) =>
  html
    .replace(/<style>[\s\S]*?<\/style>/, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')

/** Changes the value of one field of a form. */
function withField([url, init]: [string, RequestInit], name: string, value: string) {
  const body = new URLSearchParams(init.body as URLSearchParams)
  body.set(name, value)
  return [url, { ...init, body }] as const
}

function expectRefusal(page: Page, status = 403): void {
  expect(page.status).toBe(status)
  expect(page.headers.get('location')).toBeNull()
  expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
  expect(page.headers.get('cache-control')).toBe('no-store')
}

describe('the page', () => {
  it('names the client, the host it returns to, the scopes and the downstream access', async () => {
    const clientId = await register(proxy.url, { client_name: 'My client' })
    const { page } = await openConsent(proxy.url, {
      clientId,
      params: { scope: 'notes.read notes.write' },
    })
    const shown = text(page.html)
    expect(shown).toContain('Allow My client to use Notes?')
    expect(shown).toContain(`127.0.0.1:33418 (this device) ${redirectUri}`)
    expect(shown).toContain('Read your notes ( notes.read )')
    expect(shown).toContain('notes.write')
    expect(shown).toContain('This server will use, on your behalf')
    expect(shown).toContain('https://graph.microsoft.com/User.Read')
    expect(shown).toContain('Runs on this device.')
  })

  it('is a page without script, with two submit buttons and nothing from elsewhere', async () => {
    const { page } = await openConsent(proxy.url)
    expect(page.status).toBe(200)
    expect(page.html).toMatch(/<html lang="en">/)
    expect(page.html).toMatch(/<meta name="viewport" content="width=device-width/)
    expect(page.html).toMatch(/<button[^>]* type="submit" name="action" value="approve">/)
    expect(page.html).toMatch(/<button[^>]* type="submit" name="action" value="deny">/)
    expect(page.html).not.toMatch(/<script|<img|<link|src=|\son\w+=|javascript:/i)
    expect(page.headers.get('content-security-policy')).not.toContain('form-action')
  })

  it('warns of clients on this device only, and names the program behind a scheme', async () => {
    const web = await register(proxy.url, { redirect_uris: ['https://client.example:8443/cb'] })
    const webPage = await openConsent(proxy.url, {
      clientId: web,
      params: { redirect_uri: undefined },
    })
    expect(text(webPage.page.html)).toContain('client.example:8443 https://client.example:8443/cb')
    expect(webPage.page.html).not.toContain('Runs on this device')
    const app = await register(proxy.url, { redirect_uris: ['cursor://x/cb'] })
    const appPage = await openConsent(proxy.url, {
      clientId: app,
      params: { redirect_uri: undefined },
    })
    expect(text(appPage.page.html)).toContain('that handles &quot;cursor:&quot; links')
    expect(appPage.page.html).toContain('Runs on this device')
  })

  it.each([
    ['http://127.0.0.1:33418/callback', true],
    ['http://127.0.0.1:5/callback', true],
    ['https://localhost/callback', true],
    ['cursor://x/cb', true],
    ['https://client.example/cb', false],
    ['https://localhost.client.example/cb', false],
  ])(
    'warns by the redirect URI of this request when the client has several: %s',
    async (uri, warns) => {
      const redirect_uris = [
        redirectUri,
        'https://localhost/callback',
        'cursor://x/cb',
        'https://client.example/cb',
        'https://localhost.client.example/cb',
      ]
      const clientId = await register(proxy.url, { redirect_uris })
      const { page } = await openConsent(proxy.url, { clientId, params: { redirect_uri: uri } })
      expect(page.status).toBe(200)
      expect(page.html.includes('Runs on this device.')).toBe(warns)
    },
  )

  it.each([
    '</h1><script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '&lt;b&gt;',
    'evil\u202egnp.exe',
    'zero\u200bwidth\u2066\u061c',
    'line\nbreak\u2028\u0085',
    '\ud800 half a pair',
    '{{7*7}} <%= 7 %>',
  ])('does no harm with the name %j', async (client_name) => {
    const clientId = await register(proxy.url, { client_name })
    const { page } = await openConsent(proxy.url, { clientId })
    const heading = /<h1>[\s\S]*?<\/h1>/.exec(page.html)?.[0] ?? ''
    const name = /<bdi class="name">([\s\S]*?)<\/bdi>/.exec(heading)?.[1] ?? ''
    expect(name).not.toMatch(/[<>"'\u202e\u200b\u2066\u061c\n\u2028\u0085]/)
    expect(heading.match(/<[a-z/]+1?/g)).toEqual(['<h1', '<bdi', '</bdi', '</h1'])
    expect(page.html).not.toMatch(/<script|<img/)
    expect(name.length).toBeGreaterThan(0)
  })

  it('says so when the client has no name, or an invisible one', async () => {
    for (const client_name of [undefined, '   ']) {
      const clientId = await register(proxy.url, { client_name })
      const { page } = await openConsent(proxy.url, { clientId })
      expect(text(page.html)).toContain('Allow An application without a name to use')
    }
  })

  it('sets one cookie, for this browser and this form', async () => {
    const { page } = await openConsent(proxy.url)
    expect(page.headers.getSetCookie()).toEqual([
      expect.stringMatching(
        /^mcp-entra-consent-[\w-]{22}=[\w.-]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/,
      ),
    ])
  })
})

describe('behind https', () => {
  it('every cookie is Secure and __Host-', async () => {
    const tls = await startProxy(entra, { baseUrl: 'https://mcp.contoso.example' })
    const clientId = await register(tls.address)
    const page = await send(authorizeUrl(tls.address, clientId, pkce().challenge))
    const [consentCookie = ''] = page.headers['set-cookie'] ?? []
    expect(consentCookie).toMatch(
      /^__Host-mcp-entra-consent-[\w-]{22}=[\w.-]+; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
    )
    const [, { body }] = formRequest(
      { url: tls.address, status: 200, headers: new Headers(), html: page.body },
      'approve',
    )
    const approved = await send(`${tls.address}/consent`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        cookie: consentCookie.split(';', 1)[0] ?? '',
      },
      body: String(body),
    })
    expect(approved.status).toBe(303)
    expect(approved.headers['set-cookie']).toEqual([
      expect.stringMatching(
        /^__Host-mcp-entra-login-[\w-]{16}=[\w.-]+; Max-Age=600; Path=\/; HttpOnly; Secure; SameSite=Lax$/,
      ),
    ])
    expect(new URL(approved.headers.location ?? '').searchParams.get('redirect_uri')).toBe(
      'https://mcp.contoso.example/auth/callback',
    )
    // A cookie without the prefix could come from a sibling domain: it opens nothing.
    const planted = await send(`${tls.address}/consent`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        cookie: (consentCookie.split(';', 1)[0] ?? '').replace('__Host-', ''),
      },
      body: String(body),
    })
    expect(planted.status).toBe(403)
    await tls.close()
  })
})

describe('Approve', () => {
  it('sends the browser to Entra with 303, and remembers the login in a cookie of its own', async () => {
    const { browser, page } = await openConsent(proxy.url)
    const answer = await browser.fetchOnce(...formRequest(page, 'approve'))
    expect(answer.status).toBe(303)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer')
    expect(answer.headers.get('location')).toMatch(new RegExp(`^${entra.url}/`))
    expect(answer.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^mcp-entra-login-[\w-]{16}=[\w.-]+; Max-Age=600; Path=\/; HttpOnly/),
    ])
  })
})

describe('Deny', () => {
  it('goes back to the client with access_denied, and Entra hears nothing', async () => {
    const { browser, page } = await openConsent(proxy.url)
    entra.clearRequests()
    const answer = await browser.fetchOnce(...formRequest(page, 'deny'))
    expect(answer.status).toBe(303)
    expect(clientAnswer(answer)).toEqual({
      error: 'access_denied',
      error_description: 'The user did not allow access.',
      state: 'client-state',
      iss: proxy.url,
    })
    expect(answer.headers.getSetCookie()).toEqual([])
    expect(entra.requests).toEqual([])
  })
})

describe('the form', () => {
  it('is refused without its cookie, and with that of another browser', async () => {
    const mine = await openConsent(proxy.url)
    expectRefusal(await newBrowser().fetchOnce(...formRequest(mine.page, 'approve')))
    const other = await openConsent(proxy.url)
    expectRefusal(await other.browser.fetchOnce(...formRequest(mine.page, 'approve')))
    // An attacker's sealed request under the victim's form id does not open with the victim's cookie.
    const fields = new URLSearchParams(
      formRequest(other.page, 'approve')[1].body as URLSearchParams,
    )
    const mixed = withField(
      formRequest(mine.page, 'approve'),
      'request',
      fields.get('request') ?? '',
    )
    expectRefusal(await mine.browser.fetchOnce(...mixed))
    expect((await mine.browser.fetchOnce(...formRequest(mine.page, 'approve'))).status).toBe(303)
  })

  it.each(['cross-site', 'same-site'])('is refused from another site (%s)', async (site) => {
    const { browser, page } = await openConsent(proxy.url)
    const [url, init] = formRequest(page, 'approve')
    const headers = { 'sec-fetch-site': site }
    expectRefusal(await browser.fetchOnce(url, { ...init, headers }))
    const own = { ...init, headers: { 'sec-fetch-site': 'same-origin' } }
    expect((await browser.fetchOnce(url, own)).status).toBe(303)
  })

  it.each([
    ['request', 'x', 403],
    ['request', '', 400],
    ['form', 'x', 403],
    ['form', '', 400],
    ['form', '__proto__', 403],
    ['action', 'maybe', 400],
    ['action', '', 400],
    ['action', 'constructor', 400],
  ])('is refused with %s=%j', async (name, value, status) => {
    const { browser, page } = await openConsent(proxy.url)
    const changed = withField(formRequest(page, 'approve'), name, value)
    expectRefusal(await browser.fetchOnce(...changed), status)
  })

  it('expires after ten minutes', async () => {
    const { browser, page } = await openConsent(proxy.url)
    clock.advance(560)
    expect((await browser.fetchOnce(...formRequest(page, 'approve'))).status).toBe(303)
    clock.advance(41)
    const late = await browser.fetchOnce(...formRequest(page, 'approve'))
    expectRefusal(late)
    expect(text(late.html)).toContain('This page has expired')
  })

  it('is refused once its client is unknown', async () => {
    const rotating = await startProxy(entra, { keys: ['a first key: 0123456789abcdef'] })
    const { browser, page } = await openConsent(rotating.url)
    rotating.restart({ keys: ['a second key: 0123456789abcdef'] })
    expectRefusal(await browser.fetchOnce(...formRequest(page, 'approve')))
    await rotating.close()
  })
})

describe('two browsers', () => {
  it('approved in one, opened in the other: refused, and the first still finishes', async () => {
    const mine = await signInAtEntra(proxy.url)
    const stranger = await newBrowser().fetchOnce(mine.callback)
    expectRefusal(stranger)
    expect(text(stranger.html)).toContain('started in another browser')
    const finished = await mine.browser.fetchOnce(mine.callback)
    expect(clientAnswer(finished)).toEqual({
      code: expect.stringMatching(/^[\w-]{43}$/),
      state: 'client-state',
      iss: proxy.url,
    })
  })
})

describe('many tabs', () => {
  it('finish all ten logins opened at once', async () => {
    const browser = newBrowser()
    const clientId = await register(proxy.url)
    const tabs: AtConsent[] = []
    for (let i = 0; i < 10; i++) {
      tabs.push(await openConsent(proxy.url, { browser, clientId, params: { state: `tab ${i}` } }))
    }
    const upstream: string[] = []
    for (const { page } of tabs) {
      const answer = await browser.fetchOnce(...formRequest(page, 'approve'))
      upstream.push(answer.headers.get('location') ?? '')
    }
    const answers = await Promise.all(upstream.map(async (url) => (await browser.open(url)).url))
    const states = answers.map((url) => new URL(url).searchParams.get('state'))
    expect(states).toEqual(tabs.map((_tab, i) => `tab ${i}`))
    const codes = answers.map((url) => new URL(url).searchParams.get('code') ?? '')
    const redeemed = await Promise.all(
      codes.map((code, i) =>
        redeem(proxy.url, { code, verifier: tabs[i]?.verifier ?? '', clientId }),
      ),
    )
    expect(redeemed.map(({ status }) => status)).toEqual(codes.map(() => 200))
    const tokens = await Promise.all(redeemed.map((response) => jsonOf<Tokens>(response)))
    for (const { access_token } of tokens) {
      expect((await getNotes(proxy.url, access_token)).status).toBe(200)
    }
  })

  it('drop the oldest login beyond ten, and never outgrow a request header', async () => {
    const browser = newBrowser()
    const clientId = await register(proxy.url)
    const state = 's'.repeat(1500)
    const first = await approve(proxy.url, { browser, clientId, params: { state } })
    for (let i = 0; i < 12; i++) {
      clock.advance(1)
      await approve(proxy.url, { browser, clientId, params: { state } })
    }
    const cookies = await browser.jar.getCookieString(proxy.url)
    expect(cookies.length).toBeLessThan(12_000)
    expect((await browser.open(first.upstream.href)).status).toBe(403)
    const last = await approve(proxy.url, { browser, clientId, params: { state } })
    const answer = new URL((await browser.open(last.upstream.href)).url)
    expect(answer.searchParams.get('state')).toBe(state)
  })
})

describe('a request that is too long to be remembered', () => {
  const uri = `https://client.example/${'p'.repeat(1000)}`

  /** Opens the consent page, and approves when there is one. */
  async function walk(clientId: string, params: Record<string, string>) {
    const { browser, page } = await openConsent(proxy.url, { clientId, params })
    if (page.status !== 200) return { page }
    const answer = await browser.fetchOnce(...formRequest(page, 'approve'))
    return { page, answer }
  }

  it.each([
    ['letters', 'x'],
    ['two bytes', 'ü'],
    ['three bytes', '\u2028'],
    ['four bytes', '𝒳'],
    ['quotes, which double in JSON', '"'],
    ['backslashes, which double in JSON', '\\'],
  ])(
    'by a state of %s is refused at /authorize and never after Approve, and nothing is cut',
    async (_what, unit) => {
      const clientId = await register(proxy.url, { redirect_uris: [uri] })
      let [good, bad] = [0, 3000]
      while (bad - good > 1) {
        const middle = Math.floor((good + bad) / 2)
        const { page } = await openConsent(proxy.url, {
          clientId,
          params: { redirect_uri: uri, state: unit.repeat(middle) },
        })
        if (page.status === 200) good = middle
        else bad = middle
      }
      const longest = unit.repeat(good)
      const { answer } = await walk(clientId, { redirect_uri: uri, state: longest })
      expect(answer?.status).toBe(303)
      for (const cookie of answer?.headers.getSetCookie() ?? []) {
        expect(cookie.length).toBeLessThan(4096)
      }
      const { page } = await walk(clientId, { redirect_uri: uri, state: unit.repeat(bad) })
      expect(page.status).toBe(400)
      const told = returnLink(page.html).searchParams
      expect(told.get('error')).toBe('invalid_request')
      expect(told.get('state')).toBe(unit.repeat(bad))
      // A redirect URI of ordinary length leaves room for what clients really send.
      expect(good * Buffer.byteLength(JSON.stringify(unit).slice(1, -1))).toBeGreaterThan(800)
    },
  )

  it('by everything together is refused at /authorize and never after Approve', async () => {
    const name = 'n'.repeat(256)
    const redirect_uris = [redirectUri, `https://client.example/${'p'.repeat(1900)}`]
    const long = await register(proxy.url, { redirect_uris, client_name: name })
    const statuses = new Set<number>()
    for (const login_hint of ['x', 'ü', '"', '\u2028'].map((unit) => unit.repeat(320))) {
      for (const state of ['x', 'x'.repeat(700), '"'.repeat(900), 'x'.repeat(2000)]) {
        for (const redirect_uri of redirect_uris) {
          const params = { redirect_uri, state, login_hint, domain_hint: login_hint }
          const { page, answer } = await walk(long, params)
          statuses.add(page.status)
          expect([answer?.status, redirect_uri, state[0], login_hint[0]]).toEqual([
            page.status === 200 ? 303 : undefined,
            redirect_uri,
            state[0],
            login_hint[0],
          ])
        }
      }
    }
    expect([...statuses].sort()).toEqual([200, 302, 400])
  })
})
