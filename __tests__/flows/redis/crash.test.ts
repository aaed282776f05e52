/** A host dies in the middle of a request: whichever step it was, the client holds a token that works. */
import { afterEach, expect, it } from '@jest/globals'
import { redisStorage } from '../../../lib/storage/redis.js'
import type { Storage } from '../../../lib/storage/storage.js'
import {
  getCode,
  getNotes,
  login,
  redeem,
  refresh,
  register,
  type Tokens,
} from '../../support/oauth-client.js'
import { describeWithRedis, redisForTests } from '../../support/redis-server.js'
import { startReplicas } from '../../support/replicas.js'

const prefix = `crash-${process.pid}:`

/** A store whose process dies at a write: from then on it does nothing and answers nobody. */
function mortal(storage: Storage) {
  const never = new Promise<never>(() => undefined)
  let writes = 0
  let fatal = Number.POSITIVE_INFINITY
  let dead = false
  let die: () => void = () => undefined
  const step = <T>(isWrite: boolean, operation: () => Promise<T>): Promise<T> => {
    if (isWrite) writes += 1
    if (!dead && isWrite && writes === fatal) {
      dead = true
      die()
    }
    return dead ? never : operation()
  }
  return {
    storage: {
      get: (key) => step(false, () => storage.get(key)),
      set: (key, value, ttl) => step(true, () => storage.set(key, value, ttl)),
      add: (key, value, ttl) => step(true, () => storage.add(key, value, ttl)),
      take: (key) => step(true, () => storage.take(key)),
    } satisfies Storage,
    /** Dies before its n-th write from now on. @returns when it has died */
    dieBefore(n: number): Promise<void> {
      writes = 0
      fatal = n
      return new Promise((resolve) => {
        die = resolve
      })
    },
    /** How many writes there were since. */
    writes: () => writes,
  }
}

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A host that will die, and another that takes over. */
async function twoHosts() {
  const redis = await redisForTests()
  closing.push(() => redis.close())
  const storage = redisStorage({ url: redis.url }, { prefix, deadline: 5 })
  closing.push(() => storage.close())
  const first = mortal(storage)
  const world = await startReplicas([first.storage, storage])
  closing.push(() => world.close())
  const [dying, fresh] = world.all.map(({ url }) => url) as [string, string]
  return {
    first,
    world,
    dying,
    fresh,
    /** What 30 seconds do to a lock. */
    async lockRunsOut() {
      const locks = await redis.cli('--scan', '--pattern', `${prefix}lock:*`)
      for (const key of locks.split('\n').filter(Boolean)) await redis.cli('del', key)
    },
  }
}

describeWithRedis('a host that dies during a refresh', () => {
  it('leaves a refresh token that works, whichever write it died before', async () => {
    const { first, world, dying } = await twoHosts()
    const clientId = await register(world.url)
    const unharmed = await login(dying, { clientId })
    void first.dieBefore(Number.POSITIVE_INFINITY)
    expect((await refresh(dying, unharmed)).status).toBe(200)
    const steps = first.writes()
    // Lock, answer to repeat, grant, unlock.
    expect(steps).toBe(4)

    for (let step = 1; step <= steps; step++) {
      const host = await twoHosts()
      const tokens = await login(host.dying)
      const died = host.first.dieBefore(step)
      const lost = new AbortController()
      const unanswered = refreshAndAbort(host.dying, tokens, lost.signal)
      await died
      lost.abort()
      await expect(unanswered).rejects.toThrow()
      // The lock is the first thing written: Entra is asked after it and before anything else.
      const askedEntra = host.world.entra.requestsTo('token').map(({ grantType }) => grantType)
      expect(askedEntra.includes('refresh_token')).toBe(step > 1)
      await host.lockRunsOut()

      const again = await refresh(host.fresh, tokens)
      expect([step, again.status]).toEqual([step, 200])
      const renewed = (await again.json()) as Tokens
      expect((await getNotes(host.fresh, renewed.access_token)).status).toBe(200)
      expect((await refresh(host.fresh, { ...tokens, ...renewed })).status).toBe(200)
    }
  }, 60_000)

  it('leaves an answer to be had again when only the answer was lost', async () => {
    const { dying, fresh } = await twoHosts()
    const tokens = await login(dying)
    const lost = (await (await refresh(dying, tokens)).json()) as Tokens
    const again = await refresh(fresh, tokens)
    expect(await again.json()).toEqual(lost)
  })
})

describeWithRedis('a host that dies during the redemption of a code', () => {
  it.each([1, 2, 3])('before write %i: the code works, or ends cleanly', async (step) => {
    const { first, world, dying, fresh } = await twoHosts()
    world.route(() => 1)
    // The first to read the news of a new store writes some.
    await login(fresh)
    const code = await getCode(dying)
    const died = first.dieBefore(step)
    const lost = new AbortController()
    const unanswered = redeemAndAbort(dying, code, lost.signal)
    await died
    lost.abort()
    await expect(unanswered).rejects.toThrow()
    const again = await redeem(fresh, code)
    const body = (await again.json()) as { error?: string }
    expect([again.status, body.error]).toEqual(
      step === 1 ? [200, undefined] : [400, 'invalid_grant'],
    )
    // Whatever became of it: the client and the user can start again.
    const tokens = await login(fresh, { clientId: code.clientId })
    expect((await getNotes(fresh, tokens.access_token)).status).toBe(200)
  })
})

function refreshAndAbort(url: string, tokens: Tokens & { clientId: string }, signal: AbortSignal) {
  return postAndAbort(url, signal, {
    grant_type: 'refresh_token',
    refresh_token: tokens.refresh_token,
    client_id: tokens.clientId,
  })
}

function redeemAndAbort(
  url: string,
  { code, verifier, clientId }: { code: string; verifier: string; clientId: string },
  signal: AbortSignal,
) {
  return postAndAbort(url, signal, {
    grant_type: 'authorization_code',
    code,
    code_verifier: verifier,
    client_id: clientId,
  })
}

function postAndAbort(url: string, signal: AbortSignal, params: Record<string, string>) {
  return fetch(`${url}/token`, { method: 'POST', body: new URLSearchParams(params), signal })
}
