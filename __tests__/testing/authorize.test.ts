import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type EntraEmulator, startEntra } from 'mcp-entra/testing'
import {
  aadsts,
  apiScope,
  authorize,
  authorizeUrl,
  callback,
  getCode,
  graph,
  pkce,
  redirected,
} from '../support/emulator-sign-in.js'

const spa = 'https://spa.example/callback'
const tenantId = '11111111-1111-4111-8111-111111111111'
const single = '22222222-2222-4222-8222-222222222222'
const multi = '33333333-3333-4333-8333-333333333333'
const bare = '44444444-4444-4444-8444-444444444444'
const versionOne = '66666666-6666-4666-8666-666666666666'

let entra: EntraEmulator

beforeAll(async () => {
  const user = (n: number, username: string) => ({
    oid: `0000000${n}-0000-4000-8000-000000000000`,
    username,
    name: username.split('@')[0] ?? '',
  })
  entra = await startEntra({
    tenants: [
      {
        id: tenantId,
        domain: 'contoso.example',
        users: [
          user(1, 'ada@contoso.example'),
          { ...user(2, 'eve@contoso.example'), assigned: false },
          { ...user(3, 'bob@contoso.example'), mfa: true },
        ],
      },
      {
        id: '55555555-5555-4555-8555-555555555555',
        domain: 'fabrikam.example',
        users: [user(4, 'frida@fabrikam.example')],
      },
    ],
    apps: [
      {
        clientId: single,
        name: 'Notes <MCP>',
        tenantId,
        secrets: ['secret'],
        scopes: ['notes.read', 'notes.write'],
        identifierUris: [`api://${single}`, 'https://mcp.contoso.example'],
        redirectUris: [callback, 'https://notes.contoso.example/Callback'],
        spaRedirectUris: [spa],
      },
      { clientId: multi, tenantId, multiTenant: true, redirectUris: [callback], scopes: ['x'] },
      { clientId: bare, tenantId },
      {
        clientId: versionOne,
        tenantId,
        scopes: ['x'],
        identifierUris: [`api://${versionOne}`, 'https://old.contoso.example/mcp'],
        requestedAccessTokenVersion: 1,
      },
    ],
  })
})
afterAll(() => entra.close())

/** The status and AADSTS number of a page, which must not be a redirect. */
async function pageError(response: Response): Promise<unknown> {
  expect(response.headers.get('location')).toBeNull()
  expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
  return { status: response.status, code: aadsts(await response.text()) }
}

function redirectError(response: Response): unknown {
  const { error, error_description, state } = redirected(response)
  expect(response.status).toBe(302)
  expect(state).toBe('the state')
  return { error, code: aadsts(error_description) }
}

describe('a request that cannot be trusted with an answer gets a page', () => {
  it.each([
    ['an unknown tenant', 90002, {}, 'nobody.example'],
    ['no client_id', 900144, { client_id: undefined }, undefined],
    ['an unknown client', 700016, { client_id: '99999999-9999-4999-8999-999999999999' }, undefined],
    ['a client of another tenant', 700016, {}, 'fabrikam.example'],
    ['a client at /consumers', 700016, {}, 'consumers'],
    ['a single-tenant client at /common', 50194, {}, 'common'],
    ['a single-tenant client at /organizations', 50194, {}, 'organizations'],
    ['no redirect_uri', 900144, { redirect_uri: undefined }, undefined],
    ['another host', 50011, { redirect_uri: 'https://evil.example/auth/callback' }, undefined],
    ['another path on loopback', 50011, { redirect_uri: 'http://localhost:3000/other' }, undefined],
    [
      'a path in another case',
      50011,
      { redirect_uri: 'https://notes.contoso.example/callback' },
      undefined,
    ],
    [
      'another port off loopback',
      50011,
      { redirect_uri: 'https://notes.contoso.example:1/Callback' },
      undefined,
    ],
    ['an app without redirect URIs', 500113, { client_id: bare }, undefined],
    ['an unknown response_mode', 70007, { response_mode: 'pigeon' }, undefined],
  ])('for %s (AADSTS%i)', async (_, code, params, tenant) => {
    expect(await pageError(await authorize(entra, params, tenant))).toEqual({ status: 400, code })
  })

  it('and never runs what the request put into it', async () => {
    const response = await authorize(entra, {
      redirect_uri: 'https://x/"><script>alert(1)</script>',
    })
    expect(await response.text()).not.toContain('<script>')
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
  })
})

describe('a bad request of a good client is answered by redirect', () => {
  it.each([
    ['no response_type', 'invalid_request', 900144, { response_type: undefined }],
    ['an implicit response_type', 'unsupported_response_type', 700054, { response_type: 'token' }],
    ['an unknown response_type', 'unsupported_response_type', 70005, { response_type: 'crystal' }],
    ['no scope', 'invalid_request', 900144, { scope: undefined }],
    ['a bare scope, which means Graph', 'invalid_client', 650053, { scope: 'notes.read openid' }],
    [
      'an unknown scope of the resource',
      'invalid_client',
      650053,
      { scope: `api://${single}/nope` },
    ],
    ['an unknown scope of Graph', 'invalid_client', 650053, { scope: `${graph}/Nope.Read` }],
    ['a prefixed OIDC scope', 'invalid_client', 65005, { scope: `api://${single}/openid` }],
    ['an unknown resource', 'invalid_resource', 500011, { scope: 'api://nothing/read' }],
    [
      '.default beside a named scope',
      'invalid_scope',
      70011,
      {
        scope: `api://${single}/.default api://${single}/notes.read`,
      },
    ],
    [
      'a resource that is no identifier URI',
      'invalid_target',
      9010010,
      {
        resource: 'https://mcp.contoso.example/mcp',
      },
    ],
    [
      'a resource that differs by a slash',
      'invalid_target',
      9010010,
      {
        resource: 'https://mcp.contoso.example/',
      },
    ],
    [
      'the URL of an app that gets tokens of version 1',
      'invalid_target',
      9010010,
      {
        scope: `api://${versionOne}/x`,
        resource: 'https://old.contoso.example/mcp',
      },
    ],
    [
      'a resource beside a scope of another app',
      'invalid_target',
      9010010,
      {
        scope: `api://${versionOne}/x`,
        resource: 'https://mcp.contoso.example',
      },
    ],
    [
      'a resource beside OIDC scopes only',
      'invalid_target',
      9010010,
      {
        scope: 'openid',
        resource: `api://${single}`,
      },
    ],
    [
      'an unknown PKCE method',
      'invalid_request',
      50149,
      {
        code_challenge: 'a'.repeat(43),
        code_challenge_method: 'S512',
      },
    ],
    ['a PKCE challenge of the wrong size', 'invalid_request', 501491, { code_challenge: 'short' }],
    ['claims that are not JSON', 'invalid_request', 90013, { claims: 'strong' }],
    ['an unknown prompt', 'invalid_request', 90023, { prompt: 'please' }],
    ['a silent request without a session', 'login_required', 50058, { prompt: 'none' }],
    ['a user who is not assigned', 'access_denied', 50105, { login_hint: 'eve@contoso.example' }],
  ])('%s: %s (AADSTS%i)', async (_, error, code, params) => {
    expect(redirectError(await authorize(entra, params))).toEqual({ error, code })
  })
})

describe('a good request', () => {
  it('is answered with a code, the state and nothing of RFC 9207', async () => {
    const response = await authorize(entra)
    expect(response.status).toBe(302)
    expect(response.headers.get('location')).toMatch(`${callback}?code=`)
    expect(redirected(response)).toEqual({
      code: expect.any(String),
      session_state: expect.any(String),
      state: 'the state',
    })
  })

  it('may come from any port on loopback (RFC 8252 section 7.3)', async () => {
    const redirect_uri = 'http://localhost:54321/auth/callback'
    const response = await authorize(entra, { redirect_uri })
    expect(response.headers.get('location')).toMatch(`${redirect_uri}?code=`)
  })

  it("may name a resource that is an identifier URI of the scopes' owner", async () => {
    await expect(getCode(entra, { resource: 'https://mcp.contoso.example' })).resolves.toBeTruthy()
    await expect(getCode(entra, { resource: `api://${single}` })).resolves.toBeTruthy()
    const old = { scope: `api://${versionOne}/x`, resource: `api://${versionOne}` }
    await expect(getCode(entra, old)).resolves.toBeTruthy()
  })

  it('may span resources, and name scopes by client id or bare for Graph', async () => {
    const scope = `${single}/notes.read User.Read ${graph}/Mail.Read openid`
    await expect(getCode(entra, { scope })).resolves.toBeTruthy()
  })

  it('may use the verified domain, or /organizations for a multi-tenant app', async () => {
    await expect(getCode(entra, {}, 'contoso.example')).resolves.toBeTruthy()
    const params = { client_id: multi, scope: 'openid', login_hint: 'frida@fabrikam.example' }
    await expect(getCode(entra, params, 'organizations')).resolves.toBeTruthy()
  })

  it('carries client_info when asked, as MSAL does', async () => {
    const { client_info = '' } = redirected(await authorize(entra, { client_info: '1' }))
    expect(JSON.parse(Buffer.from(client_info, 'base64url').toString())).toEqual({
      uid: entra.user('ada@contoso.example').oid,
      utid: tenantId,
    })
  })

  it('is answered by a form that posts itself with response_mode=form_post', async () => {
    const response = await authorize(entra, { response_mode: 'form_post', state: '"<b>' })
    const page = await response.text()
    expect(response.status).toBe(200)
    expect(page).toContain(`<form method="post" action="${callback}">`)
    expect(page).toContain('<input type="hidden" name="state" value="&#34;&#60;b&#62;">')
    expect(page).toMatch(/name="code" value="1\.[\w-]+"/)
  })

  it('is answered in the fragment with response_mode=fragment', async () => {
    const response = await authorize(entra, { response_mode: 'fragment' })
    expect(response.headers.get('location')).toMatch(`${callback}#code=`)
  })

  it('may be a form itself (OpenID Connect Core section 3.1.2.1)', async () => {
    const [url = '', body] = authorizeUrl(entra, { login_hint: 'ada@contoso.example' }).split('?')
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const response = await fetch(url, {
      method: 'POST',
      headers,
      body: body ?? '',
      redirect: 'manual',
    })
    expect(redirected(response)).toHaveProperty('code')
  })
})

describe('the sign-in page', () => {
  async function openPage(params = {}): Promise<{ html: string; action: string }> {
    const response = await authorize(entra, { login_hint: undefined, ...params })
    const html = await response.text()
    expect(response.status).toBe(200)
    const action = /<form method="post" action="([^"]+)">/.exec(html)?.[1] ?? ''
    return { html, action: entra.url + action.replaceAll('&#38;', '&') }
  }

  function press(action: string, name: string, value: string): Promise<Response> {
    const body = new URLSearchParams({ [name]: value })
    return fetch(action, { method: 'POST', body, redirect: 'manual' })
  }

  it('has a button for each user of the tenant, the scopes, and no script', async () => {
    const { html } = await openPage()
    for (const { oid, username } of entra.users) {
      expect(html).toContain(`<button type="submit" name="sign_in_as" value="${oid}">`)
      expect(html).toContain(username)
    }
    expect(html).not.toContain('frida@fabrikam.example')
    expect(html).toContain(`api://${single}/notes.read`)
    expect(html).toContain('Sign in to Notes &#60;MCP&#62;')
    expect(html).not.toContain('<script')
    expect(html).toContain('<html lang="en">')
  })

  it('signs in by button', async () => {
    const { action } = await openPage()
    const ada = entra.user('ada@contoso.example')
    expect(redirected(await press(action, 'sign_in_as', ada.oid))).toMatchObject({
      state: 'the state',
    })
  })

  it('signs in by GET too', async () => {
    const { action } = await openPage()
    const url = `${action}&sign_in_as=ada@contoso.example`
    expect(redirected(await fetch(url, { redirect: 'manual' }))).toHaveProperty('code')
  })

  it('tells the application when the user cancels (AADSTS65004)', async () => {
    const { action } = await openPage()
    const answer = await press(action, 'cancel', '1')
    expect(redirectError(answer)).toEqual({ error: 'access_denied', code: 65004 })
    expect(redirected(answer)).toMatchObject({ error_subcode: 'cancel' })
  })

  it('says so when the hinted account is not there, or is of another tenant', async () => {
    expect((await openPage({ login_hint: 'zoe@contoso.example' })).html).toContain('role="alert"')
    expect((await openPage({ login_hint: 'frida@fabrikam.example' })).html).toContain(
      'role="alert"',
    )
  })

  it('is skipped by the session of an earlier sign-in, unless prompt asks for it', async () => {
    const first = await authorize(entra)
    const cookie = (first.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
    const again = (params = {}) =>
      fetch(authorizeUrl(entra, params), { headers: { cookie }, redirect: 'manual' })
    expect(redirected(await again())).toHaveProperty('code')
    expect(redirected(await again({ prompt: 'none' }))).toHaveProperty('code')
    expect((await again({ prompt: 'login' })).status).toBe(200)
    expect((await again({ prompt: 'select_account' })).status).toBe(200)
    expect((await again({ login_hint: 'nobody@contoso.example' })).status).toBe(200)
  })

  it('cannot be replaced by a silent request for scopes nobody consented to (AADSTS65001)', async () => {
    const first = await authorize(entra)
    const cookie = (first.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
    const scope = `${graph}/Calendars.Read`
    const url = authorizeUrl(entra, { prompt: 'none', scope })
    const answer = await fetch(url, { headers: { cookie }, redirect: 'manual' })
    expect(redirectError(answer)).toEqual({ error: 'interaction_required', code: 65001 })
  })
})

it('records what it was asked, claims and hints included', async () => {
  entra.clearRequests()
  const claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
  const { challenge } = pkce()
  await authorize(entra, { claims, domain_hint: 'contoso.example', code_challenge: challenge })
  expect(entra.requestsTo('authorize')).toEqual([
    expect.objectContaining({
      method: 'GET',
      path: `/${tenantId}/oauth2/v2.0/authorize`,
      tenant: tenantId,
      clientId: single,
      user: 'ada@contoso.example',
      status: 302,
      answered: true,
      params: expect.objectContaining({
        claims,
        domain_hint: 'contoso.example',
        code_challenge: challenge,
        scope: apiScope(entra, 'notes.read'),
      }),
    }),
  ])
})
