import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { type EntraEmulator, startEntra } from 'mcp-entra/testing'
import { closeOthers, startAnother } from '../support/emulator-sign-in.js'

let entra: EntraEmulator

beforeAll(async () => {
  entra = await startEntra()
})
afterAll(() => entra.close())
afterEach(closeOthers)

async function get(path: string): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`${entra.url}${path}`)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

describe('the discovery document', () => {
  it('has the endpoints and the issuer of the tenant', async () => {
    const { body } = await get(`/${entra.tenant.id}/v2.0/.well-known/openid-configuration`)
    const base = `${entra.url}/${entra.tenant.id}`
    expect(body).toMatchObject({
      issuer: `${base}/v2.0`,
      authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
      token_endpoint: `${base}/oauth2/v2.0/token`,
      jwks_uri: `${base}/discovery/v2.0/keys`,
      subject_types_supported: ['pairwise'],
      response_modes_supported: ['query', 'fragment', 'form_post'],
      tenant_region_scope: 'EU',
    })
  })

  it.each([
    'registration_endpoint',
    'revocation_endpoint',
    'code_challenge_methods_supported',
    'client_id_metadata_document_supported',
  ])('lacks %s, as Entra does', async (member) => {
    const { body } = await get('/common/v2.0/.well-known/openid-configuration')
    expect(body).not.toHaveProperty(member)
  })

  it('is found by verified domain, and then speaks of the tenant id', async () => {
    const { body } = await get('/contoso.example/v2.0/.well-known/openid-configuration')
    expect(body.issuer).toBe(`${entra.url}/${entra.tenant.id}/v2.0`)
  })

  it.each(['common', 'organizations'])(
    'has the literal {tenantid} in the issuer at /%s',
    async (name) => {
      const { body } = await get(`/${name}/v2.0/.well-known/openid-configuration`)
      expect(body.issuer).toBe(`${entra.url}/{tenantid}/v2.0`)
    },
  )

  it('has a fixed issuer at /consumers', async () => {
    const { body } = await get('/consumers/v2.0/.well-known/openid-configuration')
    expect(body.issuer).toBe(`${entra.url}/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0`)
  })

  it('has the issuer of v1 tokens in its v1 form', async () => {
    const { body } = await get(`/${entra.tenant.id}/.well-known/openid-configuration`)
    expect(body.issuer).toBe(`https://sts.windows.net/${entra.tenant.id}/`)
  })

  it('refuses a tenant that does not exist (AADSTS90002)', async () => {
    const { status, body } = await get('/nobody.example/v2.0/.well-known/openid-configuration')
    expect({ status, codes: body.error_codes }).toEqual({ status: 400, codes: [90002] })
  })

  it('is not there at the RFC 8414 path', async () => {
    const path = `/.well-known/oauth-authorization-server/${entra.tenant.id}/v2.0`
    expect((await get(path)).status).toBe(404)
  })
})

describe('the key document', () => {
  it.each(['discovery/v2.0/keys', 'discovery/keys'])(
    'lists at least two keys at %s',
    async (path) => {
      const { body } = await get(`/${entra.tenant.id}/${path}`)
      const keys = body.keys as Record<string, unknown>[]
      expect(keys.length).toBeGreaterThanOrEqual(2)
      for (const key of keys) {
        expect(key).toEqual({
          kty: 'RSA',
          use: 'sig',
          kid: expect.any(String),
          x5t: key.kid,
          n: expect.any(String),
          e: 'AQAB',
          issuer: `${entra.url}/{tenantid}/v2.0`,
        })
      }
    },
  )

  it('may name another issuer, for tests of those who compare it', async () => {
    const other = await startAnother({ keyIssuer: 'https://elsewhere.example/{tenantid}/v2.0' })
    const response = await fetch(`${other.url}/common/discovery/v2.0/keys`)
    const { keys } = (await response.json()) as { keys: { issuer: string }[] }
    expect(keys[0]?.issuer).toBe('https://elsewhere.example/{tenantid}/v2.0')
  })
})

describe('anything else', () => {
  it('is 404', async () => {
    expect((await get('/no/such/thing')).status).toBe(404)
  })

  it('answers / with a page that lists what is here', async () => {
    const response = await fetch(`${entra.url}/`)
    const page = await response.text()
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    for (const text of [
      'Ada Lovelace',
      'frida@fabrikam.example',
      'Notes MCP',
      '/oauth2/v2.0/token',
    ]) {
      expect(page).toContain(text)
    }
  })

  it('survives junk', async () => {
    const paths = [
      '/%',
      '/%ff/oauth2/v2.0/token',
      '//',
      '/%00/discovery/keys',
      `/${'x'.repeat(8000)}`,
    ]
    for (const path of paths) expect((await fetch(entra.url + path)).status).toBeLessThan(500)
    const junk = { method: 'POST', body: '%%%=&&&=\u0000' }
    const answer = await fetch(`${entra.url}/common/oauth2/v2.0/token`, junk)
    expect(answer.status).toBe(400)
  })

  it('refuses bodies above one megabyte', async () => {
    const answer = await fetch(`${entra.url}/common/oauth2/v2.0/token`, {
      method: 'POST',
      body: 'x'.repeat(1024 * 1024 + 1),
    })
    expect(answer.status).toBe(413)
  })
})
