import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type EntraEmulator, startEntra } from 'mcp-entra/testing'
import {
  type Answer,
  apiScope,
  callback,
  claimsOf,
  closeOthers,
  getCode,
  graph,
  type Params,
  pkce,
  redeem,
  refresh,
  refusal,
  signIn,
  startAnother,
  token,
} from '../support/emulator-sign-in.js'

const tenantId = '11111111-1111-4111-8111-111111111111'
const api = '22222222-2222-4222-8222-222222222222'
const multi = '33333333-3333-4333-8333-333333333333'
const publicClient = '44444444-4444-4444-8444-444444444444'
const oldApi = '55555555-5555-4555-8555-555555555555'
const spa = 'https://spa.example/callback'

let entra: EntraEmulator

beforeAll(async () => {
  entra = await startEntra({
    accessTokenLifetime: 3599,
    tenants: [
      {
        id: tenantId,
        domain: 'contoso.example',
        users: [
          {
            oid: '00000001-0000-4000-8000-000000000000',
            username: 'ada@contoso.example',
            name: 'Ada',
            roles: ['Notes.Admin'],
          },
          {
            oid: '00000002-0000-4000-8000-000000000000',
            username: 'bob@contoso.example',
            name: 'Bob',
          },
        ],
      },
    ],
    apps: [
      {
        clientId: api,
        name: 'Notes MCP',
        tenantId,
        secrets: ['the secret', 'sécret&=+ two'],
        scopes: ['notes.read', 'notes.write'],
        redirectUris: [callback],
        spaRedirectUris: [spa],
        consented: [`${graph}/User.Read`],
      },
      {
        clientId: multi,
        tenantId,
        multiTenant: true,
        secrets: ['multi'],
        redirectUris: [callback],
        scopes: ['x'],
      },
      { clientId: publicClient, tenantId, redirectUris: [callback] },
      {
        clientId: oldApi,
        tenantId,
        scopes: ['old.read'],
        identifierUris: ['https://old.contoso.example/'],
        requestedAccessTokenVersion: 1,
      },
    ],
  })
})
afterAll(() => entra.close())
afterEach(closeOthers)
beforeEach(() => entra.clearFaults())

describe('any token request is refused', () => {
  const form = { grant_type: 'authorization_code', code: 'x' }

  it.each<[string, number, string, number, Params, string | undefined]>([
    ['without grant_type', 400, 'invalid_request', 900144, { grant_type: undefined }, undefined],
    [
      'with another grant',
      400,
      'unsupported_grant_type',
      70003,
      { grant_type: 'magic' },
      undefined,
    ],
    ['without client_id', 400, 'invalid_request', 900144, { client_id: undefined }, undefined],
    [
      'from an unknown client',
      400,
      'unauthorized_client',
      700016,
      { client_id: tenantId },
      undefined,
    ],
    ['at an unknown tenant', 400, 'invalid_request', 90002, {}, 'nobody.example'],
    ['of a single-tenant app at /common', 400, 'invalid_request', 50194, {}, 'common'],
    ['with a wrong secret', 401, 'invalid_client', 7000215, { client_secret: 'wrong' }, undefined],
    [
      'with the secret of a public client',
      401,
      'invalid_client',
      700025,
      {
        client_id: publicClient,
      },
      undefined,
    ],
  ])('%s: %i %s (AADSTS%i)', async (_, status, error, code, params, tenant) => {
    const answer = await token(entra, { ...form, ...params }, tenant ? { tenant } : {})
    expect(refusal(answer)).toEqual({ status, error, code })
  })

  it('as JSON: Entra does not see the parameters then (AADSTS900144)', async () => {
    const response = await fetch(`${entra.url}/${tenantId}/oauth2/v2.0/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...form, client_id: api }),
    })
    expect(await response.json()).toMatchObject({ error_codes: [900144] })
  })

  it('by GET (AADSTS900561)', async () => {
    const response = await fetch(`${entra.url}/${tenantId}/oauth2/v2.0/token`)
    expect(await response.json()).toMatchObject({ error_codes: [900561] })
  })

  it("in Entra's full shape, with the caller's correlation id", async () => {
    const id = '7d2f1c3e-0000-4000-8000-00000000abcd'
    const { body, headers } = await token(entra, {}, { headers: { 'client-request-id': id } })
    expect(body).toEqual({
      error: 'invalid_request',
      error_description: expect.stringMatching(
        /^AADSTS900144: .*\r\nTrace ID: [\w-]{36}\r\nCorrelation ID: 7d2f1c3e-0000-4000-8000-00000000abcd\r\nTimestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/,
      ),
      error_codes: [900144],
      timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/),
      trace_id: expect.any(String),
      correlation_id: id,
      error_uri: 'https://login.microsoftonline.com/error?code=900144',
    })
    expect(headers.get('cache-control')).toContain('no-store')
    expect(headers.get('client-request-id')).toBe(id)
  })
})

describe('the authorization code grant', () => {
  it('answers with tokens of the API', async () => {
    const code = await getCode(entra, { nonce: 'the nonce' })
    const { status, body } = await redeem(entra, code, { client_info: '1' })
    expect(status).toBe(200)
    expect(body).toEqual({
      token_type: 'Bearer',
      scope: `api://${api}/notes.read`,
      expires_in: 3599,
      ext_expires_in: 3599,
      access_token: expect.any(String),
      refresh_token: expect.any(String),
      id_token: expect.any(String),
      client_info: expect.any(String),
    })
    expect(claimsOf(body.id_token)).toMatchObject({
      aud: api,
      iss: `${entra.url}/${tenantId}/v2.0`,
      nonce: 'the nonce',
      name: 'Ada',
      preferred_username: 'ada@contoso.example',
      oid: entra.user('ada@contoso.example').oid,
      tid: tenantId,
      ver: '2.0',
    })
  })

  it('leaves out what was not asked for: no id_token, no refresh_token, no profile', async () => {
    const scope = `api://${api}/notes.read`
    const { body } = await redeem(entra, await getCode(entra, { scope }), { scope })
    expect(Object.keys(body).sort()).toEqual(
      ['access_token', 'expires_in', 'ext_expires_in', 'scope', 'token_type'].sort(),
    )
    const openid = `${scope} openid`
    const second = await redeem(entra, await getCode(entra, { scope: openid }), { scope: openid })
    expect(claimsOf(second.body.id_token)).not.toHaveProperty('preferred_username')
  })

  it('gives scopes consented to before as well, all in prefixed form', async () => {
    await getCode(entra, {
      scope: apiScope(entra, 'notes.write'),
      login_hint: 'bob@contoso.example',
    })
    const { scope, access_token } = await signIn(entra, { login_hint: 'bob@contoso.example' })
    expect(scope).toBe(`api://${api}/notes.read api://${api}/notes.write`)
    expect(claimsOf(access_token).scp).toBe('notes.read notes.write')
  })

  it('keeps the form of the prefix the client used', async () => {
    const code = await getCode(entra)
    const { body } = await redeem(entra, code, { scope: `${api}/notes.read` })
    expect(body.scope).toBe(`${api}/notes.read`)
  })

  it('echoes .default beside what it stands for', async () => {
    const code = await getCode(entra, { scope: `api://${api}/.default openid` })
    const { body } = await redeem(entra, code, { scope: `api://${api}/.default` })
    expect(body.scope).toBe(
      `api://${api}/notes.read api://${api}/notes.write api://${api}/.default`,
    )
  })

  it('answers OIDC scopes alone with a token for Graph', async () => {
    const { body } = await redeem(entra, await getCode(entra), { scope: 'openid profile' })
    expect(claimsOf(body.access_token).aud).toBe(graph)
    expect(body.scope).toBe(`${graph}/User.Read openid profile`)
  })

  it('accepts every secret, in the body and by HTTP Basic (RFC 6749 section 2.3.1)', async () => {
    const secret = 'sécret&=+ two'
    expect((await redeem(entra, await getCode(entra), { client_secret: secret })).status).toBe(200)
    const form = new URLSearchParams({ x: secret }).toString().slice(2)
    const authorization = `Basic ${Buffer.from(`${api}:${form}`).toString('base64')}`
    const params = { client_id: undefined, client_secret: undefined }
    const code = await getCode(entra)
    expect((await redeem(entra, code, params, { headers: { authorization } })).status).toBe(200)
  })

  it.each<[string, number, string, number, Params]>([
    ['no code', 400, 'invalid_request', 900144, { code: undefined }],
    ['garbage for a code', 400, 'invalid_grant', 9002313, { code: 'garbage' }],
    ['no proof of the client', 401, 'invalid_client', 7000218, { client_secret: undefined }],
    ['no scope', 400, 'invalid_request', 28003, { scope: undefined }],
    [
      'scopes of two resources',
      400,
      'invalid_request',
      28000,
      {
        scope: `api://${api}/notes.read ${graph}/User.Read`,
      },
    ],
    ['a bare scope', 400, 'invalid_client', 650053, { scope: 'notes.read' }],
    [
      '.default mixed with names',
      400,
      'invalid_scope',
      70011,
      {
        scope: `api://${api}/notes.read api://${api}/.default`,
      },
    ],
    ['a scope without consent', 400, 'invalid_grant', 65001, { scope: `${graph}/Files.Read` }],
    [
      'a resource that is no identifier URI',
      400,
      'invalid_target',
      9010010,
      {
        resource: 'https://mcp.contoso.example/mcp',
      },
    ],
    ['no redirect_uri', 400, 'invalid_request', 700009, { redirect_uri: undefined }],
    [
      'another redirect_uri',
      400,
      'invalid_grant',
      500112,
      {
        redirect_uri: 'http://localhost:4000/auth/callback',
      },
    ],
    ['another client', 400, 'invalid_grant', 70000, { client_id: multi, client_secret: 'multi' }],
  ])('refuses %s: %i %s (AADSTS%i)', async (_, status, error, code, params) => {
    expect(refusal(await redeem(entra, await getCode(entra), params))).toEqual({
      status,
      error,
      code,
    })
  })

  it('refuses a second use (AADSTS54005)', async () => {
    const code = await getCode(entra)
    expect((await redeem(entra, code)).status).toBe(200)
    expect(refusal(await redeem(entra, code))).toEqual({
      status: 400,
      error: 'invalid_grant',
      code: 54005,
    })
  })

  it('lets one of twenty simultaneous redemptions through', async () => {
    const code = await getCode(entra)
    const answers = await Promise.all(Array.from({ length: 20 }, () => redeem(entra, code)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  })

  it('refuses a code after ten minutes (AADSTS70008)', async () => {
    const fresh = await getCode(entra)
    const stale = await getCode(entra)
    entra.advance(590)
    expect((await redeem(entra, fresh)).status).toBe(200)
    entra.advance(20)
    expect(refusal(await redeem(entra, stale))).toMatchObject({ code: 70008 })
  })

  it('refuses a code at another tenant path than it was issued at (AADSTS700005)', async () => {
    const client = { client_id: multi, client_secret: 'multi', scope: `api://${multi}/x` }
    const code = await getCode(entra, { client_id: multi, scope: client.scope }, 'organizations')
    expect(refusal(await redeem(entra, code, client))).toMatchObject({ code: 700005 })
    const { status } = await redeem(entra, code, client, { tenant: 'organizations' })
    expect(status).toBe(200)
  })

  it('takes domain and id of a tenant for the same path', async () => {
    const code = await getCode(entra, {}, 'contoso.example')
    expect((await redeem(entra, code)).status).toBe(200)
  })

  describe('with PKCE', () => {
    const { verifier, challenge } = pkce()
    const s256 = { code_challenge: challenge, code_challenge_method: 'S256' }

    it.each([
      ['S256', s256, verifier],
      ['plain', { code_challenge: challenge, code_challenge_method: 'plain' }, challenge],
      ['no method, which is plain', { code_challenge: challenge }, challenge],
    ])('accepts the verifier (%s)', async (_, params, code_verifier) => {
      const code = await getCode(entra, params)
      expect((await redeem(entra, code, { code_verifier })).status).toBe(200)
    })

    it('refuses a wrong verifier (AADSTS501481)', async () => {
      const answer = await redeem(entra, await getCode(entra, s256), { code_verifier: 'wrong' })
      expect(refusal(answer)).toEqual({ status: 400, error: 'invalid_grant', code: 501481 })
    })

    it('refuses a missing verifier (AADSTS50148)', async () => {
      const answer = await redeem(entra, await getCode(entra, s256))
      expect(refusal(answer)).toEqual({ status: 400, error: 'invalid_grant', code: 50148 })
    })
  })

  describe('tells the platforms apart', () => {
    const { verifier, challenge } = pkce()
    const origin = { headers: { origin: 'https://spa.example' } }
    const spaSignIn = {
      redirect_uri: spa,
      code_challenge: challenge,
      code_challenge_method: 'S256',
    }
    const spaForm = { redirect_uri: spa, code_verifier: verifier, client_secret: undefined }

    it('refuses a browser on Web (AADSTS9002326)', async () => {
      const answer = await redeem(entra, await getCode(entra), {}, origin)
      expect(refusal(answer)).toEqual({ status: 400, error: 'invalid_request', code: 9002326 })
    })

    it('refuses a server on SPA (AADSTS9002327)', async () => {
      const answer = await redeem(entra, await getCode(entra, spaSignIn), spaForm)
      expect(refusal(answer)).toEqual({ status: 400, error: 'invalid_request', code: 9002327 })
    })

    it('refuses an SPA without PKCE (AADSTS9002325)', async () => {
      const code = await getCode(entra, { redirect_uri: spa })
      const answer = await redeem(entra, code, spaForm, origin)
      expect(refusal(answer)).toMatchObject({ code: 9002325 })
    })

    it('lets a browser redeem on SPA, and ends its refresh tokens after 24 hours', async () => {
      const first = await redeem(entra, await getCode(entra, spaSignIn), spaForm, origin)
      expect(first.headers.get('access-control-allow-origin')).toBe('*')
      expect(first.body.refresh_token_expires_in).toBe(86400)
      const renew = (token: unknown) =>
        refresh(entra, String(token), { client_secret: undefined }, origin)
      entra.advance(43200)
      const second = await renew(first.body.refresh_token)
      expect(second.body.refresh_token_expires_in).toBe(43200)
      entra.advance(43200)
      expect(refusal(await renew(second.body.refresh_token))).toMatchObject({ code: 700084 })
    })
  })
})

describe('the refresh grant', () => {
  it('gives a new refresh token each time, and the old ones stay good', async () => {
    const { refresh_token } = await signIn(entra)
    const answers = await Promise.all([
      refresh(entra, refresh_token),
      refresh(entra, refresh_token),
      refresh(entra, refresh_token),
    ])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    const tokens = answers.map(({ body }) => body.refresh_token)
    expect(new Set([...tokens, refresh_token]).size).toBe(4)
  })

  it('serves any resource that has consent', async () => {
    const { refresh_token } = await signIn(entra)
    const { body } = await refresh(entra, refresh_token, { scope: `${graph}/User.Read` })
    expect(claimsOf(body.access_token)).toMatchObject({ aud: graph, scp: 'User.Read' })
  })

  it('serves a downstream resource that the sign-in asked consent for', async () => {
    const scope = `${apiScope(entra, 'notes.read')} https://old.contoso.example//old.read`
    const { refresh_token } = await signIn(entra, { scope })
    const downstream = 'https://old.contoso.example//old.read'
    const { body } = await refresh(entra, refresh_token, { scope: downstream })
    expect(body.scope).toBe(downstream)
    expect(claimsOf(body.access_token)).toMatchObject({
      aud: 'https://old.contoso.example/',
      iss: `https://sts.windows.net/${tenantId}/`,
      ver: '1.0',
      appid: api,
      scp: 'old.read',
    })
  })

  it.each<[string, number, string, number, Params]>([
    ['no token', 400, 'invalid_request', 900144, { refresh_token: undefined }],
    ['garbage', 400, 'invalid_grant', 9002313, { refresh_token: 'garbage' }],
    ['no scope, for the app itself', 400, 'invalid_request', 90009, { scope: undefined }],
    [
      'two resources',
      400,
      'invalid_request',
      28000,
      {
        scope: `api://${api}/notes.read ${graph}/User.Read`,
      },
    ],
    ['a resource without consent', 400, 'invalid_grant', 65001, { scope: `${graph}/Mail.Send` }],
    ['a bare scope', 400, 'invalid_client', 650053, { scope: 'notes.read' }],
    ['resource', 400, 'invalid_target', 9010010, { resource: 'https://mcp.contoso.example/mcp' }],
    ['no proof of the client', 401, 'invalid_client', 7000218, { client_secret: undefined }],
    ['another client', 400, 'invalid_grant', 70000, { client_id: multi, client_secret: 'multi' }],
  ])('refuses %s: %i %s (AADSTS%i)', async (_, status, error, code, params) => {
    const { refresh_token } = await signIn(entra)
    expect(refusal(await refresh(entra, refresh_token, params))).toEqual({ status, error, code })
  })

  it('refuses the granted scopes played back with their .default (AADSTS70011)', async () => {
    const code = await getCode(entra)
    const { body } = await redeem(entra, code, { scope: `api://${api}/.default offline_access` })
    const answer = await refresh(entra, String(body.refresh_token), { scope: String(body.scope) })
    expect(refusal(answer)).toEqual({ status: 400, error: 'invalid_scope', code: 70011 })
  })

  it('refuses an Origin (AADSTS9002326)', async () => {
    const { refresh_token } = await signIn(entra)
    const headers = { origin: 'https://mcp.example' }
    expect(refusal(await refresh(entra, refresh_token, {}, { headers }))).toMatchObject({
      code: 9002326,
    })
  })

  it('refuses a token after 90 days (AADSTS700082)', async () => {
    const { refresh_token } = await signIn(entra)
    entra.advance(90 * 24 * 3600 - 60)
    expect((await refresh(entra, refresh_token)).status).toBe(200)
    entra.advance(60)
    expect((await refresh(entra, refresh_token)).body).toMatchObject({
      error: 'invalid_grant',
      suberror: 'bad_token',
      error_codes: [700082],
    })
  })

  it('refuses what was revoked, but not what came after (AADSTS50173)', async () => {
    const before = await signIn(entra)
    const others = await signIn(entra, { login_hint: 'bob@contoso.example' })
    entra.revokeUser('ada@contoso.example')
    const after = await signIn(entra)
    expect(refusal(await refresh(entra, before.refresh_token))).toMatchObject({ code: 50173 })
    expect((await refresh(entra, after.refresh_token)).status).toBe(200)
    expect((await refresh(entra, others.refresh_token)).status).toBe(200)
  })

  it('refuses when consent has been withdrawn, and works when it is back (AADSTS65001)', async () => {
    const { refresh_token } = await signIn(entra)
    const scope = `${graph}/Files.Read`
    const attempt = () => refresh(entra, refresh_token, { scope })
    entra.consent('ada@contoso.example', scope)
    expect((await attempt()).status).toBe(200)
    entra.withdrawConsent('ada@contoso.example', scope)
    expect((await attempt()).body).toMatchObject({
      suberror: 'consent_required',
      error_codes: [65001],
    })
    entra.consent('all', scope)
    expect((await attempt()).status).toBe(200)
    entra.withdrawConsent('all', scope)
    expect((await attempt()).status).toBe(400)
  })
})

describe('client credentials', () => {
  const credentials = (params: Params, tenant?: string): Promise<Answer> =>
    token(
      entra,
      { grant_type: 'client_credentials', scope: `api://${api}/.default`, ...params },
      tenant ? { tenant } : {},
    )

  it.each<[string, number, string, number, Params, string | undefined]>([
    ['no scope', 400, 'invalid_request', 900144, { scope: undefined }, undefined],
    [
      'a named scope',
      400,
      'invalid_scope',
      1002012,
      { scope: `api://${api}/notes.read` },
      undefined,
    ],
    ['a bare scope', 400, 'invalid_scope', 1002012, { scope: 'User.Read' }, undefined],
    [
      'offline_access',
      400,
      'invalid_scope',
      1002012,
      {
        scope: `api://${api}/.default offline_access`,
      },
      undefined,
    ],
    [
      'an unknown resource',
      400,
      'invalid_resource',
      500011,
      { scope: 'api://x/.default' },
      undefined,
    ],
    ['no secret', 401, 'invalid_client', 7000218, { client_secret: undefined }, undefined],
    ['a wrong secret', 401, 'invalid_client', 7000215, { client_secret: 'wrong' }, undefined],
    [
      '/common',
      400,
      'invalid_grant',
      9001023,
      {
        client_id: multi,
        client_secret: 'multi',
      },
      'common',
    ],
  ])('refuses %s: %i %s (AADSTS%i)', async (_, status, error, code, params, tenant) => {
    expect(refusal(await credentials(params, tenant))).toEqual({ status, error, code })
  })

  it('gives an access token and nothing else', async () => {
    const { status, body } = await credentials({})
    expect(status).toBe(200)
    expect(body).toEqual({
      token_type: 'Bearer',
      expires_in: 3599,
      ext_expires_in: 3599,
      access_token: expect.any(String),
    })
  })

  it('gives a daemon its application permissions as roles', async () => {
    const defaults = await startAnother()
    const daemon = defaults.apps[1]
    const { body } = await token(defaults, {
      grant_type: 'client_credentials',
      client_id: daemon?.clientId,
      client_secret: daemon?.secrets[0],
      scope: `api://${defaults.app.clientId}/.default`,
    })
    const claims = claimsOf(body.access_token)
    expect(claims).toMatchObject({
      aud: defaults.app.clientId,
      azp: daemon?.clientId,
      azpacr: '1',
      idtyp: 'app',
      roles: ['Notes.Read.All'],
    })
    expect(claims.oid).toBe(claims.sub)
    expect(claims).not.toHaveProperty('scp')
  })
})
