/** Two hosts, one Redis, one public address. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { redisStorage } from '../../../lib/storage/redis.js'
import {
  ada,
  authorizeUrl,
  callMcp,
  getCode,
  getNotes,
  login,
  pkce,
  postForm,
  postJson,
  redeem,
  redirectUri,
  refresh,
  register,
  type Tokens,
  toolText,
} from '../../support/oauth-client.js'
import { describeWithRedis, redisForTests, type TestRedis } from '../../support/redis-server.js'
import { type Counted, counted, type Replicas, startReplicas } from '../../support/replicas.js'

const prefix = `replicas-${process.pid}:`

describeWithRedis('two replicas on one Redis', () => {
  let redis: TestRedis
  let storages: Counted[]
  let world: Replicas
  let close: () => Promise<void>

  beforeAll(async () => {
    redis = await redisForTests()
    const connections = [1, 2].map(() => redisStorage({ url: redis.url }, { prefix, deadline: 5 }))
    storages = connections.map(counted)
    world = await startReplicas(storages)
    close = async () => {
      await world.close()
      for (const connection of connections) await connection.close()
      await redis.close()
    }
  })
  afterAll(() => close())

  const a = () => world.all[0]?.url ?? ''
  const b = () => world.all[1]?.url ?? ''
  const records = async () =>
    (await redis.cli('--scan', '--pattern', `${prefix}*`)).split('\n').length

  it('authorize on A, callback on B, token on A, refresh on B, gate on both', async () => {
    world.route((path) => (path === '/auth/callback' ? 1 : 0))
    const code = await getCode(world.url)
    expect(world.served('/authorize')).toEqual([1, 0])
    expect(world.served('/auth/callback')).toEqual([0, 1])
    world.route(() => undefined)
    const redeemed = await redeem(a(), code)
    expect(redeemed.status).toBe(200)
    const tokens = (await redeemed.json()) as Tokens
    for (const url of [a(), b()])
      expect((await getNotes(url, tokens.access_token)).status).toBe(200)
    const refreshed = await refresh(b(), { ...tokens, clientId: code.clientId })
    expect(refreshed.status).toBe(200)
    const renewed = (await refreshed.json()) as Tokens
    for (const url of [a(), b()]) {
      const answer = await callMcp(url, renewed.access_token, 'tools/call', {
        name: 'whoami',
        arguments: {},
      })
      expect(await toolText(answer)).toMatchObject({ user: { username: 'ada@contoso.example' } })
    }
  })

  it('a whole login works with every request on the next replica', async () => {
    const tokens = await login(world.url)
    for (let n = 0; n < 4; n++) {
      expect((await getNotes(world.url, tokens.access_token)).status).toBe(200)
    }
    expect((await refresh(world.url, tokens)).status).toBe(200)
  })

  it.each(['refresh_token', 'access_token'] as const)(
    'a %s revoked on A is refused by B within one second',
    async (kind) => {
      const tokens = await login(a())
      expect((await getNotes(b(), tokens.access_token)).status).toBe(200)
      const revoked = await postForm(`${a()}/revoke`, {
        token: tokens[kind],
        client_id: tokens.clientId,
      })
      const revokedAt = performance.now()
      expect(revoked.status).toBe(200)
      expect((await getNotes(a(), tokens.access_token)).status).toBe(401)
      // Whatever B saw before, it looks again by then.
      await wait(Math.max(0, revokedAt + 1000 - performance.now()))
      expect((await getNotes(b(), tokens.access_token)).status).toBe(401)
      expect((await refresh(b(), tokens)).status).toBe(kind === 'refresh_token' ? 400 : 200)
    },
  )

  it('a busy token costs a replica one read of the store per second', async () => {
    const tokens = await login(a())
    await Promise.all([getNotes(a(), tokens.access_token), getNotes(b(), tokens.access_token)])
    const before = storages.map(({ count }) => ({ ...count }))
    const startedAt = performance.now()
    let requests = 0
    const busy = async (url: string) => {
      while (performance.now() - startedAt < 1500) {
        expect((await getNotes(url, tokens.access_token)).status).toBe(200)
        requests += 1
      }
    }
    await Promise.all([a(), b(), a(), b(), a(), b()].map(busy))
    const seconds = (performance.now() - startedAt) / 1000
    expect(requests).toBeGreaterThan(20)
    storages.forEach(({ count }, number) => {
      const reads = count.get - (before[number]?.get ?? 0)
      expect(reads).toBeGreaterThan(0)
      expect(reads).toBeLessThanOrEqual(Math.ceil(seconds))
      expect({ ...count, get: 0 }).toEqual({ ...before[number], get: 0 })
    })
  })

  it('a thousand requests without a login leave the store as it was', async () => {
    const clientId = await register(world.url)
    const { challenge } = pkce()
    const before = await records()
    const counts = storages.map(({ count }) => ({ ...count }))
    const registration = { client_name: 'Flood', redirect_uris: [redirectUri] }
    const statuses = new Map<number, number>()
    let left = 1000
    const flood = async () => {
      while (left > 0) {
        left -= 1
        const url = left % 4 < 2 ? a() : b()
        const answer = await (left % 2 === 0
          ? postJson(`${url}/register`, registration)
          : fetch(authorizeUrl(url, clientId, challenge)))
        await answer.arrayBuffer()
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
      }
    }
    await Promise.all(Array.from({ length: 32 }, flood))
    expect([...statuses].sort()).toEqual([
      [200, 500],
      [201, 500],
    ])
    expect(await records()).toBeLessThanOrEqual(before)
    expect(storages.map(({ count }) => count)).toEqual(counts)
  })

  it('fifty refreshes of one token over both replicas: Entra is asked once, all get one answer', async () => {
    const tokens = await login(world.url)
    world.entra.clearRequests()
    const answers = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        const answer = await refresh(n % 2 === 0 ? a() : b(), tokens)
        return { status: answer.status, body: (await answer.json()) as Tokens }
      }),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(answers.map(({ body }) => JSON.stringify(body))).size).toBe(1)
    expect(world.entra.requestsTo('token').map(({ grantType }) => grantType)).toEqual([
      'refresh_token',
    ])
    const [first] = answers
    expect((await getNotes(b(), first?.body.access_token ?? '')).status).toBe(200)
    expect((await refresh(a(), { ...tokens, ...first?.body })).status).toBe(200)
  })

  it('a refresh token used again after the grace ends the login on both, and says so', async () => {
    const tid = world.entra.tenant.id
    const events: unknown[] = []
    const listener = (event: unknown) => void events.push(event)
    const extra = await Promise.all(
      storages.map((storage) => world.add(storage, { refreshGrace: 1 })),
    )
    const [first, second] = extra.map(({ url }) => url) as [string, string]
    const tokens = await login(first)
    const renewed = (await (await refresh(first, tokens)).json()) as Tokens
    expect((await refresh(second, tokens)).status).toBe(200)
    await wait(1100)
    subscribe('mcp-entra:revocation', listener)
    const reused = await refresh(second, tokens)
    unsubscribe('mcp-entra:revocation', listener)
    expect(reused.status).toBe(400)
    expect(await reused.json()).toMatchObject({ error: 'invalid_grant' })
    expect(events).toEqual([
      expect.objectContaining({ reason: 'refresh_token_reused', user: { tid, oid: ada } }),
    ])
    for (const url of [first, second]) {
      expect((await getNotes(url, renewed.access_token)).status).toBe(401)
      const next = await refresh(url, { ...tokens, ...renewed })
      expect([next.status, ((await next.json()) as { error: string }).error]).toEqual([
        400,
        'invalid_grant',
      ])
    }
  })
})
