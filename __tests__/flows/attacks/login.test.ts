/** Attacks on a login that is under way: other people's browsers, forms, codes and answers. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { Browser, formRequest } from '../../../examples/demo/browser.js'
import type { Entra } from '../../support/host.js'
import {
  ada,
  authorizeUrl,
  bob,
  getCode,
  newBrowser,
  pkce,
  redeem,
  redirectUri,
  register,
} from '../../support/oauth-client.js'
import {
  type AtCallback,
  approve,
  clientAnswer,
  entraWords,
  openConsent,
  returnLink,
  send,
  signInAtEntra,
  startProxy,
  startTestEntra,
  type TestProxy,
} from '../../support/proxy.js'

let entra: Entra
let proxy: TestProxy
beforeAll(async () => {
  entra = await startTestEntra()
  proxy = await startProxy(entra)
})

const stranger = 'https://stranger.example/cb'

describe('the confused deputy', () => {
  it('is asked again for each client, whatever the user approved before', async () => {
    const browser = newBrowser()
    await getCode(proxy.url, { browser })
    const clientId = await register(proxy.url, {
      client_name: 'Attacker',
      redirect_uris: [stranger],
    })
    for (const prompt of [undefined, 'none', 'consent']) {
      const params = { redirect_uri: stranger, prompt }
      const { page } = await openConsent(proxy.url, { browser, clientId, params })
      expect(page.status).toBe(200)
      expect(page.html).toContain('Attacker')
      expect(page.html).toContain('stranger.example')
    }
  })

  it('is asked again by the same client too, where browsers cannot be signed in', async () => {
    const browser = newBrowser()
    const { clientId } = await getCode(proxy.url, { browser })
    const { page } = await openConsent(proxy.url, { browser, clientId })
    expect(page.status).toBe(200)
    expect(page.html).toContain('value="approve"')
  })

  it('knows no client by the id of the Entra app, which everybody can read', async () => {
    const page = await fetch(
      authorizeUrl(proxy.url, entra.app.clientId, pkce().challenge, { redirect_uri: stranger }),
      { redirect: 'manual' },
    )
    expect([page.status, page.headers.get('location')]).toEqual([400, null])
  })

  it('starts nothing at Entra, and sets no login cookie, before the user has approved', async () => {
    const { page, browser } = await openConsent(proxy.url)
    expect(page.headers.get('location')).toBeNull()
    const names = (await browser.jar.getCookies(proxy.url)).map(({ key }) => key)
    expect(names).toEqual([expect.stringMatching(/^mcp-entra-consent-/)])
  })
})

describe('a consent form of the attacker', () => {
  it("does nothing in the victim's browser, with the victim's own forms open or not", async () => {
    const attacker = await openConsent(proxy.url)
    const [url, init] = formRequest(attacker.page, 'approve')
    for (const victim of [newBrowser(), (await openConsent(proxy.url)).browser]) {
      const page = await victim.fetchOnce(url, init)
      expect([page.status, page.headers.get('location')]).toEqual([403, null])
    }
  })

  it('cannot borrow the cookie of another form in the same browser', async () => {
    const first = await openConsent(proxy.url)
    const second = await openConsent(proxy.url, { browser: first.browser })
    const [url, { body }] = formRequest(first.page, 'approve')
    const [, other] = formRequest(second.page, 'approve')
    const mixed = new URLSearchParams(body as URLSearchParams)
    mixed.set('form', (other.body as URLSearchParams).get('form') ?? '')
    const page = await first.browser.fetchOnce(url, { method: 'POST', body: mixed })
    expect([page.status, page.headers.get('location')]).toEqual([403, null])
  })

  it('that another render overtook still works: each page has a cookie of its own', async () => {
    const first = await openConsent(proxy.url)
    await openConsent(proxy.url, { browser: first.browser, clientId: first.clientId })
    const page = await first.browser.fetchOnce(...formRequest(first.page, 'approve'))
    expect(page.status).toBe(303)
  })
})

describe('an answer of Entra in another browser', () => {
  it.each([
    ['an error', (state: string) => `error=access_denied&error_description=Pwned&state=${state}`],
    ['a code', (state: string) => `code=stolen&state=${state}`],
    ['an error and a code', (state: string) => `error=server_error&code=x&state=${state}`],
  ])(
    '%s is refused on a page, and the login it was aimed at still ends well',
    async (_what, query) => {
      const victim = await signInAtEntra(proxy.url)
      const url = `${proxy.url}/auth/callback?${query(victim.state)}`
      for (const attacker of [newBrowser(), (await approve(proxy.url)).browser]) {
        const page = await attacker.fetchOnce(url)
        expect([page.status, page.headers.get('location')]).toEqual([403, null])
        expect(page.html).not.toContain('Pwned')
      }
      const answer = clientAnswer(await victim.browser.fetchOnce(victim.callback))
      expect(answer).toMatchObject({ code: expect.any(String), state: 'client-state' })
    },
  )

  it('whose text was written by an attacker never reaches client or page', async () => {
    const text = 'Call +1 555 0100 <script>alert(1)</script>\r\nSet-Cookie: a=b'
    const { browser, state } = await approve(proxy.url)
    const url = new URL(`${proxy.url}/auth/callback`)
    url.search = new URLSearchParams({
      state,
      error: 'access_denied',
      error_description: text,
      error_uri: 'https://evil.example',
    }).toString()
    const page = await browser.fetchOnce(url.href)
    expect(clientAnswer(page)).toMatchObject({ error: 'access_denied', iss: proxy.url })
    expect(`${page.headers.get('location')}${page.html}`).not.toMatch(
      /0100|<script|alert|evil|Set-Cookie/,
    )
    expect(page.headers.getSetCookie().join()).not.toContain('a=b')
  })
})

describe('a code of somebody else', () => {
  it("of Entra, put into the victim's answer, is refused: PKCE and nonce are of that login", async () => {
    const attacker = await signInAtEntra(proxy.url, { params: { login_hint: bob } })
    const victim = await signInAtEntra(proxy.url, { params: { login_hint: ada } })
    const answer = await victim.browser.fetchOnce(withCodeOf(victim, attacker))
    expect(clientAnswer(answer)).toEqual({
      error: 'server_error',
      error_description: expect.not.stringMatching(entraWords),
      state: 'client-state',
      iss: proxy.url,
    })
  })

  it('of ours, put into the login of another, is refused: the verifier is of that login', async () => {
    const attacker = await getCode(proxy.url, { user: bob })
    const victim = await getCode(proxy.url, { user: ada, clientId: attacker.clientId })
    const injected = await redeem(proxy.url, { ...victim, code: attacker.code })
    expect(injected.status).toBe(400)
    expect(await injected.json()).toMatchObject({ error: 'invalid_grant' })
    expect((await redeem(proxy.url, victim)).status).toBe(200)
  })

  it('of ours is worth nothing without its verifier (PKCE downgrade)', async () => {
    const { verifier, ...stolen } = await getCode(proxy.url)
    for (const guess of ['', 'x'.repeat(43), pkce().verifier]) {
      const response = await redeem(proxy.url, { ...stolen, verifier: guess })
      expect(response.status).toBe(400)
    }
    expect((await redeem(proxy.url, { ...stolen, verifier })).status).toBe(200)
  })

  function withCodeOf({ callback }: AtCallback, other: AtCallback): string {
    const url = new URL(callback)
    url.searchParams.set('code', new URL(other.callback).searchParams.get('code') ?? '')
    return url.href
  }
})

describe('mix-up', () => {
  const uri = 'https://client.example/cb?tenant=a%2Fb&flag'

  it.each([
    ['a code', 'approve'],
    ['a refusal', 'deny'],
  ])('%s names the issuer exactly once, though the address has a query', async (_what, action) => {
    const clientId = await register(proxy.url, { redirect_uris: [uri] })
    const browser = new Browser({ stopAt: (url) => url.startsWith('https://client.example/') })
    const { page } = await openConsent(proxy.url, {
      browser,
      clientId,
      params: { redirect_uri: uri },
    })
    const { url } = await browser.press(page, action)
    expect(url.startsWith(`${uri}&`)).toBe(true)
    expect(new URL(url).searchParams.getAll('iss')).toEqual([proxy.url])
  })

  it('an error before consent names it exactly once as well', async () => {
    const clientId = await register(proxy.url, { redirect_uris: [uri] })
    const params = { redirect_uri: uri, scope: 'nonsense' }
    const { page } = await openConsent(proxy.url, { clientId, params })
    const { searchParams } = returnLink(page.html)
    expect(searchParams.getAll('iss')).toEqual([proxy.url])
    expect(searchParams.getAll('error')).toEqual(['invalid_scope'])
  })

  it.each(['iss', 'code', 'state', 'error', '%69ss', 'c%6Fde'])(
    'an address that brings a parameter %s of its own cannot be registered',
    async (name) => {
      const redirect_uris = [`https://client.example/cb?${name}=https%3A%2F%2Fevil.example`]
      await expect(register(proxy.url, { redirect_uris })).rejects.toThrow('invalid_redirect_uri')
    },
  )

  it('the issuer is the one in the metadata, byte for byte, whatever Host says', async () => {
    const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example' }
    const metadata = await send(`${proxy.url}/.well-known/oauth-authorization-server`, { headers })
    expect(JSON.parse(metadata.body)).toMatchObject({ issuer: proxy.url })
    expect(metadata.body).not.toContain('evil')
    const clientId = await register(proxy.url)
    const target = authorizeUrl(proxy.url, clientId, pkce().challenge, { prompt: 'always' })
    const { location = '' } = (await send(target, { headers })).headers
    expect(new URL(location).searchParams.get('iss')).toBe(proxy.url)
  })
})

describe('an open redirect', () => {
  it.each([
    `${redirectUri}.evil.example`,
    'http://127.0.0.1:33418@evil.example/callback',
    'http://127.0.0.1.evil.example:33418/callback',
    'http://127.0.0.1:33418\\@evil.example/callback',
    '//evil.example/callback',
    'https://evil.example',
    'http://127.0.0.1:33418/callback/../../x',
    'http://127.0.0.1:33418/callback#x',
    'http://localhost:33418/callback',
    'javascript:alert(1)',
  ])('is not to be had with %s', async (address) => {
    for (const more of [{}, { response_type: 'token' }, { scope: 'nonsense' }]) {
      const { page } = await openConsent(proxy.url, { params: { redirect_uri: address, ...more } })
      expect([page.status, page.headers.get('location')]).toEqual([400, null])
      expect(page.html).not.toContain('evil')
    }
  })
})

describe('a redirect before the user has done anything', () => {
  const ways: Record<string, string | undefined>[] = [
    { response_type: 'x' },
    { response_type: undefined },
    { response_mode: 'fragment' },
    { request: 'x' },
    { code_challenge: 'x' },
    { code_challenge_method: undefined },
    { scope: 'nonsense' },
    { resource: 'https://other.example' },
    { prompt: 'none', scope: 'nonsense' },
    { prompt: 'nonsense' },
    { login_hint: 'x'.repeat(321) },
    { state: 'x'.repeat(8000) },
  ]

  it('is not to be had by registering: the page names the host, and the user decides (RFC 9700 section 4.11.2)', async () => {
    const clientId = await register(proxy.url, { redirect_uris: [stranger] })
    for (const more of ways) {
      const params = { redirect_uri: stranger, ...more }
      const { page } = await openConsent(proxy.url, { clientId, params })
      expect([more, page.status, page.headers.get('location')]).toEqual([more, 400, null])
      expect(page.headers.get('refresh')).toBeNull()
      expect(page.html).not.toMatch(/http-equiv|<script/i)
      expect(page.html).toContain('<strong>stranger.example</strong>')
      expect(returnLink(page.html).searchParams.get('iss')).toBe(proxy.url)
    }
  })
})

describe('what could leak', () => {
  it('no page or redirect on the way lets an address out as a referrer, or stays in a cache', async () => {
    const login = await signInAtEntra(proxy.url)
    const answers = [
      login.page,
      await login.browser.fetchOnce(login.callback),
      await login.browser.fetchOnce(login.callback),
      (await openConsent(proxy.url, { params: { client_id: 'x' } })).page,
      (await openConsent(proxy.url, { params: { scope: 'nonsense' } })).page,
      await newBrowser().fetchOnce(`${proxy.url}/auth/callback?code=secret&state=x`),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 302, 403, 400, 302, 403])
    for (const { headers } of answers) {
      expect(headers.get('referrer-policy')).toBe('no-referrer')
      expect(headers.get('cache-control')).toBe('no-store')
    }
  })

  it('no page holds the code, the state or the verifier it was opened with', async () => {
    const login = await signInAtEntra(proxy.url, { params: { state: 'the-state-of-the-client' } })
    const query = new URL(login.callback).searchParams
    await login.browser.fetchOnce(login.callback)
    const replay = await login.browser.fetchOnce(login.callback)
    expect(replay.status).toBe(403)
    expect(replay.html).not.toContain(query.get('code'))
    expect(replay.html).not.toContain(query.get('state'))
    expect(login.page.html).not.toContain('the-state-of-the-client')
  })
})
