/** Attacks on identity assertions: replayed, forged, forwarded, of another kind, and what a provider out of reach means. */
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { exportJWK, generateKeyPair } from 'jose'
import { memoryStorage, type Storage } from 'mcp-entra'
import {
  type AssertionWorld,
  aimAt,
  present,
  presentNew,
  startAssertionWorld,
} from '../../support/assertion-flow.js'
import { newKey } from '../../support/dpop.js'
import type { Entra } from '../../support/host.js'
import type { AssertionChanges } from '../../support/identity-provider.js'
import { ada, bob, login, register } from '../../support/oauth-client.js'
import {
  countingStorage,
  expectRefusal,
  jsonOf,
  type ProxyOptions,
  startProxy,
  startTestEntra,
  type TestProxy,
  testClock,
} from '../../support/proxy.js'

let entra: Entra
let world: AssertionWorld
let proxy: TestProxy
let replica: TestProxy
const counting = countingStorage()
beforeAll(async () => {
  entra = await startTestEntra()
  world = await startAssertionWorld({ tid: entra.tenant.id, oid: ada })
  proxy = await start({ storage: counting.storage })
  replica = await start({ storage: counting.storage, baseUrl: proxy.url })
})
beforeEach(() => aimAt(world, proxy.url))

/** A proxy that trusts the provider of the world. */
function start(options: ProxyOptions = {}, from = world, issuer: object = {}): Promise<TestProxy> {
  const mapUser = ({ tid, oid }: Readonly<Record<string, unknown>>) =>
    typeof tid === 'string' && typeof oid === 'string' ? { tid, oid } : undefined
  const identityAssertions = [{ issuer: from.idp.url, mapUser, ...issuer }]
  return startProxy(entra, { identityAssertions, ...options })
}

const statusesOf = (responses: readonly Response[]) => responses.map(({ status }) => status).sort()
const descriptionOf = async (response: Response) =>
  (await jsonOf<{ error_description: string }>(response)).error_description

describe('an assertion', () => {
  it('is good for one of twenty who bring it at once, to two replicas', async () => {
    const assertion = await world.idp.assertion()
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        present((n % 2 === 0 ? proxy : replica).address, world, assertion),
      ),
    )
    expect(statusesOf(all)).toEqual([200, ...Array(19).fill(400)])
    const again = await present(replica.address, world, assertion)
    expect(await descriptionOf(again)).toBe('The identity assertion has been used before.')
  })

  it('is remembered as used until it can no longer be accepted', async () => {
    const clock = testClock()
    const from = await startAssertionWorld({ tid: entra.tenant.id, oid: ada }, { now: clock.now })
    const timed = await start({ storage: memoryStorage({ now: clock.now }), now: clock.now }, from)
    await aimAt(from, timed.url)
    const assertion = await from.idp.assertion()
    expect((await present(timed.url, from, assertion)).status).toBe(200)
    for (const seconds of [299, 20, 9, 5]) {
      clock.advance(seconds)
      await expectRefusal(await present(timed.url, from, assertion), 'invalid_grant')
    }
  })

  it.each([undefined, '', 7, 'x'.repeat(513)])('with the jti %p is refused', async (jti) => {
    await expectRefusal(await presentNew(proxy.url, world, { claims: { jti } }), 'invalid_grant')
  })

  const now = () => Math.floor(Date.now() / 1000)
  const bad: readonly (readonly [string, () => AssertionChanges])[] = [
    ['for another server', () => ({ claims: { aud: 'https://mcp.fabrikam.example' } })],
    ['for its own issuer', () => ({ claims: { aud: world.idp.url } })],
    [
      'for us and another',
      () => ({ claims: { aud: [proxy.url, 'https://mcp.fabrikam.example'] } }),
    ],
    [
      'for a server whose address begins with ours',
      () => ({ claims: { aud: `${proxy.url}.evil` } }),
    ],
    ['for nobody', () => ({ claims: { aud: undefined } })],
    ['for the token endpoint', () => ({ claims: { aud: `${proxy.url}/token` } })],
    ['for another client', () => ({ claims: { client_id: 'another-client' } })],
    ['for no client', () => ({ claims: { client_id: undefined } })],
    ['for a list of clients', () => ({ claims: { client_id: [world.clientId] } })],
    ['from nobody', () => ({ claims: { iss: undefined } })],
    ['from another issuer', () => ({ claims: { iss: 'https://idp.fabrikam.example' } })],
    ['from an issuer spelt otherwise', () => ({ claims: { iss: `${world.idp.url}/` } })],
    ['for another resource', () => ({ claims: { resource: 'https://mcp.fabrikam.example/mcp' } })],
    [
      'for a foreign resource too',
      () => ({ claims: { resource: [`${proxy.url}/mcp`, 'https://x.example'] } }),
    ],
    ['for a resource that is no text', () => ({ claims: { resource: { url: proxy.url } } })],
    [
      'for a hundred resources',
      () => ({ claims: { resource: Array(100).fill(`${proxy.url}/mcp`) } }),
    ],
    ['about nobody', () => ({ claims: { sub: undefined } })],
    ['about a user who is no text', () => ({ claims: { sub: 7 } })],
    ['with scopes that are no text', () => ({ claims: { scope: ['notes.read'] } })],
    [
      'that grants by authorization details alone',
      () => ({
        claims: { scope: undefined, authorization_details: [{ type: 'note', identifier: '7' }] },
      }),
    ],
    ['bound to a key, without a proof', () => ({ claims: { cnf: { jkt: newKey().jkt } } })],
    ['bound to a certificate', () => ({ claims: { cnf: { 'x5t#S256': newKey().jkt } } })],
    ['bound to what nobody can read', () => ({ claims: { cnf: null } })],
    ['that has expired', () => ({ claims: { iat: now() - 400, exp: now() - 100 } })],
    ['without an expiry', () => ({ claims: { exp: undefined } })],
    ['without a time of issue', () => ({ claims: { iat: undefined } })],
    ['from the future', () => ({ claims: { iat: now() + 100, exp: now() + 300 } })],
    ['not valid yet', () => ({ claims: { nbf: now() + 100 } })],
    ['that lives for a day', () => ({ claims: { exp: now() + 86_400 } })],
    ['that lives for ever', () => ({ claims: { exp: Number.MAX_SAFE_INTEGER } })],
    [
      'from long ago that still lives',
      () => ({ claims: { iat: now() - 86_400, exp: now() + 300 } }),
    ],
    ['whose times are texts', () => ({ claims: { exp: String(now() + 300) } })],
    ['of no type', () => ({ header: { typ: undefined } })],
    ['of the type of an id token', () => ({ header: { typ: 'JWT' } })],
    ['of the type of an access token', () => ({ header: { typ: 'at+jwt' } })],
    ['of a type that only begins alike', () => ({ header: { typ: 'oauth-id-jag+jwt2' } })],
    ['with a key that nobody knows', () => ({ header: { kid: 'unknown' } })],
  ]

  it.each(bad)('%s is refused, and leaves nothing in the store', async (_what, changes) => {
    const before = counting.writes.length
    await expectRefusal(await presentNew(proxy.url, world, changes()), 'invalid_grant')
    expect(counting.writes.length).toBe(before)
  })

  it('with a slash after our name is accepted: clients take the issuer for a URL', async () => {
    const claims = { aud: `${proxy.url}/` }
    expect((await presentNew(proxy.url, world, { claims })).status).toBe(200)
  })

  it('stays good when another client brings it', async () => {
    const assertion = await world.idp.assertion()
    const thief = { clientId: await register(proxy.url) }
    await expectRefusal(await present(proxy.url, thief, assertion), 'invalid_grant')
    await expectRefusal(
      await present(proxy.url, { clientId: 'none' }, assertion),
      'invalid_client',
      401,
    )
    expect((await present(proxy.url, world, assertion)).status).toBe(200)
  })

  it('that is huge is refused before it is read', async () => {
    const response = await presentNew(proxy.url, world, { claims: { more: 'x'.repeat(10_000) } })
    await expectRefusal(response, 'invalid_request')
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      client_id: world.clientId,
    }
    const body = new URLSearchParams({ ...form, assertion: 'x'.repeat(100_000) })
    const larger = await fetch(`${proxy.url}/token`, { method: 'POST', body })
    expect(larger.status).toBe(413)
  })

  it.each(['', 'x', 'a.b.c', 'e30.e30.', '..', `${'e30'.repeat(9)}.e30.AAAA`])(
    'that reads %p is refused',
    async (assertion) => {
      const response = await present(proxy.url, world, assertion)
      await expectRefusal(response, assertion === '' ? 'invalid_request' : 'invalid_grant')
    },
  )
})

describe('the signature', () => {
  const claims = () => {
    const iat = Math.floor(Date.now() / 1000)
    const own = { iss: world.idp.url, aud: proxy.url, client_id: world.clientId, sub: 'user-1' }
    return {
      ...own,
      jti: `forged ${Math.random()}`,
      iat,
      exp: iat + 300,
      tid: entra.tenant.id,
      oid: ada,
    }
  }
  const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url')

  it('must be there: alg none is refused, in any spelling', async () => {
    for (const alg of ['none', 'None', 'NONE', '', undefined]) {
      const header = encode({ alg, typ: 'oauth-id-jag+jwt' })
      await expectRefusal(
        await present(proxy.url, world, `${header}.${encode(claims())}.`),
        'invalid_grant',
      )
    }
  })

  it('cannot be an HMAC under the public key', async () => {
    await expectRefusal(await present(proxy.url, world, world.idp.hmac(claims())), 'invalid_grant')
  })

  it('of another key is refused, also when the header brings that key along', async () => {
    const { publicKey, privateKey: key } = await generateKeyPair('ES256', { extractable: true })
    const jwk = await exportJWK(publicKey)
    for (const header of [{}, { jwk }, { jku: 'https://evil.example/keys' }, { kid: undefined }]) {
      await expectRefusal(await presentNew(proxy.url, world, { key, header }), 'invalid_grant')
    }
  })

  it('of another trusted provider is refused', async () => {
    const second = await startAssertionWorld(world.user)
    const mapUser = () => ({ tid: entra.tenant.id, oid: bob })
    const issuers = [world, second].map(({ idp }) => ({ issuer: idp.url, mapUser }))
    const both = await startProxy(entra, { identityAssertions: issuers })
    await aimAt(world, both.url)
    await aimAt(second, both.url)
    second.clientId = world.clientId
    expect((await presentNew(both.url, second)).status).toBe(200)
    const forged = { claims: { iss: world.idp.url } }
    await expectRefusal(await presentNew(both.url, second, forged), 'invalid_grant')
  })

  it('must be of an algorithm that the operator allows this provider', async () => {
    const strict = await start({}, world, { algorithms: ['RS256'] })
    await aimAt(world, strict.url)
    const response = await presentNew(strict.url, world)
    expect(await descriptionOf(response)).toBe('The identity assertion must be signed with RS256.')
  })

  it('is changed by changing anything', async () => {
    const [header = '', payload = '', signature = ''] = (await world.idp.assertion()).split('.')
    const read = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
    const changed = encode({ ...read, oid: bob })
    await expectRefusal(
      await present(proxy.url, world, `${header}.${changed}.${signature}`),
      'invalid_grant',
    )
  })
})

describe('another token', () => {
  it('of the provider is no assertion: an id token opens nothing', async () => {
    await expectRefusal(await present(proxy.url, world, await world.idp.idToken()), 'invalid_grant')
  })

  it('of ours or of Entra is no assertion', async () => {
    const { access_token } = await login(proxy.url)
    await expectRefusal(await present(proxy.url, world, access_token), 'invalid_grant')
    const entras = await entra.mintAccessToken({ user: ada })
    await expectRefusal(await present(proxy.url, world, entras), 'invalid_grant')
  })

  it('is what an assertion is not: as a bearer at the gate, or as a client assertion, it is nothing', async () => {
    const assertion = await world.idp.assertion()
    const headers = { authorization: `Bearer ${assertion}` }
    expect((await fetch(`${proxy.url}/api/notes`, { headers })).status).toBe(401)
    const body = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: world.clientId,
      client_assertion: assertion,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    })
    const response = await fetch(`${proxy.url}/token`, { method: 'POST', body })
    await expectRefusal(response, 'invalid_client', 401)
    expect((await present(proxy.url, world, assertion)).status).toBe(200)
  })
})

describe('an identity provider', () => {
  it('that is out of reach is a 503 and no refusal, and the assertion is good afterwards', async () => {
    const from = await startAssertionWorld(world.user)
    const server = await start({}, from)
    await aimAt(from, server.url)
    const assertion = await from.idp.assertion()
    for (const answer of [{ status: 500 }, { status: 404 }, { status: 200, body: { keys: [] } }]) {
      const fresh = await start({}, from)
      from.idp.answer = () => answer
      const aimed = await from.idp.assertion({ claims: { aud: fresh.url } })
      const response = await present(fresh.url, from, aimed)
      expect(response.headers.get('retry-after')).toMatch(/^\d+$/)
      await expectRefusal(response, 'temporarily_unavailable', 503)
    }
    from.idp.answer = () => undefined
    expect((await present(server.url, from, assertion)).status).toBe(200)
    await from.idp.close()
    // Its keys are known by now.
    expect((await presentNew(server.url, from)).status).toBe(200)
    const fresh = await start({}, from)
    await aimAt(from, fresh.url)
    await expectRefusal(await presentNew(fresh.url, from), 'temporarily_unavailable', 503)
    expect(JSON.stringify(fresh.logs)).not.toContain(assertion)
  })

  it('whose metadata is that of another issuer is not believed', async () => {
    const from = await startAssertionWorld(world.user)
    const server = await start({}, from)
    await aimAt(from, server.url)
    from.idp.answer = (path) =>
      path.endsWith('openid-configuration')
        ? { status: 200, body: { issuer: world.idp.url, jwks_uri: `${world.idp.url}/keys` } }
        : undefined
    await expectRefusal(await presentNew(server.url, from), 'temporarily_unavailable', 503)
  })

  it('cannot make this server read what is inside: only what the operator named may be there', async () => {
    const from = await startAssertionWorld(world.user)
    const inside = await startAssertionWorld(world.user)
    const server = await start({}, from)
    await aimAt(from, server.url)
    from.idp.answer = (path) =>
      path.endsWith('openid-configuration')
        ? { status: 200, body: { issuer: from.idp.url, jwks_uri: `${inside.idp.url}/keys` } }
        : undefined
    await expectRefusal(await presentNew(server.url, from), 'temporarily_unavailable', 503)
    expect(inside.idp.asked).toEqual([])
  })

  it('is asked for its keys once more for a key that nobody knows, and not at the pace of strangers', async () => {
    const from = await startAssertionWorld(world.user)
    const server = await start({}, from)
    await aimAt(from, server.url)
    const asked = () => from.idp.asked.filter((path) => path === '/keys').length
    expect((await presentNew(server.url, from)).status).toBe(200)
    for (let n = 0; n < 20; n++) {
      const header = { kid: `made up ${n}` }
      await expectRefusal(await presentNew(server.url, from, { header }), 'invalid_grant')
    }
    expect(asked()).toBe(2)
  })

  it.each(['no-store', 'no-cache, must-revalidate, no-transform, no-store', 'no-cache'])(
    'that says %s is not asked each time either, and may be away for a while',
    async (control) => {
      const clock = testClock()
      const from = await startAssertionWorld(world.user, { now: clock.now })
      from.idp.headers = { 'cache-control': control }
      const storage = memoryStorage({ now: clock.now })
      const server = await start({ now: clock.now, storage }, from)
      await aimAt(from, server.url)
      for (let n = 0; n < 5; n++) {
        expect((await presentNew(server.url, from)).status).toBe(200)
        await presentNew(server.url, from, { header: { kid: `made up ${n}` } })
      }
      const keys = from.idp.asked.filter((path) => path === '/keys')
      expect([keys.length, from.idp.asked.length - keys.length]).toEqual([2, 1])
      from.idp.answer = () => ({ status: 500 })
      clock.advance(120)
      expect((await presentNew(server.url, from)).status).toBe(200)
    },
  )

  it('may change its keys: a new one is found at once', async () => {
    const from = await startAssertionWorld(world.user, { alg: 'RS256' })
    const server = await start({}, from)
    await aimAt(from, server.url)
    expect((await presentNew(server.url, from)).status).toBe(200)
    const { publicKey, privateKey: key } = await generateKeyPair('RS256', { extractable: true })
    from.idp.keys.splice(0, 1, { ...(await exportJWK(publicKey)), kid: 'next' })
    expect((await presentNew(server.url, from, { key, header: { kid: 'next' } })).status).toBe(200)
    await expectRefusal(await presentNew(server.url, from), 'invalid_grant')
  })

  it('is found by the metadata of OAuth where it has none of OpenID Connect, and by jwksUri without any', async () => {
    const from = await startAssertionWorld(world.user, { path: '/tenant' })
    from.idp.answer = (path) => {
      if (path.includes('openid-configuration')) return { status: 404 }
      const { url } = from.idp
      return path === '/.well-known/oauth-authorization-server/tenant'
        ? { status: 200, body: { issuer: url, jwks_uri: `${url}/keys` } }
        : undefined
    }
    const discovering = await start({}, from)
    await aimAt(from, discovering.url)
    expect((await presentNew(discovering.url, from)).status).toBe(200)
    const told = await start({}, from, { jwksUri: `${from.idp.url}/keys` })
    await aimAt(from, told.url)
    const before = from.idp.asked.length
    expect((await presentNew(told.url, from)).status).toBe(200)
    expect(from.idp.asked.slice(before)).toEqual(['/tenant/keys'])
  })
})

describe('the store', () => {
  it('that is away is a 503, and the assertion is still good', async () => {
    const memory = memoryStorage()
    let down = false
    const fail = <A extends unknown[], T>(operation: (...args: A) => Promise<T>) => {
      return async (...args: A) => {
        if (down) throw new Error('connect ECONNREFUSED')
        return operation(...args)
      }
    }
    const { get, set, add, take } = memory
    const storage: Storage = { get: fail(get), set: fail(set), add: fail(add), take: fail(take) }
    const server = await start({ storage })
    await aimAt(world, server.url)
    const assertion = await world.idp.assertion()
    down = true
    await expectRefusal(await present(server.url, world, assertion), 'temporarily_unavailable', 503)
    down = false
    expect((await present(server.url, world, assertion)).status).toBe(200)
  })

  it('holds nothing of the user, the client or the provider in the clear, and nothing beyond an hour or so', async () => {
    const written: string[] = []
    const lifetimes: number[] = []
    const memory = memoryStorage()
    const note = (key: string, value: Uint8Array, ttl: number) => {
      written.push(key, Buffer.from(value).toString('latin1'))
      if (/^(?:grant|identity-assertion):/.test(key)) lifetimes.push(ttl)
    }
    const storage: Storage = {
      get: memory.get,
      take: memory.take,
      set: async (key, value, ttl) => {
        note(key, value, ttl)
        await memory.set(key, value, ttl)
      },
      add: async (key, value, ttl) => {
        note(key, value, ttl)
        return memory.add(key, value, ttl)
      },
    }
    const server = await start({ storage })
    await aimAt(world, server.url)
    const assertion = await world.idp.assertion({ claims: { jti: 'a-jti-to-look-for' } })
    expect((await present(server.url, world, assertion)).status).toBe(200)
    const all = written.join('\n')
    for (const secret of [assertion, 'a-jti-to-look-for', ada, world.clientId, world.idp.url]) {
      expect(all).not.toContain(secret)
    }
    expect(lifetimes).toHaveLength(2)
    for (const seconds of lifetimes) expect(seconds).toBeLessThanOrEqual(3700)
    expect(JSON.stringify(server.logs)).not.toContain('a-jti-to-look-for')
  })
})
