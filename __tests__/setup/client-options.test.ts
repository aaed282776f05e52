/** Clients the operator sets up, and a server at which nobody registers. */
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { entraAuth, type PreRegisteredClient } from 'mcp-entra'
import type { Entra } from '../support/host.js'
import {
  getCode,
  login,
  postForm,
  postJson,
  redeem,
  redirectUri,
  refresh,
  register,
} from '../support/oauth-client.js'
import {
  authOptions,
  countingStorage,
  jsonOf,
  openConsent,
  startProxy,
  startTestEntra,
  type TestProxy,
} from '../support/proxy.js'

const secret = 'a secret of sixteen or more'
/** As `openssl rand -base64` makes them, and with what looks encoded. */
const awkwardSecret = 'q+9/Zk+rT1%2Bw0=='
const plain: PreRegisteredClient = {
  client_id: 'desktop',
  client_name: 'Contoso Desktop',
  redirect_uris: [redirectUri],
}
const confidential: PreRegisteredClient = {
  ...plain,
  client_id: 'portal',
  token_endpoint_auth_method: 'client_secret_basic',
  client_secret: secret,
}
const awkward: PreRegisteredClient = {
  ...confidential,
  client_id: 'gate+way',
  client_secret: awkwardSecret,
}

let entra: Entra
let proxy: TestProxy
beforeAll(async () => {
  entra = await startTestEntra()
  proxy = await startProxy(entra, { clients: [plain, confidential, awkward] })
})

describe('a client the operator set up', () => {
  it('logs in and refreshes under the id it was given', async () => {
    const tokens = await login(proxy.url, { clientId: 'desktop' })
    expect((await refresh(proxy.url, tokens)).status).toBe(200)
  })

  it('is known on the consent page', async () => {
    const { page } = await openConsent(proxy.url, { clientId: 'desktop' })
    expect(page.html).toContain('Contoso Desktop')
    expect(page.html).toContain('The operator of this server knows this application.')
    expect(page.html).not.toContain('nobody has checked it')
  })

  it('with a secret needs it: in the header, or in the form, and no other', async () => {
    const attempts: [RequestInit['headers'], Record<string, string>, number][] = [
      [{ authorization: `Basic ${btoa(`portal:${secret}`)}` }, {}, 200],
      [{ authorization: `Basic ${btoa(`portal:${encodeURIComponent(secret)}`)}` }, {}, 200],
      [{}, { client_id: 'portal', client_secret: secret }, 200],
      [{}, { client_id: 'portal', client_secret: `${secret}x` }, 401],
      [{}, { client_id: 'portal' }, 401],
      [{ authorization: `Basic ${btoa('portal:')}` }, {}, 401],
    ]
    for (const [headers, more, status] of attempts) {
      const { code, verifier } = await getCode(proxy.url, { clientId: 'portal' })
      const answer = await fetch(`${proxy.url}/token`, {
        method: 'POST',
        headers: headers ?? {},
        body: new URLSearchParams({
          grant_type: 'authorization_code',
          code,
          code_verifier: verifier,
          redirect_uri: redirectUri,
          ...more,
        }),
      })
      expect([more, answer.status]).toEqual([more, status])
    }
  })

  it.each([
    ['as they are, like the MCP SDKs', String, String, 200],
    ['form-encoded (RFC 6749 section 2.3.1)', encodeURIComponent, encodeURIComponent, 200],
    [
      'form-encoded twice',
      String,
      (text: string) => encodeURIComponent(encodeURIComponent(text)),
      401,
    ],
  ])('may have any characters in id and secret, sent %s', async (_how, ofId, ofSecret, status) => {
    const { code, verifier } = await getCode(proxy.url, { clientId: 'gate+way' })
    const credentials = btoa(`${ofId('gate+way')}:${ofSecret(awkwardSecret)}`)
    const answer = await fetch(`${proxy.url}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${credentials}` },
      body: new URLSearchParams({
        grant_type: 'authorization_code',
        code,
        code_verifier: verifier,
        redirect_uri: redirectUri,
      }),
    })
    expect(answer.status).toBe(status)
  })

  it.each([
    ['with a secret', 'portal', secret],
    ['without one', 'desktop', ''],
  ])(
    'logs in %s by the first method of the metadata, which some clients take',
    async (_how, id, itsSecret) => {
      const document = await fetch(`${proxy.url}/.well-known/oauth-authorization-server`)
      const { token_endpoint_auth_methods_supported: methods } = await document.json()
      const { code, verifier } = await getCode(proxy.url, { clientId: id })
      // As the C# SDK of MCP does for a client that was given its id.
      const credentials = {
        none: { client_id: id },
        client_secret_post: { client_id: id, client_secret: itsSecret },
      }[String(methods[0])]
      const answer = await fetch(`${proxy.url}/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'authorization_code',
          code,
          code_verifier: verifier,
          redirect_uri: redirectUri,
          ...credentials,
        }),
      })
      expect([credentials, answer.status]).toEqual([expect.any(Object), 200])
    },
  )

  it('returns nowhere but where the operator said: nobody else can use its id', async () => {
    const params = { redirect_uri: 'http://127.0.0.1:33418/other' }
    const { page } = await openConsent(proxy.url, { clientId: 'desktop', params })
    expect(page.status).toBe(400)
    expect(page.headers.get('location')).toBeNull()
  })

  it('may sign instead of having a secret', async () => {
    const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true })
    const signer: PreRegisteredClient = {
      ...plain,
      client_id: 'signer',
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [await exportJWK(publicKey)] },
    }
    const server = await startProxy(entra, { clients: [signer], clientMetadata: false })
    const { code, verifier } = await getCode(server.url, { clientId: 'signer' })
    const assertion = await new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg: 'EdDSA' })
      .setIssuer('signer')
      .setSubject('signer')
      .setAudience(server.url)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(privateKey)
    const answer = await postForm(`${server.url}/token`, {
      grant_type: 'authorization_code',
      code,
      code_verifier: verifier,
      redirect_uri: redirectUri,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: assertion,
    })
    expect(answer.status).toBe(200)
    const metadata = await jsonOf(
      await fetch(`${server.url}/.well-known/oauth-authorization-server`),
    )
    expect(metadata.token_endpoint_auth_methods_supported).toContain('private_key_jwt')
    expect(metadata).not.toHaveProperty('client_id_metadata_document_supported')
  })

  const wrong: [string, Partial<PreRegisteredClient>, string][] = [
    ['no id', { client_id: '' }, 'needs a client_id'],
    ['a URL as id', { client_id: 'https://client.example/app' }, 'not a URL'],
    ['no name', { client_name: '' }, 'needs a client_name'],
    ['no redirect URI', { redirect_uris: [] }, 'redirect_uris must hold at least one URI.'],
    ['a redirect URI nobody may have', { redirect_uris: ['javascript:x'] }, 'has the scheme'],
    ['no secret', { token_endpoint_auth_method: 'client_secret_post' }, 'needs a client_secret'],
    [
      'a short secret',
      { token_endpoint_auth_method: 'client_secret_post', client_secret: 'short' },
      'needs a client_secret of 16 characters or more',
    ],
    ['a secret for nothing', { client_secret: secret }, 'which none does not use'],
    ['no keys', { token_endpoint_auth_method: 'private_key_jwt' }, 'key set'],
    [
      'no key that is good for anything',
      { token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [{ kty: 'EC' }] } },
      'needs a public key in its jwks: P-256, Ed25519, or RSA of 2048 to 4096 bits',
    ],
    ['a method there is not', { token_endpoint_auth_method: 'mtls' as 'none' }, 'must be one of'],
    ['the id of another', { client_id: 'desktop' }, 'is there twice'],
  ]
  it.each(wrong)('with %s is a TypeError at creation that says so', (_what, changes, why) => {
    const options = authOptions(entra, proxy.url, [])
    const clients = [plain, { ...plain, client_id: 'other', ...changes }]
    expect(() => entraAuth({ ...options, clients })).toThrow(TypeError)
    expect(() => entraAuth({ ...options, clients })).toThrow(why)
    expect(() => entraAuth({ ...options, clients })).not.toThrow(secret)
  })
})

describe('clients that are no list of objects', () => {
  it.each([{ desktop: plain }, 'desktop', null, [null], ['desktop']])(
    'are refused: %j',
    (given) => {
      const clients = given as unknown as readonly PreRegisteredClient[]
      const options = authOptions(entra, 'https://mcp.contoso.com', [], { clients })
      expect(() => entraAuth(options)).toThrow(/^entraAuth: clients must be a list: /)
    },
  )
})

describe('a proxy for client documents', () => {
  it('must be a URL', () => {
    const clientMetadata = { proxy: 'http://proxy.contoso.com:99999' }
    const options = authOptions(entra, 'https://mcp.contoso.com', [], { clientMetadata })
    expect(() => entraAuth(options)).toThrow(/^entraAuth: clientMetadata.proxy must be a URL/)
  })
})

describe('a server at which nobody registers', () => {
  it('has no registration endpoint, and says so', async () => {
    const closed = await startProxy(entra, { registration: false, clients: [plain] })
    const metadata = await jsonOf(
      await fetch(`${closed.url}/.well-known/oauth-authorization-server`),
    )
    expect(metadata).not.toHaveProperty('registration_endpoint')
    const answer = await postJson(`${closed.url}/register`, { redirect_uris: [redirectUri] })
    expect(await answer.json()).toEqual({ app: '/register' })
    expect(await login(closed.url, { clientId: 'desktop' })).toHaveProperty('refresh_token')
  })

  it('knows no more those who registered before', async () => {
    const { storage } = countingStorage()
    const server = await startProxy(entra, { storage })
    const clientId = await register(server.url)
    const tokens = await login(server.url, { clientId })
    const code = await getCode(server.url, { clientId })
    server.restart({ storage, registration: false })
    expect((await refresh(server.url, tokens)).status).toBe(401)
    expect((await redeem(server.url, code)).status).toBe(401)
    expect((await openConsent(server.url, { clientId })).page.status).toBe(400)
    server.restart({ storage })
    expect((await refresh(server.url, tokens)).status).toBe(200)
  })
})
