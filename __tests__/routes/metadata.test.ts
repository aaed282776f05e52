/** The metadata documents, which clients read before they start. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import type { Entra } from '../support/host.js'
import { login } from '../support/oauth-client.js'
import { send, startProxy, startTestEntra, type TestProxy } from '../support/proxy.js'

let entra: Entra
let proxy: TestProxy
let based: TestProxy
beforeAll(async () => {
  entra = await startTestEntra()
  proxy = await startProxy(entra, { resourceName: 'Notes', resources: ['/mcp', '/second/mcp'] })
  based = await startProxy(entra, { basePath: '/base/path' })
})
const methods = ['client_secret_post', 'client_secret_basic', 'none', 'private_key_jwt']

function serverDocument(issuer: string) {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    registration_endpoint: `${issuer}/register`,
    revocation_endpoint: `${issuer}/revoke`,
    jwks_uri: `${issuer}/jwks`,
    scopes_supported: ['notes.read', 'notes.write'],
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_methods_supported: methods,
    token_endpoint_auth_signing_alg_values_supported: ['RS256', 'ES256', 'EdDSA'],
    revocation_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_signing_alg_values_supported: ['RS256', 'ES256', 'EdDSA'],
    client_id_metadata_document_supported: true,
    code_challenge_methods_supported: ['S256'],
    dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'RS256'],
    authorization_response_iss_parameter_supported: true,
    ui_locales_supported: ['en', 'de'],
  }
}

const serverPath = '/.well-known/oauth-authorization-server'
const resourcePath = '/.well-known/oauth-protected-resource'

async function read(url: string): Promise<unknown> {
  const response = await fetch(url)
  expect(response.status).toBe(200)
  return response.json()
}

describe('the authorization server metadata (RFC 8414)', () => {
  it('has exactly these members', async () => {
    expect(await read(proxy.url + serverPath)).toEqual(serverDocument(proxy.url))
  })

  it('has the path of the base URL behind the well-known part, and an alias at the root', async () => {
    const { origin } = new URL(based.url)
    const expected = serverDocument(`${origin}/base/path`)
    expect(await read(`${origin}${serverPath}/base/path`)).toEqual(expected)
    expect(await read(`${origin}${serverPath}`)).toEqual(expected)
  })
})

describe('the protected resource metadata (RFC 9728)', () => {
  const first = () => ({
    resource: `${proxy.url}/mcp`,
    authorization_servers: [proxy.url],
    scopes_supported: ['notes.read'],
    bearer_methods_supported: ['header'],
    dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'RS256'],
    resource_name: 'Notes',
  })

  it('describes each resource at its own path, and the first at the root as well', async () => {
    expect(await read(`${proxy.url}${resourcePath}/mcp`)).toEqual(first())
    expect(await read(`${proxy.url}${resourcePath}`)).toEqual(first())
    expect(await read(`${proxy.url}${resourcePath}/second/mcp`)).toEqual({
      ...first(),
      resource: `${proxy.url}/second/mcp`,
    })
  })

  it('has the path of the base URL in it, and no name when there is none', async () => {
    const { origin } = new URL(based.url)
    expect(await read(`${origin}${resourcePath}/base/path/mcp`)).toEqual({
      resource: `${origin}/base/path/mcp`,
      authorization_servers: [`${origin}/base/path`],
      scopes_supported: ['notes.read'],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: ['ES256', 'EdDSA', 'RS256'],
    })
  })
})

describe('the key document (RFC 7517)', () => {
  it('holds the public half of every key of the ring, the signing one first', async () => {
    const { keys } = (await read(`${proxy.url}/jwks`)) as { keys: Record<string, string>[] }
    expect(keys).toHaveLength(2)
    for (const key of keys) {
      expect(key).toEqual({
        kty: 'EC',
        crv: 'P-256',
        x: expect.stringMatching(/^[\w-]{43}$/),
        y: expect.stringMatching(/^[\w-]{43}$/),
        use: 'sig',
        alg: 'ES256',
        kid: expect.stringMatching(/^[\w-]{43}$/),
      })
    }
    const { access_token } = await login(proxy.url)
    const header = JSON.parse(Buffer.from(access_token.split('.')[0] ?? '', 'base64url').toString())
    expect(header).toEqual({ typ: 'at+jwt', alg: 'ES256', kid: keys[0]?.kid })
  })
})

describe('every document', () => {
  const paths = [serverPath, resourcePath, `${resourcePath}/mcp`, '/jwks']

  it.each(paths)('%s may be cached and read by any origin', async (path) => {
    const response = await fetch(proxy.url + path, { headers: { origin: 'https://app.example' } })
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.get('cache-control')).toBe('public, max-age=3600')
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('access-control-expose-headers')).toBe('WWW-Authenticate')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(response.headers.get('set-cookie')).toBeNull()
  })

  it.each(paths)('%s answers the preflight for mcp-protocol-version', async (path) => {
    const response = await fetch(proxy.url + path, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'mcp-protocol-version',
      },
    })
    expect(response.status).toBe(204)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('access-control-allow-methods')).toBe('GET, HEAD, OPTIONS')
    expect(response.headers.get('access-control-allow-headers')).toBe('mcp-protocol-version')
    expect(response.headers.get('access-control-max-age')).toBe('86400')
    expect(response.headers.get('vary')).toBe('Access-Control-Request-Headers')
  })

  it.each(paths)('%s has the same headers and no body for HEAD', async (path) => {
    const get = await send(proxy.url + path)
    const head = await send(proxy.url + path, { method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(head.body).toBe('')
    expect({ ...head.headers, date: '' }).toEqual({ ...get.headers, date: '' })
  })
})

describe('the endpoints that scripts call', () => {
  it.each(['/register', '/token', '/revoke'])('%s answers a preflight', async (path) => {
    const response = await fetch(proxy.url + path, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization, content-type, mcp-protocol-version',
      },
    })
    expect(response.status).toBe(204)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('access-control-allow-methods')).toBe('POST, OPTIONS')
    expect(response.headers.get('access-control-allow-headers')).toBe(
      'authorization, content-type, mcp-protocol-version',
    )
  })

  it('names usual headers when a preflight asks for none, or for nonsense', async () => {
    for (const wanted of [undefined, 'a b; c', ',']) {
      const answer = await send(`${proxy.url}/token`, {
        method: 'OPTIONS',
        headers: wanted === undefined ? {} : { 'access-control-request-headers': wanted },
      })
      expect(answer.headers['access-control-allow-headers']).toBe(
        'Authorization, Content-Type, DPoP, MCP-Protocol-Version',
      )
    }
  })

  it.each(['/authorize', '/consent', '/auth/callback'])(
    '%s is for people and allows no other origin',
    async (path) => {
      for (const method of ['OPTIONS', 'GET']) {
        const answer = await send(proxy.url + path, {
          method,
          headers: { origin: 'https://a.test' },
        })
        expect(answer.headers['access-control-allow-origin']).toBeUndefined()
      }
    },
  )
})

describe('everything else', () => {
  it.each([
    '/.well-known/openid-configuration',
    '/.well-known/oauth-authorization-server/mcp',
    '/.well-known/oauth-protected-resource/other',
    '/register/',
    '/token/x',
    '/Authorize',
    '/auth',
    '//token',
    '/%74oken',
    '/',
  ])('%s is left to the application', async (path) => {
    const answer = await send(proxy.url + path)
    expect(answer.status).toBe(404)
    expect(JSON.parse(answer.body)).toHaveProperty('app')
  })

  it('leaves paths outside the base path to the application, and works below it', async () => {
    const { origin } = new URL(based.url)
    for (const path of ['/token', '/authorize', '/register', '/auth/callback']) {
      expect((await fetch(origin + path, { method: 'POST' })).status).toBe(404)
    }
    const tokens = await login(based.url)
    expect(tokens.token_type).toBe('Bearer')
    const claims = JSON.parse(
      Buffer.from(tokens.access_token.split('.')[1] ?? '', 'base64url').toString(),
    )
    expect(claims.aud).toBe(`${based.url}/mcp`)
    expect(claims.iss).toBe(based.url)
  })
})
