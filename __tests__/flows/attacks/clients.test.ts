/** Hostile clients: what they call themselves, how much they send, and what they leave behind. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { formRequest } from '../../../examples/demo/browser.js'
import {
  newBrowser,
  postForm,
  postJson,
  redirectUri,
  register,
} from '../../support/oauth-client.js'
import {
  countingStorage,
  openConsent,
  send,
  startProxy,
  startTestEntra,
  type TestProxy,
} from '../../support/proxy.js'

let proxy: TestProxy
const counting = countingStorage()
beforeAll(async () => {
  proxy = await startProxy(await startTestEntra(), { storage: counting.storage })
})

/** The name as the page shows it, and all the page says besides. */
async function consentFor(client_name: string) {
  const clientId = await register(proxy.url, { client_name })
  const { page } = await openConsent(proxy.url, { clientId })
  const name = /<bdi class="name">([\s\S]*?)<\/bdi>/.exec(page.html)?.[1] ?? ''
  return { page, name }
}

describe('the name of a client', () => {
  it.each([10_000, 257])('of %i characters is refused, and the answer says why', async (length) => {
    const response = await postJson(`${proxy.url}/register`, {
      client_name: 'x'.repeat(length),
      redirect_uris: [redirectUri],
    })
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({
      error: 'invalid_client_metadata',
      error_description: 'client_name is longer than 256 characters.',
    })
  })

  it.each([
    ['markup', '<b onclick=alert(1)>Claude</b>', '&lt;b onclick=alert(1)&gt;Claude&lt;/b&gt;'],
    ['an entity', '&lt;img&gt;', '&amp;lt;img&amp;gt;'],
    ['an attribute', '" autofocus onfocus="x', '&quot; autofocus onfocus=&quot;x'],
    ['a right-to-left override', 'Claude\u202eedoC', 'Claude\u25a1edoC'],
    ['isolates and marks', '\u2066A\u2069\u200f\u061cB', '\u25a1A\u25a1\u25a1\u25a1B'],
    ['control characters', 'A\u0007\u001b[31mB\u009f', 'A\u25a1\u25a1[31mB\u25a1'],
    ['nothing to see', '\u200b\u2060\ufeff', '\u25a1\u25a1\u25a1'],
    ['tag characters', 'A\u{e0041}\u{e0042}', 'A\u25a1\u25a1'],
    ['lines', 'A\r\nB\u2028C', 'A\u25a1\u25a1B\u25a1C'],
  ])('with %s is shown as text', async (_what, given, shown) => {
    const { name, page } = await consentFor(given)
    expect(name).toBe(shown)
    expect(page.html).not.toMatch(/<script|<img|<b |\sonfocus="/)
  })

  it.each(['\u0421laude', 'Microsoft \u{1d404}ntra', 'Claude (verified by Contoso IT)'])(
    'that looks like another (%s) stands beside the host that gets the sign-in, and a warning',
    async (given) => {
      const { page } = await consentFor(given)
      expect(page.html).toContain('The application chose this name itself; nobody has checked it.')
      expect(page.html).toContain('<strong>127.0.0.1:33418 (this device)</strong>')
      expect(page.html).toContain('Runs on this device.')
    },
  )

  it('cannot pass for a part of the page: it is isolated, and in the heading alone', async () => {
    const { page } = await consentFor('Approve was chosen')
    expect(page.html.split('Approve was chosen')).toHaveLength(2)
    expect(page.html).toContain('<bdi class="name">Approve was chosen</bdi>')
  })
})

describe('requests of anybody', () => {
  it('leave nothing in the store, however many and whatever they are', async () => {
    counting.writes.length = 0
    for (let i = 0; i < 50; i++) {
      const clientId = await register(proxy.url, { client_name: `Client ${i}` })
      const { browser } = await openConsent(proxy.url, { clientId, browser: newBrowser() })
      await browser.fetchOnce(`${proxy.url}/auth/callback?code=${i}&state=${i}`)
      for (const form of [
        { grant_type: 'refresh_token', refresh_token: `unknown ${i}`, client_id: clientId },
        { token: `unknown ${i}`, client_id: clientId },
      ]) {
        await postForm(`${proxy.url}/${'token' in form ? 'revoke' : 'token'}`, form)
      }
      await send(`${proxy.url}/api/notes`, { headers: { authorization: `Bearer a.${i}.c` } })
    }
    expect(counting.writes).toEqual([])
  })

  it('leave nothing in the store either with codes they made up', async () => {
    counting.writes.length = 0
    const clientId = await register(proxy.url)
    for (let i = 0; i < 50; i++) {
      const response = await postForm(`${proxy.url}/token`, {
        grant_type: 'authorization_code',
        code: `made up ${i}`,
        code_verifier: 'x'.repeat(43),
        client_id: clientId,
      })
      expect(response.status).toBe(400)
    }
    // Asked for, in case they were used before; nothing set.
    const { storage } = counting
    for (const key of new Set(counting.writes)) expect(await storage.get(key)).toBeUndefined()
  })
})

describe('a header', () => {
  it.each([
    ['client_id', 'x"\r\nSet-Cookie: a=b'],
    ['state', 'x\r\nLocation: https://evil.example'],
    ['scope', 'a"b\\c\r\nX-Evil: 1'],
    ['resource', 'https://x/"\r\nX-Evil: 1'],
  ])('cannot be broken out of with a quote or a newline in %s', async (name, value) => {
    const { page } = await openConsent(proxy.url, { params: { [name]: value } })
    expect(page.status).toBeLessThan(500)
    const names = [...page.headers.keys()]
    expect(names).not.toContain('x-evil')
    expect(page.headers.getSetCookie().join()).not.toContain('a=b')
    expect(page.headers.get('location') ?? redirectUri).toMatch(/^http:\/\/127\.0\.0\.1:33418\//)
  })
})

describe('a redirect URI that is no longer allowed', () => {
  const custom = 'myapp://callback'

  it('is refused on a page though it was registered: its scheme has gone from the settings', async () => {
    const entra = await startTestEntra()
    const before = await startProxy(entra, { customSchemes: ['myapp:'] })
    const clientId = await register(before.url, { redirect_uris: [custom, redirectUri] })
    const ask = (redirect_uri: string) =>
      openConsent(before.url, { clientId, params: { redirect_uri } })
    expect((await ask(custom)).page.status).toBe(200)
    before.restart({})
    const { page } = await ask(custom)
    expect([page.status, page.headers.get('location')]).toEqual([400, null])
    expect(page.html).toContain('myapp')
    expect((await ask(redirectUri)).page.status).toBe(200)
  })

  it('is refused at registration, login and consent where allowRedirect says no', async () => {
    const entra = await startTestEntra()
    const other = 'https://other.example/cb'
    const server = await startProxy(entra)
    const clientId = await register(server.url, { redirect_uris: [redirectUri, other] })
    const ask = (redirect_uri: string) =>
      openConsent(server.url, { clientId, params: { redirect_uri } })
    const open = await ask(other)
    server.restart({ allowRedirect: ({ hostname }) => hostname !== 'other.example' })
    const pages = [
      (await ask(other)).page,
      await open.browser.fetchOnce(...formRequest(open.page, 'approve')),
      await open.browser.fetchOnce(...formRequest(open.page, 'deny')),
    ]
    for (const page of pages) {
      expect([page.status, page.headers.get('location')]).toEqual([400, null])
      expect(page.html).toContain('This server does not allow the redirect URI.')
    }
    await expect(register(server.url, { redirect_uris: [other] })).rejects.toThrow(
      'invalid_redirect_uri',
    )
    expect((await ask(redirectUri)).page.status).toBe(200)
  })

  it('is allowed by nobody but its own registration: allowRedirect adds nothing', async () => {
    const server = await startProxy(await startTestEntra(), { allowRedirect: () => true })
    const { page } = await openConsent(server.url, {
      params: { redirect_uri: 'https://other.example/cb' },
    })
    expect([page.status, page.headers.get('location')]).toEqual([400, null])
    for (const uri of ['javascript:alert(1)', 'http://other.example/cb', 'unknown://cb']) {
      await expect(register(server.url, { redirect_uris: [uri] })).rejects.toThrow(
        'invalid_redirect_uri',
      )
    }
  })
})
