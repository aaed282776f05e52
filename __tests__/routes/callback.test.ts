/** The way back from Entra: a code for the client, or an error. */
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import type { Entra } from '../support/host.js'
import {
  ada,
  bob,
  getNotes,
  newBrowser,
  redeem,
  redirectUri,
  type Tokens,
} from '../support/oauth-client.js'
import {
  type AtEntra,
  approve,
  clientAnswer,
  entraWords,
  jsonOf,
  type ProxyOptions,
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
  proxy = await startProxy(entra, { now: clock.now })
})
afterEach(() => entra.clearFaults())
/** Expects an error for the client, without any of Entra's words. */
function expectError(answer: Record<string, string>, error: string, at = proxy): void {
  expect(answer).toEqual({
    error,
    error_description: expect.any(String),
    state: 'client-state',
    iss: at.url,
  })
  expect(answer.error_description).not.toMatch(entraWords)
}

describe('state', () => {
  it.each([
    ['missing', '?code=x', 400],
    ['empty', '?state=&code=x', 400],
    ['unknown', '?state=unknown&code=x', 403],
    ['given twice', '?state=a&state=b&code=x', 400],
    ['of the prototype', '?state=__proto__&code=x', 403],
  ])('%s is a page and no redirect', async (_what, query, status) => {
    const { browser } = await approve(proxy.url)
    const page = await browser.fetchOnce(`${proxy.url}/auth/callback${query}`)
    expect(page.status).toBe(status)
    expect(page.headers.get('location')).toBeNull()
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
  })

  it('of another login in the same browser does not open the cookie of this one', async () => {
    const mine = await approve(proxy.url)
    const other = await approve(proxy.url, { browser: mine.browser })
    const [cookie = ''] = (await mine.browser.jar.getCookies(proxy.url))
      .filter(({ key }) => key.startsWith('mcp-entra-login'))
      .map(({ value }) => value)
    // Sends the sealed login of one state under the cookie names of both.
    const names = (await mine.browser.jar.getCookies(proxy.url))
      .map(({ key }) => key)
      .filter((key) => key.startsWith('mcp-entra-login'))
    const answers = await Promise.all(
      [mine.state, other.state].map((state) =>
        fetch(`${proxy.url}/auth/callback?error=access_denied&state=${state}`, {
          redirect: 'manual',
          headers: { cookie: names.map((name) => `${name}=${cookie}`).join('; ') },
        }),
      ),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([302, 403])
  })

  it('is good for ten minutes', async () => {
    const { browser, callback } = await signInAtEntra(proxy.url)
    clock.advance(601)
    expect((await browser.fetchOnce(callback)).status).toBe(403)
  })
})

describe('a finished login', () => {
  it('answers with a code, state and iss, and clears its cookie', async () => {
    const { browser, callback } = await signInAtEntra(proxy.url)
    const page = await browser.fetchOnce(callback)
    expect(page.status).toBe(302)
    expect(page.headers.get('cache-control')).toBe('no-store')
    expect(page.headers.get('referrer-policy')).toBe('no-referrer')
    expect(clientAnswer(page)).toEqual({
      code: expect.stringMatching(/^[\w-]{43}$/),
      state: 'client-state',
      iss: proxy.url,
    })
    expect(page.headers.getSetCookie()).toEqual([
      expect.stringMatching(/^mcp-entra-login-[\w-]{16}=; Max-Age=0; Path=\/; HttpOnly/),
    ])
  })

  it('cannot be replayed, by its browser or with its stolen cookie', async () => {
    const { browser, callback } = await signInAtEntra(proxy.url)
    const cookie = await browser.jar.getCookieString(proxy.url)
    expect(clientAnswer(await browser.fetchOnce(callback))).toHaveProperty('code')
    const again = await browser.fetchOnce(callback)
    expect(again.status).toBe(403)
    const stolen = await newBrowser().fetchOnce(callback, { headers: { cookie } })
    expect(stolen.status).toBe(403)
    expect(stolen.headers.get('location')).toBeNull()
    expect(stolen.html).not.toMatch(/AADSTS|54005/)
  })

  it('opened twice at once makes one code, and the second request does no harm', async () => {
    const { browser, callback, verifier, clientId } = await signInAtEntra(proxy.url)
    const cookie = await browser.jar.getCookieString(proxy.url)
    const answers = await Promise.all(
      Array.from({ length: 2 }, () => fetch(callback, { redirect: 'manual', headers: { cookie } })),
    )
    const codes = answers
      .map(({ headers }) => headers.get('location'))
      .filter((location) => location !== null)
      .map((location) => new URL(location).searchParams.get('code') ?? '')
    expect(codes).toHaveLength(1)
    expect(answers.map(({ status }) => status).sort()).toEqual([302, 403])
    const response = await redeem(proxy.url, { code: codes[0] ?? '', verifier, clientId })
    const { access_token } = await jsonOf<Tokens>(response)
    expect((await getNotes(proxy.url, access_token)).status).toBe(200)
  })

  it('sends our own verifier and no resource to Entra, and always a scope', async () => {
    entra.clearRequests()
    const { browser, callback, verifier } = await signInAtEntra(proxy.url, {
      params: { resource: `${proxy.url}/mcp` },
    })
    await browser.fetchOnce(callback)
    const [request] = entra.requestsTo('token')
    expect(request?.params).toMatchObject({
      grant_type: 'authorization_code',
      redirect_uri: `${proxy.url}/auth/callback`,
      code_verifier: expect.stringMatching(/^[\w-]{43}$/),
    })
    expect(request?.params.scope?.split(' ').sort()).toEqual([
      `api://${entra.app.clientId}/notes.read`,
      'offline_access',
      'openid',
      'profile',
    ])
    expect(request?.params.code_verifier).not.toBe(verifier)
    for (const { params } of entra.requests) expect(params).not.toHaveProperty('resource')
    expect(JSON.stringify(entra.requests)).not.toContain(redirectUri)
  })
})

describe("an error of Entra's", () => {
  it.each([
    ['access_denied', 'access_denied'],
    ['login_required', 'login_required'],
    ['interaction_required', 'interaction_required'],
    ['consent_required', 'consent_required'],
    ['account_selection_required', 'account_selection_required'],
    ['temporarily_unavailable', 'temporarily_unavailable'],
    ['server_error', 'server_error'],
    ['invalid_request', 'server_error'],
    ['invalid_resource', 'server_error'],
    ['constructor', 'server_error'],
    ['something new', 'server_error'],
  ])('%s reaches the client as %s', async (error, expected) => {
    const { browser, state } = await approve(proxy.url)
    const query = new URLSearchParams({
      error,
      error_description: 'AADSTS65004: User declined.\r\nTrace ID: 1\r\nTimestamp: 2026',
      error_uri: 'https://login.microsoftonline.com/error?code=65004',
      state,
    })
    proxy.logs.length = 0
    const page = await browser.fetchOnce(`${proxy.url}/auth/callback?${query}`)
    expectError(clientAnswer(page), expected)
    expect(proxy.logs).toContainEqual(expect.objectContaining({ codes: [65004] }))
    expect(JSON.stringify(proxy.logs)).not.toContain('declined')
  })

  it.each([
    [65004, 'access_denied'],
    [50105, 'access_denied'],
    [90033, 'temporarily_unavailable'],
  ])('AADSTS%i, as the emulator sends it, reaches the client as %s', async (error, expected) => {
    const remove = entra.fault({ at: 'authorize', error })
    const { browser, callback } = await signInAtEntra(proxy.url)
    remove()
    expectError(clientAnswer(await browser.fetchOnce(callback)), expected)
  })

  it('says login_required when nobody is signed in and prompt is none', async () => {
    const { browser, callback } = await signInAtEntra(proxy.url, { params: { prompt: 'none' } })
    const { error = '' } = clientAnswer(await browser.fetchOnce(callback))
    expect(['login_required', 'interaction_required']).toContain(error)
  })

  it.each([
    [7000215, 'server_error', /client secret is wrong/],
    [50011, 'server_error', /redirect URI is not registered/],
    [90055, 'temporarily_unavailable', undefined],
    [50105, 'access_denied', /not assigned/],
    [50076, 'access_denied', undefined],
    [70008, 'server_error', undefined],
  ])(
    'AADSTS%i at the token endpoint is %s, with the hint in the log',
    async (code, error, hint) => {
      const { browser, callback } = await signInAtEntra(proxy.url)
      const remove = entra.fault({ at: 'token', grant: 'authorization_code', error: code })
      proxy.logs.length = 0
      const page = await browser.fetchOnce(callback)
      remove()
      expectError(clientAnswer(page), error)
      const line = proxy.logs.find(({ codes }) => codes !== undefined)
      expect(line).toMatchObject({
        endpoint: 'callback',
        codes: [code],
        correlationId: expect.any(String),
        traceId: expect.any(String),
      })
      if (hint) expect(line?.hint).toMatch(hint)
      expect(JSON.stringify(proxy.logs)).not.toContain('Ordered')
    },
  )

  it('without a code and without an error is invalid_request', async () => {
    const { browser, state } = await approve(proxy.url)
    const page = await browser.fetchOnce(`${proxy.url}/auth/callback?state=${state}`)
    expectError(clientAnswer(page), 'invalid_request')
  })
})

describe("Entra's tokens", () => {
  /** Comes back from Entra, whose token endpoint answers what the test says. */
  async function finishWith(
    answer: (login: AtEntra) => Promise<Record<string, unknown>>,
  ): Promise<Record<string, string>> {
    const login = await signInAtEntra(proxy.url)
    const body = JSON.stringify({
      token_type: 'Bearer',
      expires_in: 3600,
      ...(await answer(login)),
    })
    const remove = entra.fault({ at: 'token', grant: 'authorization_code', body })
    try {
      proxy.logs.length = 0
      return clientAnswer(await login.browser.fetchOnce(login.callback))
    } finally {
      remove()
    }
  }
  const nonceOf = ({ upstream }: AtEntra) => upstream.searchParams.get('nonce') ?? ''

  it('are accepted when they belong to this login', async () => {
    const answer = await finishWith(async (login) => ({
      access_token: await entra.mintAccessToken({ user: ada }),
      id_token: await entra.mintIdToken({ user: ada, nonce: nonceOf(login) }),
    }))
    expect(answer).toHaveProperty('code')
  })

  it.each<[string, (login: AtEntra) => Promise<Record<string, unknown>>, string]>([
    [
      'another nonce',
      async () => ({
        access_token: await entra.mintAccessToken({ user: ada }),
        id_token: await entra.mintIdToken({ user: ada, nonce: 'another' }),
      }),
      'access_denied',
    ],
    [
      'no nonce',
      async () => ({
        access_token: await entra.mintAccessToken({ user: ada }),
        id_token: await entra.mintIdToken({ user: ada }),
      }),
      'access_denied',
    ],
    [
      'the id token of another user',
      async (login) => ({
        access_token: await entra.mintAccessToken({ user: ada }),
        id_token: await entra.mintIdToken({ user: bob, nonce: nonceOf(login) }),
      }),
      'server_error',
    ],
    [
      'no id token',
      async () => ({ access_token: await entra.mintAccessToken({ user: ada }) }),
      'server_error',
    ],
    [
      'an access token that is no JWT',
      async (login) => ({
        access_token: 'opaque',
        id_token: await entra.mintIdToken({ user: ada, nonce: nonceOf(login) }),
      }),
      'server_error',
    ],
    [
      'the access token of an app',
      async (login) => ({
        access_token: await entra.mintAccessToken({ user: null }),
        id_token: await entra.mintIdToken({ user: ada, nonce: nonceOf(login) }),
      }),
      'server_error',
    ],
    [
      'an access token for Graph',
      async (login) => ({
        access_token: await entra.mintAccessToken({
          user: ada,
          app: '00000003-0000-0000-c000-000000000000',
        }),
        id_token: await entra.mintIdToken({ user: ada, nonce: nonceOf(login) }),
      }),
      'access_denied',
    ],
    [
      'an access token signed by somebody else',
      async (login) => ({
        access_token: await entra.mintAccessToken({ user: ada, key: 'foreign' }),
        id_token: await entra.mintIdToken({ user: ada, nonce: nonceOf(login) }),
      }),
      'access_denied',
    ],
    [
      'no scope of ours',
      async (login) => ({
        access_token: await entra.mintAccessToken({ user: ada, scopes: ['something.else'] }),
        id_token: await entra.mintIdToken({ user: ada, nonce: nonceOf(login) }),
      }),
      'access_denied',
    ],
    ['no token at all', async () => ({}), 'temporarily_unavailable'],
  ])('with %s are refused', async (_what, tokens, error) => {
    const answer = await finishWith(tokens)
    expectError(answer, error)
    expect(proxy.logs.length).toBeGreaterThan(0)
  })

  it('of version 1 are refused at once, and the log says which setting to change', async () => {
    const old = await startTestEntra({
      tenants: entra.tenants,
      apps: entra.apps.map((app) => ({ ...app, requestedAccessTokenVersion: 1 as const })),
    })
    const other = await startProxy(old)
    const { browser, callback } = await signInAtEntra(other.url)
    expectError(clientAnswer(await browser.fetchOnce(callback)), 'access_denied', other)
    expect(JSON.stringify(other.logs)).toContain('requestedAccessTokenVersion')
    await other.close()
    await old.close()
  })
})

describe('who may not come in', () => {
  async function tryAs(user: string, options: ProxyOptions) {
    const other = await startProxy(entra, options)
    const { browser, callback } = await signInAtEntra(other.url, { params: { login_hint: user } })
    const answer = clientAnswer(await browser.fetchOnce(callback))
    await other.close()
    return { answer, other }
  }

  it('hears access_denied when not assigned to the app', async () => {
    const strict = await startTestEntra({
      apps: entra.apps,
      tenants: entra.tenants.map((tenant) => ({
        ...tenant,
        users: tenant.users.map((user) => ({ ...user, assigned: user.oid !== bob })),
      })),
    })
    const other = await startProxy(strict)
    const { browser, callback } = await signInAtEntra(other.url, { params: { login_hint: bob } })
    expectError(clientAnswer(await browser.fetchOnce(callback)), 'access_denied', other)
    await other.close()
    await strict.close()
  })

  it('hears access_denied when allow says no, and allow has seen verified claims', async () => {
    const seen: unknown[] = []
    const allow: ProxyOptions['allow'] = async (user, claims) => {
      seen.push([user.oid, claims.oid, claims.aud])
      return user.oid !== bob
    }
    const denied = await tryAs(bob, { allow })
    expectError(denied.answer, 'access_denied', denied.other)
    expect((await tryAs(ada, { allow })).answer).toHaveProperty('code')
    expect(seen).toEqual([
      [bob, bob, expect.any(String)],
      [ada, ada, expect.any(String)],
    ])
  })

  it('hears server_error when allow fails, and the operator hears why', async () => {
    const { answer, other } = await tryAs(ada, {
      allow: () => {
        throw new Error('directory down')
      },
    })
    expectError(answer, 'server_error', other)
    expect(other.logs).toContainEqual(
      expect.objectContaining({ message: 'mcp-entra: failure', error: 'Error: directory down' }),
    )
  })

  it('hears access_denied without a required role', async () => {
    const requiredRoles = ['Notes.Other', 'Notes.Admin']
    const denied = await tryAs(bob, { requiredRoles })
    expectError(denied.answer, 'access_denied', denied.other)
    expect((await tryAs(ada, { requiredRoles })).answer).toHaveProperty('code')
  })
})
