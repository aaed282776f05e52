/** Registration stores nothing: the client id is the registration, sealed. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { type Entra, testKeys } from '../support/host.js'
import {
  authorizeUrl,
  getCode,
  newBrowser,
  pkce,
  postForm,
  postJson,
  redeem,
  redirectUri,
  register,
} from '../support/oauth-client.js'
import {
  countingStorage,
  jsonOf,
  startProxy,
  startTestEntra,
  type TestProxy,
} from '../support/proxy.js'

let entra: Entra
let proxy: TestProxy
const counting = countingStorage()
beforeAll(async () => {
  entra = await startTestEntra()
  proxy = await startProxy(entra, { storage: counting.storage, customSchemes: ['myapp:'] })
})
interface Registration {
  readonly client_id: string
  readonly client_secret: string
}

async function registered(metadata: object): Promise<Registration> {
  const response = await postJson(`${proxy.url}/register`, {
    redirect_uris: [redirectUri],
    ...metadata,
  })
  expect(response.status).toBe(201)
  return jsonOf<Registration>(response)
}

async function refusal(body: unknown): Promise<Record<string, unknown>> {
  const response = await postJson(`${proxy.url}/register`, body)
  expect(response.status).toBe(400)
  expect(response.headers.get('cache-control')).toBe('no-store')
  return jsonOf(response)
}

describe('a registration', () => {
  it('is answered with all its metadata and no-store (RFC 7591 section 3.2.1)', async () => {
    const before = Math.floor(Date.now() / 1000)
    const response = await postJson(`${proxy.url}/register`, {
      client_name: 'Notes for µ',
      client_uri: 'https://client.example/about',
      redirect_uris: [redirectUri, 'https://client.example/cb', 'cursor://x/cb', redirectUri],
      scope: 'openid notes.read unknown notes.read',
      software_id: 'something unknown',
      jwks: null,
    })
    expect(response.status).toBe(201)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    const body = await jsonOf(response)
    expect(body).toEqual({
      client_id: expect.stringMatching(/^[\w-]+$/),
      client_id_issued_at: expect.any(Number),
      client_name: 'Notes for µ',
      client_uri: 'https://client.example/about',
      redirect_uris: [redirectUri, 'https://client.example/cb', 'cursor://x/cb'],
      token_endpoint_auth_method: 'client_secret_basic',
      client_secret: expect.stringMatching(/^[\w-]{43}$/),
      client_secret_expires_at: 0,
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      application_type: 'native',
      scope: 'notes.read',
    })
    expect(body.client_id_issued_at).toBeGreaterThanOrEqual(before)
  })

  it('survives a restart with an empty store', async () => {
    const clientId = await register(proxy.url)
    const replica = await startProxy(entra)
    const page = await newBrowser().open(authorizeUrl(replica.url, clientId, pkce().challenge))
    expect(page.status).toBe(200)
    await replica.close()
  })

  it('touches the store neither at /register nor at /authorize', async () => {
    counting.writes.length = 0
    for (let i = 0; i < 200; i++) {
      const clientId = await register(proxy.url, { client_name: `Client ${i}` })
      const response = await fetch(authorizeUrl(proxy.url, clientId, pkce().challenge))
      expect(response.status).toBe(200)
    }
    expect(counting.writes).toEqual([])
  })

  it('stays valid as long as the ring has its key', async () => {
    const [first = '', second = ''] = testKeys
    const newest = 'test key three: 0123456789abcdef'
    const rotating = await startProxy(entra, { keys: [first] })
    const response = await postJson(`${rotating.url}/register`, {
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: 'client_secret_post',
    })
    const { client_id, client_secret } = await jsonOf<Registration>(response)
    const authorization = authorizeUrl(rotating.url, client_id, pkce().challenge)

    rotating.restart({ keys: [newest, first] })
    expect((await fetch(authorization)).status).toBe(200)
    const known = await postForm(`${rotating.url}/token`, {
      client_id,
      client_secret,
      grant_type: 'refresh_token',
      refresh_token: 'none',
    })
    expect(await jsonOf(known)).toMatchObject({ error: 'invalid_grant' })

    rotating.restart({ keys: [newest, second] })
    expect((await fetch(authorization)).status).toBe(400)
    const unknown = await postForm(`${rotating.url}/token`, { client_id, client_secret })
    expect(unknown.status).toBe(401)
    expect(await jsonOf(unknown)).toMatchObject({ error: 'invalid_client' })
    await rotating.close()
  })

  it.each(['A', 'ab', '\u0000'])(
    'changed in any place is no registration: %j at the end',
    async (end) => {
      const clientId = await register(proxy.url)
      const response = await fetch(authorizeUrl(proxy.url, clientId + end, pkce().challenge))
      expect(response.status).toBe(400)
    },
  )
})

describe('redirect URIs', () => {
  it.each([
    ['http://evil.example/cb', 'not on loopback'],
    ['https://evil.example/cb#fragment', 'fragment'],
    ['https://user@evil.example/cb', 'userinfo'],
    ['https://evil.example@client.example/cb', 'userinfo'],
    ['https://client.example/a/../cb', 'dot segment'],
    ['https://client.example/a/%2e%2e/cb', 'encoded dot segment'],
    ['https://client.example/cb?code=1', 'response parameter'],
    ['https://client.example/c b', 'blank'],
    ['https://client.example/c\nb', 'line break'],
    ['https://client.example/cb\u0000', 'NUL'],
    ['https:\\\\client.example', 'backslashes'],
    ['javascript:alert(1)', 'script'],
    ['data:text/html,x', 'data'],
    ['file:///etc/passwd', 'file'],
    ['unknownapp://cb', 'unknown scheme'],
    ['/relative', 'relative'],
    ['//client.example/cb', 'without scheme'],
    ['', 'empty'],
    [`https://client.example/${'a'.repeat(2001)}`, 'too long'],
  ])('%s is refused: %s', async (uri) => {
    expect(await refusal({ redirect_uris: [redirectUri, uri] })).toEqual({
      error: 'invalid_redirect_uri',
      error_description: expect.any(String),
    })
  })

  it.each([
    ['http://localhost/cb', 'native'],
    ['http://127.0.0.1:1234/cb', 'native'],
    ['http://[::1]:1234/cb', 'native'],
    ['https://client.example/cb?tenant=1', 'web'],
    ['cursor://anysphere.cursor-retrieval/oauth/callback', 'native'],
    ['myapp://callback', 'native'],
  ])('%s of a %s client is taken', async (uri, application_type) => {
    await registered({ redirect_uris: [uri], application_type })
  })

  it('of a web client are https and not on loopback', async () => {
    for (const uri of [redirectUri, 'https://localhost/cb', 'cursor://cb']) {
      expect(await refusal({ redirect_uris: [uri], application_type: 'web' })).toMatchObject({
        error: 'invalid_redirect_uri',
      })
    }
  })

  it('must be a list of strings, neither empty nor too long', async () => {
    const many = Array.from({ length: 17 }, (_, i) => `https://client.example/${i}`)
    for (const body of [{}, { redirect_uris: [] }, { redirect_uris: many }]) {
      expect(await refusal(body)).toMatchObject({ error: 'invalid_redirect_uri' })
    }
    for (const uris of ['https://client.example/cb', [1], [[redirectUri]], { 0: redirectUri }]) {
      expect(await refusal({ redirect_uris: uris })).toMatchObject({
        error: 'invalid_client_metadata',
      })
    }
  })
})

describe('junk', () => {
  it.each([
    ['null', null],
    ['an array', []],
    ['a string', 'text'],
    ['a number', 7],
    ['an unknown method', { token_endpoint_auth_method: 'private_key_jwt' }],
    ['a method that is no string', { token_endpoint_auth_method: ['none'] }],
    ['grant types without the code', { grant_types: ['client_credentials'] }],
    ['grant types that are no list', { grant_types: 'authorization_code' }],
    ['response types without code', { response_types: ['token'] }],
    ['an application type of its own', { application_type: 'constructor' }],
    ['a name that is no string', { client_name: { toString: 'x' } }],
    ['a name without end', { client_name: 'x'.repeat(257) }],
    ['a name with NUL', { client_name: 'a\u0000b' }],
    ['a homepage that is script', { client_uri: 'javascript:alert(1)' }],
  ])('%s is refused as invalid_client_metadata', async (_what, body) => {
    const full =
      typeof body === 'object' && body !== null && !Array.isArray(body)
        ? { redirect_uris: [redirectUri], ...body }
        : body
    expect(await refusal(full)).toEqual({
      error: 'invalid_client_metadata',
      error_description: expect.any(String),
    })
  })

  it('reads nothing from prototypes', async () => {
    const response = await fetch(`${proxy.url}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `{"__proto__":{"redirect_uris":["${redirectUri}"]},"constructor":{"prototype":{"x":1}}}`,
    })
    expect(response.status).toBe(400)
    expect(await jsonOf(response)).toMatchObject({
      error: 'invalid_client_metadata',
      error_description: 'There is a member __proto__.',
    })
    expect(Object.hasOwn(Object.prototype, 'redirect_uris')).toBe(false)
  })

  it('longer than a client id can carry is refused, not cut', async () => {
    const redirect_uris = Array.from(
      { length: 4 },
      (_, i) => `https://client.example/${i}/${'a'.repeat(1000)}`,
    )
    expect(await refusal({ redirect_uris })).toEqual({
      error: 'invalid_client_metadata',
      error_description: 'The registration is too long.',
    })
  })
})

describe('a confidential client', () => {
  const basic = (id: string, secret: string) => ({
    authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
  })
  const formEncoded = (text: string) =>
    [...text].map((c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`).join('')

  async function tokenAs(
    headers: Record<string, string>,
    params: Record<string, string>,
  ): Promise<Response> {
    return fetch(`${proxy.url}/token`, {
      method: 'POST',
      headers,
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        refresh_token: 'none',
        ...params,
      }),
    })
  }

  it('gets a secret that does not expire', async () => {
    const client = await registered({ token_endpoint_auth_method: 'client_secret_basic' })
    expect(client).toMatchObject({
      client_secret: expect.stringMatching(/^[\w-]{43}$/),
      client_secret_expires_at: 0,
      token_endpoint_auth_method: 'client_secret_basic',
    })
  })

  it.each([undefined, null])(
    'gets one when its method is %s: the default is client_secret_basic',
    async (method) => {
      const { client_id, ...client } = await registered({ token_endpoint_auth_method: method })
      expect(client).toMatchObject({
        client_secret: expect.stringMatching(/^[\w-]{43}$/),
        client_secret_expires_at: 0,
        token_endpoint_auth_method: 'client_secret_basic',
      })
      const without = await tokenAs({}, { client_id })
      expect(without.status).toBe(401)
      expect(await jsonOf(without)).toMatchObject({ error: 'invalid_client' })
    },
  )

  it.each(['client_secret_post', 'client_secret_basic'])('logs in with %s', async (method) => {
    const { client_id, client_secret } = await registered({ token_endpoint_auth_method: method })
    const code = await getCode(proxy.url, { clientId: client_id })
    const without = await redeem(proxy.url, code)
    expect(without.status).toBe(401)
    if (method === 'client_secret_post') {
      expect((await redeem(proxy.url, code, { client_secret })).status).toBe(200)
      return
    }
    const response = await fetch(`${proxy.url}/token`, {
      method: 'POST',
      headers: basic(client_id, client_secret),
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code: code.code,
        code_verifier: code.verifier,
        redirect_uri: redirectUri,
      }),
    })
    expect(response.status).toBe(200)
  })

  it('may send its Basic credentials raw or form-encoded (RFC 6749 section 2.3.1)', async () => {
    const { client_id, client_secret } = await registered({
      token_endpoint_auth_method: 'client_secret_basic',
    })
    for (const headers of [
      basic(client_id, client_secret),
      basic(formEncoded(client_id), formEncoded(client_secret)),
      { authorization: basic(client_id, client_secret).authorization.replace('Basic', 'bASIC') },
    ]) {
      const response = await tokenAs(headers, {})
      expect(response.status).toBe(400)
      expect(await jsonOf(response)).toMatchObject({ error: 'invalid_grant' })
    }
  })

  it('is refused with another secret, none, or that of another client', async () => {
    const method = { token_endpoint_auth_method: 'client_secret_basic' }
    const [mine, other] = [await registered(method), await registered(method)]
    for (const secret of ['', 'wrong', `${mine.client_secret}x`, other.client_secret, '%zz']) {
      const response = await tokenAs(basic(mine.client_id, secret), {})
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe('Basic realm="token endpoint"')
      expect(await jsonOf(response)).toMatchObject({ error: 'invalid_client' })
    }
    const posted = await tokenAs({}, { client_id: mine.client_id, client_secret: 'wrong' })
    expect(posted.status).toBe(401)
    expect(posted.headers.get('www-authenticate')).toBeNull()
  })

  it('uses one way to authenticate, and one client id', async () => {
    const { client_id, client_secret } = await registered({
      token_endpoint_auth_method: 'client_secret_basic',
    })
    for (const params of [{ client_secret }, { client_id: 'another' }]) {
      const response = await tokenAs(basic(client_id, client_secret), params as never)
      expect(response.status).toBe(400)
      expect(await jsonOf(response)).toMatchObject({ error: 'invalid_request' })
    }
  })

  it.each([
    'Basic',
    'Basic !!!',
    `Basic ${Buffer.from('no colon').toString('base64')}`,
    'Bearer x',
  ])('is unknown with the header %j', async (authorization) => {
    const response = await tokenAs({ authorization }, {})
    expect(response.status).toBe(401)
  })

  it('without the grant refresh_token gets no refresh token, and may not use one', async () => {
    const clientId = await register(proxy.url, { grant_types: ['authorization_code'] })
    const response = await redeem(proxy.url, await getCode(proxy.url, { clientId }))
    expect(Object.keys(await jsonOf(response))).toEqual([
      'access_token',
      'token_type',
      'expires_in',
      'scope',
    ])
    const refused = await tokenAs({}, { client_id: clientId })
    expect(refused.status).toBe(400)
    expect(await jsonOf(refused)).toMatchObject({ error: 'unauthorized_client' })
  })
})
