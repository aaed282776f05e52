/** Tokens of ours at the gate: revocation within a second, and what that costs the store. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { requireBearer } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { ada, ask, bob, challenge, decode, startGate, type TestGate } from '../support/gate.js'
import type { Entra } from '../support/host.js'
import { login, postForm, refresh, type Tokens } from '../support/oauth-client.js'
import { until } from '../support/redis-server.js'

let entra: Entra
let gate: TestGate
let own: Tokens & { clientId: string }

beforeAll(async () => {
  entra = await startEntra()
})
afterAll(() => entra.close())
beforeEach(async () => {
  gate = await startGate(entra)
  own = await login(gate.url, { user: ada })
})
afterEach(() => gate.close())

const call = (token = own.access_token, url = gate.url) => ask(`${url}/mcp`, token)
const statuses = async (count: number) => {
  const responses = await Promise.all(Array.from({ length: count }, () => call()))
  return new Set(responses.map(({ status }) => status))
}
const reads = () => gate.store.calls.filter((made) => made === 'get grant').length

function revoke(token: string): Promise<Response> {
  return postForm(`${gate.url}/revoke`, { token, client_id: own.clientId })
}

async function expectRevoked(response: Response): Promise<void> {
  expect(response.status).toBe(401)
  expect(response.headers.get('www-authenticate')).toBe(
    challenge(gate.url, 'invalid_token', 'The access token has been revoked.'),
  )
}

async function expectOutage(response: Response): Promise<void> {
  expect(response.status).toBe(503)
  expect(response.headers.get('www-authenticate')).toBeNull()
  expect(response.headers.get('retry-after')).toBe('5')
  expect(await response.json()).toEqual({
    error: 'temporarily_unavailable',
    error_description: 'The session store cannot be reached. Try again shortly.',
  })
}

/** A token that is new here: its grant, and whether that or the token itself was revoked. */
const firstReads = ['get grant', 'get revoked', 'get revoked-token']
/** What the gate asked the store about this token, whatever the news. */
const askedOfToken = () =>
  gate.store.calls.filter((made) => !/ (?:news|cut-off)$/.test(made)).sort()
const newsReads = () => gate.store.calls.filter((made) => made === 'get news').length

describe('a token of ours', () => {
  it('names no person (RFC 9068 section 6: nothing a client could read)', () => {
    const { header, claims } = decode(own.access_token)
    expect(header).toEqual({ typ: 'at+jwt', alg: 'ES256', kid: expect.any(String) })
    expect(Object.keys(claims).sort()).toEqual(
      ['aud', 'client_id', 'exp', 'iat', 'iss', 'jti', 'scope', 'sid', 'sub'].sort(),
    )
  })

  it('costs the store nothing however busy it is: only the news are read, once a second for all tokens', async () => {
    gate.clock.stop()
    gate.clock.advance(1)
    gate.store.calls.length = 0
    for (let round = 0; round < 50; round++) expect((await call()).status).toBe(200)
    expect(askedOfToken()).toEqual(firstReads)
    const atFirst = newsReads()
    expect(atFirst).toBe(1)
    gate.clock.advance(0.999)
    expect(await statuses(30)).toEqual(new Set([200]))
    expect(newsReads()).toBe(atFirst)
    gate.clock.advance(0.001)
    expect(await statuses(30)).toEqual(new Set([200]))
    expect(await statuses(30)).toEqual(new Set([200]))
    expect(newsReads()).toBe(2 * atFirst)
    expect(askedOfToken()).toEqual(firstReads)
  })

  it('has its grant looked at again after a minute, and after any revocation', async () => {
    gate.clock.stop()
    expect((await call()).status).toBe(200)
    gate.store.calls.length = 0
    gate.clock.advance(60)
    expect(await statuses(30)).toEqual(new Set([200]))
    expect(reads()).toBe(1)
    const { refresh_token: token, clientId: client_id } = await login(gate.url)
    expect((await postForm(`${gate.url}/revoke`, { token, client_id })).status).toBe(200)
    gate.store.calls.length = 0
    expect(await statuses(30)).toEqual(new Set([200]))
    expect(reads()).toBe(1)
  })

  it('is read once for twenty requests that wait for the store at once', async () => {
    let arrived = 0
    let release = () => {}
    const crowded = await startGate(entra, {
      options: { baseUrl: gate.url, storage: gate.store },
      mount(app, auth) {
        const gated = requireBearer(auth)
        app.use('/mcp', (req, res, next) => {
          gated(req, res, next)
          arrived += 1
          if (arrived % 20 === 0) release()
        })
        app.use('/mcp', (_req, res) => void res.end())
      },
    })
    const twenty = async () => {
      gate.store.calls.length = 0
      gate.store.busy = new Promise((resolve) => {
        release = resolve
      })
      const calls = Array.from({ length: 20 }, () => call(own.access_token, crowded.url))
      return (await Promise.all(calls)).map(({ status }) => status)
    }
    const all = Array.from({ length: 20 }, () => 200)
    expect(await twenty()).toEqual(all)
    expect(askedOfToken()).toEqual(firstReads)
    // And once more when it has to be looked at again.
    crowded.clock.advance(60)
    expect(await twenty()).toEqual(all)
    expect(askedOfToken()).toEqual(['get grant'])
    expect(newsReads()).toBe(1)
    await crowded.close()
  })

  it('is refused twenty times when twenty requests bring it revoked', async () => {
    await revoke(own.refresh_token)
    expect(await statuses(20)).toEqual(new Set([401]))
  })

  it.each(['refresh_token', 'access_token'] as const)(
    'stops within one second of the revocation of the %s',
    async (which) => {
      gate.clock.stop()
      expect((await call()).status).toBe(200)
      expect((await revoke(own[which])).status).toBe(200)
      gate.clock.advance(1)
      await expectRevoked(await call())
      // And for good: not from a cache, nor from the store.
      await expectRevoked(await call())
    },
  )

  it('stops on every replica within that second', async () => {
    const replica = await startGate(entra, {
      options: { baseUrl: gate.url, storage: gate.store },
    })
    expect((await call(own.access_token, replica.url)).status).toBe(200)
    expect((await revoke(own.refresh_token)).status).toBe(200)
    replica.clock.advance(1)
    await expectRevoked(await call(own.access_token, replica.url))
    await replica.close()
  })

  it('stops even when it is revoked while a replica that has never seen it is looking it up', async () => {
    let goOn = () => {}
    const held = new Promise<void>((resolve) => {
      goOn = resolve
    })
    const asked: string[] = []
    const get = async (key: string) => {
      asked.push(key)
      if (key.startsWith('news:')) await held
      return gate.store.get(key)
    }
    const replica = await startGate(entra, {
      options: { baseUrl: gate.url, storage: { ...gate.store, get } },
    })
    const looking = call(own.access_token, replica.url)
    await until('it looks for news', async () => asked.some((key) => key.startsWith('news:')))
    expect((await revoke(own.access_token)).status).toBe(200)
    goOn()
    await looking
    replica.clock.advance(2)
    await expectRevoked(await call(own.access_token, replica.url))
    await replica.close()
  })

  it('outlives the revocation of its sister of the same login', async () => {
    const second = (await (await refresh(gate.url, own)).json()) as Tokens
    gate.clock.stop()
    expect((await call()).status).toBe(200)
    await revoke(own.access_token)
    gate.clock.advance(1)
    await expectRevoked(await call())
    expect((await call(second.access_token)).status).toBe(200)
  })

  it('goes on beside the one a refresh brings', async () => {
    gate.clock.stop()
    expect((await call()).status).toBe(200)
    const second = (await (await refresh(gate.url, own)).json()) as Tokens
    gate.clock.advance(1)
    expect((await call()).status).toBe(200)
    expect((await call(second.access_token)).status).toBe(200)
    // The newer one has taken its place in the cache, and nothing more.
    expect((await call()).status).toBe(200)
    expect((await call(second.access_token)).status).toBe(200)
  })

  it('ends when its time is over, from the cache and without it', async () => {
    const aging = (await (await refresh(gate.url, own)).json()) as Tokens
    expect((await call()).status).toBe(200)
    gate.clock.advance(3601)
    for (const token of [own.access_token, aging.access_token, own.access_token]) {
      const response = await call(token)
      expect(response.headers.get('www-authenticate')).toBe(
        challenge(gate.url, 'invalid_token', 'The access token has expired.'),
      )
    }
  })

  it("does not end another user's when it is revoked", async () => {
    const other = await login(gate.url, { user: bob })
    await revoke(own.refresh_token)
    gate.clock.advance(1)
    expect((await call(other.access_token)).status).toBe(200)
  })

  it('works at a server that has a newer key in front of the ring, not at one without the old', async () => {
    const keys = ['test key one: 0123456789abcdef', 'test key two: fedcba9876543210']
    const newest = 'a newer key: 00112233445566778899'
    const options = { baseUrl: gate.url, storage: gate.store }
    const rolled = await startGate(entra, { options: { ...options, keys: [newest, ...keys] } })
    expect((await call(own.access_token, rolled.url)).status).toBe(200)
    const other = await startGate(entra, { options: { ...options, keys: [newest] } })
    expect((await call(own.access_token, other.url)).status).toBe(401)
    await rolled.close()
    await other.close()
  })

  it('is no token of a server that has no keys', async () => {
    const direct = await startGate(entra, {
      options: { baseUrl: gate.url },
      without: ['keys'],
      mount: (app, auth) => void app.use('/mcp', requireBearer(auth)),
    })
    const response = await call(own.access_token, direct.url)
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"')
    await direct.close()
  })
})

describe('a token of ours while the store is down', () => {
  it('is a 503 and never a 401 when nobody has seen it, and works when the store is back', async () => {
    gate.store.down = true
    await expectOutage(await call())
    await expectOutage(await call())
    gate.store.down = false
    expect((await call()).status).toBe(200)
  })

  it('works on for the second it was good for, then is a 503, and comes back', async () => {
    gate.clock.stop()
    expect((await call()).status).toBe(200)
    gate.store.down = true
    expect((await call()).status).toBe(200)
    gate.clock.advance(1)
    expect(await statuses(20)).toEqual(new Set([503]))
    await expectOutage(await call())
    gate.store.down = false
    expect((await call()).status).toBe(200)
  })

  it('leaves Entra tokens alone: they need no store', async () => {
    gate.store.down = true
    expect((await call(await entra.mintAccessToken())).status).toBe(200)
  })

  it('tells the operator why', async () => {
    gate.logs.length = 0
    gate.store.down = true
    await call()
    expect(gate.logs).toEqual([
      {
        message: 'mcp-entra: failure',
        client: { id: expect.any(String), onDevice: true },
        grant: expect.any(String),
        scopes: expect.any(Array),
        resource: expect.any(String),
        endpoint: 'gate',
        reason: 'temporarily_unavailable',
        detail: 'The session store cannot be reached. Try again shortly.',
        cause: 'Error: connect ECONNREFUSED',
      },
    ])
  })
})
