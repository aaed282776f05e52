/** `/authorize`: a page until client and redirect URI are known good, a redirect ever after. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { formRequest } from '../../examples/demo/browser.js'
import type { Entra } from '../support/host.js'
import { authorizeUrl, pkce, redirectUri, register } from '../support/oauth-client.js'
import {
  approve,
  openConsent,
  returnLink,
  startProxy,
  startTestEntra,
  type TestProxy,
} from '../support/proxy.js'

let entra: Entra
let proxy: TestProxy
let clientId: string
const { challenge } = pkce()
beforeAll(async () => {
  entra = await startTestEntra()
  proxy = await startProxy(entra, { resources: ['/mcp', '/other'] })
  clientId = await register(proxy.url)
})
type More = Record<string, string | undefined>
const ask = (more: More = {}, id = clientId) =>
  fetch(authorizeUrl(proxy.url, id, challenge, more), { redirect: 'manual' })

const csp =
  /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'; base-uri 'none'; frame-ancestors 'none'$/

function expectPage(response: Response, status: number): void {
  expect(response.status).toBe(status)
  expect(response.headers.get('location')).toBeNull()
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
  expect(response.headers.get('content-security-policy')).toMatch(csp)
  expect(response.headers.get('x-frame-options')).toBe('DENY')
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(response.headers.get('referrer-policy')).toBe('no-referrer')
  expect(response.headers.get('x-content-type-options')).toBe('nosniff')
}

async function redirected(response: Response): Promise<Record<string, string>> {
  expect(response.status).toBe(302)
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(response.headers.get('referrer-policy')).toBe('no-referrer')
  expect(response.headers.get('set-cookie')).toBeNull()
  expect(await response.text()).toBe('')
  const location = response.headers.get('location') ?? ''
  expect(location.startsWith(`${redirectUri}?`)).toBe(true)
  return Object.fromEntries(new URL(location).searchParams)
}

describe('before client and redirect URI are known', () => {
  it.each<[string, More]>([
    ['no client', { client_id: undefined }],
    ['an empty client', { client_id: '' }],
    ['an unknown client', { client_id: 'unknown' }],
    ['a client named __proto__', { client_id: '__proto__' }],
    ['another redirect URI', { redirect_uri: 'https://evil.example/cb' }],
    ['a redirect URI with more path', { redirect_uri: `${redirectUri}/more` }],
    ['a redirect URI with a query', { redirect_uri: `${redirectUri}?x=1` }],
    ['a redirect URI with userinfo', { redirect_uri: 'http://127.0.0.1:1@evil.example/callback' }],
    ['another loopback name', { redirect_uri: 'http://localhost:33418/callback' }],
    ['a NUL', { state: 'a\u0000b' }],
    ['a line break', { redirect_uri: `${redirectUri}\r\nx: y` }],
    ['a parameter longer than 8192', { state: 'x'.repeat(8193) }],
  ])('%s is a page', async (_what, more) => {
    const response = await ask(more)
    expectPage(response, 400)
    expect(await response.text()).not.toMatch(/evil\.example|\sat /)
  })

  it('a parameter sent twice is a page', async () => {
    for (const name of ['client_id', 'redirect_uri', 'scope', 'state', '__proto__']) {
      const url = `${authorizeUrl(proxy.url, clientId, challenge, { scope: 'notes.read' })}&${name}=1&${name}=2`
      expectPage(await fetch(url, { redirect: 'manual' }), 400)
    }
  })

  it('has no words of a stranger on it', async () => {
    const words = 'Your+account+is+locked%3A+call+555+0100'
    for (const query of [`${words}=1&${words}=2`, `client_id=${words}`, `${words}=1`]) {
      const response = await fetch(`${proxy.url}/authorize?${query}`, { redirect: 'manual' })
      expectPage(response, 400)
      expect(await response.text()).not.toMatch(/locked|555/)
    }
  })

  it('an unregistered client is told what to do', async () => {
    const text = await (await ask({ client_id: 'gone' })).text()
    expect(text).toContain('add it again, so that it registers anew')
  })

  it('a redirect URI may be left out only when there is one', async () => {
    expectPage(await ask({ redirect_uri: undefined }), 200)
    const two = await register(proxy.url, { redirect_uris: [redirectUri, 'https://a.example/cb'] })
    expectPage(await ask({ redirect_uri: undefined }, two), 400)
  })

  it('a loopback redirect URI may name any port (RFC 8252 section 7.3)', async () => {
    expectPage(await ask({ redirect_uri: 'http://127.0.0.1:1/callback' }), 200)
    expectPage(await ask({ redirect_uri: 'http://127.0.0.1/callback' }), 200)
  })
})

describe('afterwards', () => {
  it.each<[string, More, string]>([
    ['no response type', { response_type: undefined }, 'invalid_request'],
    ['a token asked for', { response_type: 'token' }, 'unsupported_response_type'],
    ['an id token besides', { response_type: 'code id_token' }, 'unsupported_response_type'],
    ['fragment mode', { response_mode: 'fragment' }, 'invalid_request'],
    ['form_post mode', { response_mode: 'form_post' }, 'invalid_request'],
    ['a request object', { request: 'eyJ' }, 'invalid_request'],
    ['a request URI', { request_uri: 'urn:x' }, 'invalid_request'],
    ['no PKCE', { code_challenge: undefined }, 'invalid_request'],
    ['plain PKCE', { code_challenge_method: 'plain' }, 'invalid_request'],
    ['no PKCE method', { code_challenge_method: undefined }, 'invalid_request'],
    ['a short challenge', { code_challenge: 'abc' }, 'invalid_request'],
    ['an unknown scope', { scope: 'notes.read notes.delete' }, 'invalid_scope'],
    ['a scope of Graph', { scope: 'https://graph.microsoft.com/Mail.Read' }, 'invalid_scope'],
    ['a scope of the prototype', { scope: 'constructor __proto__' }, 'invalid_scope'],
    ['a foreign resource', { resource: 'https://other.example/mcp' }, 'invalid_target'],
    ['a resource with a fragment', { resource: 'http://localhost/mcp#x' }, 'invalid_target'],
    ['a resource that is no URI', { resource: 'mcp' }, 'invalid_target'],
    ['an unknown prompt', { prompt: 'always' }, 'invalid_request'],
    ['an endless login hint', { login_hint: 'x'.repeat(321) }, 'invalid_request'],
  ])('%s is an error for the client, with state and iss', async (_what, more, error) => {
    expect(await redirected(await ask(more))).toEqual({
      error,
      error_description: expect.any(String),
      state: 'client-state',
      iss: proxy.url,
    })
  })

  it('leaves state out when there was none', async () => {
    const answer = await redirected(await ask({ state: undefined, prompt: 'always' }))
    expect(Object.keys(answer)).toEqual(['error', 'error_description', 'iss'])
  })

  it('refuses more state than a cookie can carry, and gives all of it back', async () => {
    const state = 'ü'.repeat(2100)
    expect(await redirected(await ask({ state }))).toMatchObject({
      error: 'invalid_request',
      state,
    })
  })

  it('keeps a query the redirect URI has', async () => {
    const uri = 'https://client.example/cb?tenant=a%2Fb'
    const id = await register(proxy.url, { redirect_uris: [uri] })
    const response = await ask({ redirect_uri: uri, prompt: 'always', state: 'a&b=c #' }, id)
    const link = returnLink(await response.text())
    expect(link.href.startsWith(`${uri}&error=invalid_request&`)).toBe(true)
    expect(link.searchParams.get('state')).toBe('a&b=c #')
  })
})

describe('an error for a client on the web', () => {
  const web = 'https://client.example/cb'
  const wrong: More = { response_type: 'x', redirect_uri: web }

  it.each<[string, More, string]>([
    ['another response type', { response_type: 'x' }, 'unsupported_response_type'],
    ['no PKCE', { code_challenge: undefined }, 'invalid_request'],
    ['an unknown scope', { scope: 'notes.delete' }, 'invalid_scope'],
    ['a foreign resource', { resource: 'https://other.example/mcp' }, 'invalid_target'],
    ['an unknown prompt', { prompt: 'always' }, 'invalid_request'],
    ['more state than a cookie holds', { state: 's'.repeat(4000) }, 'invalid_request'],
  ])('that registered itself is a page with a link, for %s', async (_what, more, error) => {
    const id = await register(proxy.url, { redirect_uris: [web] })
    const state = more.state ?? '"><script>alert(1)</script>'
    const response = await ask({ redirect_uri: web, state, ...more }, id)
    expectPage(response, 400)
    expect(response.headers.get('refresh')).toBeNull()
    expect(response.headers.get('set-cookie')).toBeNull()
    const html = await response.text()
    expect(html).toContain(`<code>${error}</code>`)
    expect(html).toContain('<strong>client.example</strong>')
    expect(html).not.toMatch(/<script|<meta http-equiv|<form|<img/)
    const link = returnLink(html)
    expect(link.origin + link.pathname).toBe(web)
    expect(Object.fromEntries(link.searchParams)).toEqual({
      error,
      error_description: expect.any(String),
      state,
      iss: proxy.url,
    })
  })

  it('is told nowhere on the page in words of a stranger', async () => {
    const id = await register(proxy.url, { redirect_uris: [web], client_name: 'Call-555-0100' })
    const response = await ask({ redirect_uri: web, scope: 'Call-555-0100', state: 'x' }, id)
    expectPage(response, 400)
    const html = await response.text()
    expect(html.replace(/ href="[^"]*"/g, '')).not.toContain('555')
    expect(returnLink(html).searchParams.get('error_description')).toContain("'Call-555-0100'")
  })

  it('whose redirect URI holds quotes and markup is a link all the same', async () => {
    const uri = `${web}?a="onclick='x'<b>&b=%22`
    const id = await register(proxy.url, { redirect_uris: [uri] })
    const html = await (await ask({ ...wrong, redirect_uri: uri }, id)).text()
    expect(html).not.toMatch(/onclick='|<b>/)
    expect(returnLink(html).searchParams.get('a')).toBe(`"onclick='x'<b>`)
  })

  it.each([
    'http://127.0.0.1:33418/callback',
    'http://localhost/callback',
    'https://localhost/callback',
    'cursor://anysphere.cursor-mcp/oauth/callback',
  ])('is a redirect to %s: a program on this device waits there', async (uri) => {
    const id = await register(proxy.url, { redirect_uris: [web, uri] })
    const response = await ask({ ...wrong, redirect_uri: uri }, id)
    expect(response.status).toBe(302)
    expect(response.headers.get('location')?.startsWith(`${uri}?error=`)).toBe(true)
    expectPage(await ask(wrong, id), 400)
  })

  it('that the operator set up is a redirect', async () => {
    const client = { client_id: 'portal', client_name: 'Portal', redirect_uris: [web] }
    const own = await startProxy(entra, { clients: [client] })
    const url = authorizeUrl(own.url, 'portal', challenge, wrong)
    const response = await fetch(url, { redirect: 'manual' })
    expect(response.status).toBe(302)
    expect(response.headers.get('location')?.startsWith(`${web}?error=`)).toBe(true)
  })

  it('is a redirect once the user has pressed Deny', async () => {
    const id = await register(proxy.url, { redirect_uris: [web] })
    const { browser, page } = await openConsent(proxy.url, {
      clientId: id,
      params: { redirect_uri: web },
    })
    const answer = await browser.fetchOnce(...formRequest(page, 'deny'))
    expect(answer.status).toBe(303)
    expect(answer.headers.get('location')?.startsWith(`${web}?error=access_denied`)).toBe(true)
  })
})

describe('what is asked of Entra', () => {
  it('is our own request, with the hints of the client and nothing else of it', async () => {
    const { upstream } = await approve(proxy.url, {
      clientId,
      params: {
        resource: `${proxy.url}/mcp`,
        scope: 'notes.write',
        prompt: 'login',
        login_hint: 'someone@contoso.example',
        domain_hint: 'contoso.example',
        max_age: '5',
        claims: '{"x":1}',
      },
    })
    expect(`${upstream.origin}${upstream.pathname}`).toBe(
      `${entra.url}/${entra.tenant.id}/oauth2/v2.0/authorize`,
    )
    const api = `api://${entra.app.clientId}`
    expect(Object.fromEntries(upstream.searchParams)).toEqual({
      client_id: entra.app.clientId,
      response_type: 'code',
      response_mode: 'query',
      redirect_uri: `${proxy.url}/auth/callback`,
      scope: `${api}/notes.write https://graph.microsoft.com/User.Read openid profile offline_access`,
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: 'S256',
      prompt: 'login',
      login_hint: 'someone@contoso.example',
      domain_hint: 'contoso.example',
    })
  })

  it('never repeats state, nonce or challenge, nor the client its own', async () => {
    const logins = [
      await approve(proxy.url, { clientId, params: { code_challenge: challenge } }),
      await approve(proxy.url, { clientId, params: { code_challenge: challenge } }),
    ]
    const seen = logins.flatMap(({ upstream: { searchParams } }) =>
      ['state', 'nonce', 'code_challenge'].map((name) => searchParams.get(name)),
    )
    expect(new Set([...seen, 'client-state', challenge]).size).toBe(8)
  })

  it.each([
    [undefined, 'notes.read'],
    ['', 'notes.read'],
    ['openid profile offline_access', 'notes.read'],
    ['notes.write notes.read notes.write', 'notes.write notes.read'],
  ])('is, for the scope %j of the client, %s', async (scope, expected) => {
    const { upstream } = await approve(proxy.url, { clientId, params: { scope } })
    const own = (upstream.searchParams.get('scope') ?? '')
      .split(' ')
      .filter((name) => name.startsWith('api://'))
      .map((name) => name.replace(`api://${entra.app.clientId}/`, ''))
    expect(own.join(' ')).toBe(expected)
  })

  it.each([
    ['/mcp', true],
    ['/mcp/', true],
    ['/other', true],
    ['/mcp//', false],
    ['', false],
    ['/mcp?x=1', true],
    ['/mcp/?x=/', true],
    ['/mcp2?x=1', false],
    ['/mcp%3Fx=1', false],
  ])('the resource %s: %s', async (path, good) => {
    const { page } = await openConsent(proxy.url, {
      clientId,
      params: { resource: proxy.url + path },
    })
    expect(page.status).toBe(good ? 200 : 302)
  })

  it('takes scheme and host of the resource in any case (RFC 3986 section 6.2.2.1)', async () => {
    const resource = `${proxy.url.replace('http://localhost', 'HTTP://LOCALHOST')}/mcp`
    const { page } = await openConsent(proxy.url, { clientId, params: { resource } })
    expect(page.status).toBe(200)
  })
})
