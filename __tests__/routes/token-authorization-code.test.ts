/** Codes: redeemed once, by their own client. A replay revokes their login. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { memoryStorage } from 'mcp-entra'
import type { Entra } from '../support/host.js'
import {
  ada,
  addNote,
  getCode,
  getNotes,
  postForm,
  redeem,
  redirectUri,
  refresh,
  register,
  type Tokens,
} from '../support/oauth-client.js'
import {
  expectRefusal,
  hear,
  jsonOf,
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
  proxy = await startProxy(entra, {
    now: clock.now,
    storage: memoryStorage({ now: clock.now }),
    resources: ['/mcp', '/other'],
  })
})

/** A revoked token stops working everywhere within one second. */
async function expectDead(tokens: Tokens & { clientId: string }): Promise<void> {
  clock.advance(1)
  const call = await getNotes(proxy.url, tokens.access_token)
  expect(call.status).toBe(401)
  expect(call.headers.get('www-authenticate')).toContain('error="invalid_token"')
  await expectRefusal(await refresh(proxy.url, tokens), 'invalid_grant')
}

describe('the answer', () => {
  it('holds a bearer token without names, and may not be stored (RFC 6749 section 5.1)', async () => {
    const code = await getCode(proxy.url, { scope: 'notes.read notes.write' })
    const response = await redeem(proxy.url, code)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('pragma')).toBe('no-cache')
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    const body = await jsonOf<Tokens>(response)
    expect(body).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'notes.read notes.write',
      refresh_token: expect.stringMatching(/^[\w-]{80,200}$/),
    })
    const [, payload = ''] = body.access_token.split('.')
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
    expect(claims).toEqual({
      iss: proxy.url,
      aud: `${proxy.url}/mcp`,
      sub: expect.any(String),
      client_id: code.clientId,
      scope: 'notes.read notes.write',
      exp: claims.iat + 3600,
      iat: expect.any(Number),
      jti: expect.any(String),
      sid: expect.any(String),
    })
    expect(JSON.stringify(claims)).not.toMatch(/ada|lovelace|admin/i)
  })

  it("lives no longer than Entra's token", async () => {
    const brief = await startTestEntra({ accessTokenLifetime: 600 })
    const other = await startProxy(brief)
    const { expires_in } = await jsonOf<Tokens>(await redeem(other.url, await getCode(other.url)))
    expect(expires_in).toBeLessThanOrEqual(600)
    expect(expires_in).toBeGreaterThan(590)
  })
})

describe('many at once', () => {
  it('of 20 redemptions one succeeds, 19 hear invalid_grant, and the winner keeps its tokens', async () => {
    const code = await getCode(proxy.url)
    const responses = await Promise.all(Array.from({ length: 20 }, () => redeem(proxy.url, code)))
    const good = responses.filter(({ status }) => status === 200)
    expect(good).toHaveLength(1)
    for (const response of responses) {
      if (response.status !== 200) await expectRefusal(response, 'invalid_grant')
    }
    const tokens = await jsonOf<Tokens>(good[0] as Response)
    clock.advance(1)
    expect((await getNotes(proxy.url, tokens.access_token)).status).toBe(200)
    const refreshed = await refresh(proxy.url, { ...tokens, clientId: code.clientId })
    expect(refreshed.status).toBe(200)
  })

  it('the same over two replicas that share a store', async () => {
    const storage = memoryStorage()
    const one = await startProxy(entra, { storage })
    const two = await startProxy(entra, { storage, baseUrl: one.url })
    const code = await getCode(one.url)
    const responses = await Promise.all(
      Array.from({ length: 20 }, (_, i) => redeem(i % 2 ? one.address : two.address, code)),
    )
    const good = responses.filter(({ status }) => status === 200)
    expect(good).toHaveLength(1)
    const { access_token } = await jsonOf<Tokens>(good[0] as Response)
    for (const at of [one, two]) {
      expect((await getNotes(at.address, access_token)).status).toBe(200)
    }
  })
})

describe('a replay', () => {
  it("later than two seconds revokes the code's tokens within a second", async () => {
    const revocations = hear('mcp-entra:revocation')
    const code = await getCode(proxy.url)
    const tokens = await jsonOf<Tokens>(await redeem(proxy.url, code))
    expect((await getNotes(proxy.url, tokens.access_token)).status).toBe(200)
    clock.advance(3)
    await expectRefusal(await redeem(proxy.url, code), 'invalid_grant')
    expect(revocations).toMatchObject([{ reason: 'code_replayed', user: { oid: ada } }])
    await expectDead({ ...tokens, clientId: code.clientId })
  })

  it('within two seconds is a retry: refused, and nothing is revoked', async () => {
    const revocations = hear('mcp-entra:revocation')
    const code = await getCode(proxy.url)
    const tokens = await jsonOf<Tokens>(await redeem(proxy.url, code))
    for (let i = 0; i < 3; i++) await expectRefusal(await redeem(proxy.url, code), 'invalid_grant')
    clock.advance(2)
    expect((await getNotes(proxy.url, tokens.access_token)).status).toBe(200)
    expect((await refresh(proxy.url, { ...tokens, clientId: code.clientId })).status).toBe(200)
    expect(revocations).toEqual([])
  })

  it.each([
    ['a wrong verifier', async () => ({ verifier: 'v'.repeat(43) })],
    ['another client', async () => ({ clientId: await register(proxy.url) })],
  ])('with %s revokes nothing: PKCE has already stopped the thief', async (_what, stolen) => {
    const code = await getCode(proxy.url)
    const tokens = await jsonOf<Tokens>(await redeem(proxy.url, code))
    clock.advance(30)
    const theft = { ...code, ...(await stolen()) }
    await expectRefusal(await redeem(proxy.url, theft), 'invalid_grant')
    clock.advance(2)
    expect((await getNotes(proxy.url, tokens.access_token)).status).toBe(200)
    expect((await refresh(proxy.url, { ...tokens, clientId: code.clientId })).status).toBe(200)
  })

  it('ends refreshed tokens too', async () => {
    const code = await getCode(proxy.url)
    const first = await jsonOf<Tokens>(await redeem(proxy.url, code))
    const second = await jsonOf<Tokens>(
      await refresh(proxy.url, { ...first, clientId: code.clientId }),
    )
    clock.advance(3)
    await expectRefusal(await redeem(proxy.url, code), 'invalid_grant')
    await expectDead({ ...second, clientId: code.clientId })
  })
})

describe('a redemption that is refused', () => {
  it.each<[string, Record<string, string>, string]>([
    ['a wrong verifier', { code_verifier: 'v'.repeat(43) }, 'invalid_grant'],
    ['a short verifier', { code_verifier: 'v' }, 'invalid_grant'],
    ['an empty verifier', { code_verifier: '' }, 'invalid_request'],
    ['another redirect URI', { redirect_uri: `${redirectUri}/x` }, 'invalid_grant'],
    ['a foreign resource', { resource: 'https://other.example' }, 'invalid_target'],
    ['another resource of ours', { resource: '/other' }, 'invalid_target'],
    ['another code', { code: 'unknown' }, 'invalid_grant'],
    ['an empty code', { code: '' }, 'invalid_request'],
    ['another grant type', { grant_type: 'password' }, 'unsupported_grant_type'],
    ['the grant type __proto__', { grant_type: '__proto__' }, 'unsupported_grant_type'],
    ['the grant type constructor', { grant_type: 'constructor' }, 'unsupported_grant_type'],
    ['no grant type', { grant_type: '' }, 'invalid_request'],
  ])('for %s leaves the code valid', async (_what, more, error) => {
    const code = await getCode(proxy.url)
    const given = more.resource?.startsWith('/') ? { resource: proxy.url + more.resource } : more
    await expectRefusal(await redeem(proxy.url, code, given), error)
    expect((await redeem(proxy.url, code)).status).toBe(200)
  })

  it('for another client leaves the code valid', async () => {
    const code = await getCode(proxy.url)
    const clientId = await register(proxy.url)
    await expectRefusal(await redeem(proxy.url, { ...code, clientId }), 'invalid_grant')
    expect((await redeem(proxy.url, code)).status).toBe(200)
  })

  it.each(['authorization_code', 'refresh_token', 'nonsense', ''])(
    'for an unknown client is 401 whatever the grant (%j)',
    async (grant_type) => {
      for (const client_id of ['unknown', '__proto__', '']) {
        const response = await postForm(`${proxy.url}/token`, { client_id, grant_type })
        await expectRefusal(response, 'invalid_client', 401)
      }
    },
  )
})

describe('a code', () => {
  it('may be redeemed with its resource, and with none', async () => {
    const other = await getCode(proxy.url, { resource: `${proxy.url}/other/` })
    const response = await redeem(proxy.url, other, { resource: `${proxy.url}/other` })
    const { access_token } = await jsonOf<Tokens>(response)
    // A token for the second resource is refused at the first.
    const call = await getNotes(proxy.url, access_token)
    expect(call.status).toBe(401)
  })

  it('may be redeemed without redirect_uri (OAuth 2.1)', async () => {
    const { code, verifier, clientId } = await getCode(proxy.url)
    const response = await postForm(`${proxy.url}/token`, {
      grant_type: 'authorization_code',
      code,
      code_verifier: verifier,
      client_id: clientId,
    })
    expect(response.status).toBe(200)
  })

  it('is good for two minutes', async () => {
    const inTime = await getCode(proxy.url)
    clock.advance(90)
    expect((await redeem(proxy.url, inTime)).status).toBe(200)
    const late = await getCode(proxy.url)
    clock.advance(121)
    await expectRefusal(await redeem(proxy.url, late), 'invalid_grant')
  })

  it("grants only the scopes asked for, though Entra's token has them all", async () => {
    const wide = await jsonOf<Tokens>(
      await redeem(proxy.url, await getCode(proxy.url, { scope: 'notes.read notes.write' })),
    )
    const narrow = await jsonOf<Tokens>(
      await redeem(proxy.url, await getCode(proxy.url, { scope: 'notes.read' })),
    )
    expect(narrow.scope).toBe('notes.read')
    expect((await addNote(proxy.url, wide.access_token, 'x')).status).toBe(201)
    expect((await addNote(proxy.url, narrow.access_token, 'x')).status).toBe(403)
  })
})
