/** What trouble with Redis costs a user, seen over HTTP: the table in SECURITY.md is this file's. */
import { afterEach, expect, it } from '@jest/globals'
import { redisStorage } from '../../../lib/storage/redis.js'
import type { Storage } from '../../../lib/storage/storage.js'
import {
  addNote,
  authorizeUrl,
  errorOf,
  getCode,
  getNotes,
  login,
  newBrowser,
  pkce,
  postForm,
  redeem,
  refresh,
  register,
  type Tokens,
} from '../../support/oauth-client.js'
import { startProxy, startTestEntra, type TestClock, testClock } from '../../support/proxy.js'
import {
  describeWithOwnRedis,
  type RedisOptions,
  startCluster,
  startRedis,
  startSentinels,
  until,
} from '../../support/redis-server.js'
import { type Connected, onCluster, onSentinel } from '../../support/redis-storages.js'
import { startReplicas } from '../../support/replicas.js'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(options: RedisOptions = {}, deadline = 1) {
  const redis = await startRedis(options)
  closing.push(() => redis.close())
  const storage = redisStorage({ url: redis.url }, { deadline })
  return { redis, ...(await startHost({ storage, close: () => storage.close() })) }
}

async function startHost({ storage, close }: Connected) {
  closing.push(close)
  const world = await startReplicas([storage])
  closing.push(() => world.close())
  return { world, url: world.all[0]?.url ?? '' }
}

/** A 503 that says when to come back: not a 401, not a 500, not a wait. */
async function expect503(request: () => Promise<Response>, within: number): Promise<void> {
  const startedAt = performance.now()
  const answer = await request()
  expect(performance.now() - startedAt).toBeLessThan(within)
  expect(answer.status).toBe(503)
  expect(answer.headers.get('retry-after')).toBe('5')
  expect(await answer.json()).toEqual({
    error: 'temporarily_unavailable',
    error_description: 'The session store cannot be reached. Try again shortly.',
  })
}

async function works(url: string, tokens: Tokens & { clientId: string }): Promise<Tokens> {
  await until(
    'the gate opens',
    async () => (await getNotes(url, tokens.access_token)).status === 200,
  )
  const answer = await refresh(url, tokens)
  expect(answer.status).toBe(200)
  const renewed = (await answer.json()) as Tokens
  expect((await getNotes(url, renewed.access_token)).status).toBe(200)
  return renewed
}

/** A proxy on a Redis of its own, whose failed operations are counted, and move its clock on by a second each. */
async function startWatched(clock: TestClock = { ...testClock(), advance: () => undefined }) {
  const redis = await startRedis()
  closing.push(() => redis.close())
  const connection = redisStorage({ url: redis.url })
  closing.push(() => connection.close())
  let failures = 0
  const watched =
    <A extends unknown[], T>(operation: (...args: A) => Promise<T>) =>
    (...args: A) =>
      operation(...args).catch((error: unknown) => {
        failures += 1
        clock.advance(1)
        throw error
      })
  const { get, set, add, take } = connection
  const storage: Storage = {
    get: watched(get),
    set: watched(set),
    add: watched(add),
    take: watched(take),
  }
  const { url } = await startProxy(await startTestEntra(), { storage, now: clock.now })
  return { redis, url, failures: () => failures }
}

/** Past the second for which a gate believes what it has read. */
const pastRecheck = () => new Promise((resolve) => setTimeout(resolve, 1050))

/** One request of every kind that needs the store. */
async function everythingIs503(
  url: string,
  tokens: Tokens & { clientId: string },
  code: Parameters<typeof redeem>[1],
  within: number,
): Promise<void> {
  await expect503(() => getNotes(url, tokens.access_token), within)
  await expect503(() => refresh(url, tokens), within)
  await expect503(() => redeem(url, code), within)
  await expect503(
    () => postForm(`${url}/revoke`, { token: tokens.refresh_token, client_id: tokens.clientId }),
    within,
  )
}

describeWithOwnRedis('what trouble with Redis costs a user', () => {
  it('kill -9 in use: 200s, then 503s with Retry-After, never a 401 or 500; fine after a restart with its data', async () => {
    const { redis, url, world } = await start({ persistent: true }, 5)
    const tokens = await login(url)
    const code = await getCode(url, { clientId: tokens.clientId })
    const statuses = new Set<number>()
    let busy = true
    const use = async () => {
      while (busy) {
        const answer = await getNotes(url, tokens.access_token)
        statuses.add(answer.status)
        if (answer.status === 503) expect(answer.headers.get('retry-after')).toBe('5')
        await answer.arrayBuffer()
      }
    }
    const users = [use(), use(), use()]
    await until('they are at work', async () => statuses.has(200))
    await redis.kill()
    await pastRecheck()
    await everythingIs503(url, tokens, code, 4000)
    await until('they have noticed', async () => statuses.has(503))
    busy = false
    await Promise.all(users)
    expect([...statuses].sort()).toEqual([200, 503])

    // What needs no store goes on without it.
    expect((await fetch(`${url}/.well-known/oauth-authorization-server`)).status).toBe(200)
    const { challenge } = pkce()
    expect((await fetch(authorizeUrl(url, await register(url), challenge))).status).toBe(200)

    await redis.start()
    await works(url, tokens)
    expect((await redeem(url, code)).status).toBe(200)
    expect(world.all[0]?.logs.some(({ message }) => message === 'mcp-entra: failure')).toBe(true)
  })

  it('a sign-in that ends while Redis is away for a moment: the client gets its code', async () => {
    const { redis, url, failures } = await startWatched()
    const clientId = await register(url)
    await login(url, { clientId })
    await redis.kill()
    const signingIn = getCode(url, { clientId })
    await until('the callback has tried three times', async () => failures() >= 3)
    await redis.start()
    expect((await redeem(url, await signingIn)).status).toBe(200)
  })

  it('the first sign-in after an outage works, though our client may still wait for its next try', async () => {
    const { redis, url, failures } = await startWatched()
    const tokens = await login(url)
    await redis.kill()
    await until('Redis has been missed for a while', async () => {
      await refresh(url, tokens)
      return failures() > 100
    })
    await redis.start()
    expect((await login(url, { clientId: tokens.clientId })).scope).not.toBe('')
  })

  it('a sign-in that ends while Redis stays away tells the client so, and works the next time', async () => {
    const clock = testClock()
    // As if each failure had taken a second.
    const { redis, url } = await startWatched(clock)
    const clientId = await register(url)
    const browser = newBrowser()
    const hint = { login_hint: 'ada@contoso.example' }
    await login(url, { clientId })
    await redis.kill()
    const page = await browser.open(authorizeUrl(url, clientId, pkce().challenge, hint))
    const answer = await browser.press(page, 'approve')
    expect(errorOf(answer)).toBe('temporarily_unavailable')
    expect(new URL(answer.url).searchParams.get('state')).toBe('client-state')
    await redis.start()
    await login(url, { clientId })
  })

  it('a restart without data: users sign in again, and no client has to register again', async () => {
    const { redis, url } = await start()
    const tokens = await login(url)
    await redis.kill()
    await redis.start()
    await pastRecheck()
    let refused = await getNotes(url, tokens.access_token)
    await until('Redis is back', async () => {
      refused = await getNotes(url, tokens.access_token)
      return refused.status !== 503
    })
    expect(refused.status).toBe(401)
    expect(refused.headers.get('www-authenticate')).toMatch(
      /^Bearer error="invalid_token", .*resource_metadata="/,
    )
    const ended = await refresh(url, tokens)
    expect([ended.status, await ended.json()]).toEqual([
      400,
      {
        error: 'invalid_grant',
        error_description: 'The refresh token is unknown, expired, used or revoked. Sign in again.',
      },
    ])
    const again = await login(url, { clientId: tokens.clientId })
    expect((await getNotes(url, again.access_token)).status).toBe(200)
  })

  it('a pause of some deadlines: 503 within each, then everything as before without a restart', async () => {
    const { redis, url } = await start({}, 0.5)
    const tokens = await login(url)
    const code = await getCode(url, { clientId: tokens.clientId })
    await pastRecheck()
    redis.pause()
    const end = performance.now() + 2000
    await expect503(() => getNotes(url, tokens.access_token), 4000)
    while (performance.now() < end) await expect503(() => refresh(url, tokens), 4000)
    redis.resume()
    await works(url, tokens)
    expect((await redeem(url, code)).status).toBe(200)
  })

  it('a pause while a refresh is under way: the client asks again and has a token that works', async () => {
    const { redis, url, world } = await start()
    const tokens = await login(url)
    const slow = world.entra.fault({ at: 'token', grant: 'refresh_token', delay: 0.5 })
    const first = refresh(url, tokens)
    await until('Entra is asked', async () =>
      world.entra.requestsTo('token').some(({ grantType }) => grantType === 'refresh_token'),
    )
    redis.pause()
    await expect503(() => first, 10_000)
    slow()
    redis.resume()
    await works(url, tokens)
  }, 60_000)

  it('a connection cut by CLIENT KILL costs at most a 503', async () => {
    const { redis, url } = await start()
    const tokens = await login(url)
    await pastRecheck()
    await redis.cli('client', 'kill', 'type', 'normal')
    expect([200, 503]).toContain((await getNotes(url, tokens.access_token)).status)
    await works(url, tokens)
  })

  it('a full server that evicts nothing: reading goes on, logins and refreshes are 503 until there is room', async () => {
    const { redis, url } = await start()
    const tokens = await login(url)
    await pastRecheck()
    await redis.cli('config', 'set', 'maxmemory', '1')
    expect((await getNotes(url, tokens.access_token)).status).toBe(200)
    expect((await addNote(url, tokens.access_token, 'x')).status).toBe(403)
    await expect503(() => refresh(url, tokens), 4000)
    await redis.cli('config', 'set', 'maxmemory', '0')
    const { access_token } = await works(url, tokens).catch(() => works(url, tokens))
    expect(access_token).not.toBe(tokens.access_token)
  })

  it('a failover through Sentinel: 503s until the replica has taken over, then every login goes on', async () => {
    const trio = await startSentinels()
    closing.push(() => trio.close())
    const { url } = await startHost(await onSentinel(trio))
    const tokens = await login(url)
    await until('the replica has everything', async () => {
      const [primary, replica] = [trio.primary, trio.replica].map(({ cli }) => cli('dbsize'))
      return (await primary) === (await replica)
    })
    await trio.primary.kill()
    await pastRecheck()
    const statuses = new Set<number>()
    const end = Date.now() + 25_000
    while (!statuses.has(200) && Date.now() < end) {
      const startedAt = performance.now()
      const answer = await getNotes(url, tokens.access_token)
      expect(performance.now() - startedAt).toBeLessThan(6000)
      statuses.add(answer.status)
      if (answer.status === 503) expect(answer.headers.get('retry-after')).toBe('5')
    }
    expect([...statuses].sort()).toEqual([200, 503])
    await works(url, tokens)
  }, 60_000)

  it('slots of a Cluster that move under load cost nobody anything', async () => {
    const cluster = await startCluster()
    closing.push(() => cluster.close())
    const { url } = await startHost(await onCluster(cluster, { deadline: 10 }))
    let tokens = await login(url)
    let moving = true
    const migration = cluster.migrate(2000).finally(() => {
      moving = false
    })
    while (moving) tokens = { ...tokens, ...(await works(url, tokens)) }
    await migration
    await works(url, await login(url))
  }, 60_000)
})
