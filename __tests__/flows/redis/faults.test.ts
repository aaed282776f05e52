/** What goes wrong with a real Redis: every operation ends in time, and everything recovers without a restart. */
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import type { Storage } from '../../../lib/storage/storage.js'
import {
  badNetwork,
  describeWithOwnRedis,
  hasRedisBinary,
  startCluster,
  startRedis,
  startSentinels,
  until,
} from '../../support/redis-server.js'
import {
  type Connected,
  onCluster,
  onPool,
  onSentinel,
  onSingle,
  onUrl,
} from '../../support/redis-storages.js'

const bytes = Buffer.from('value')
const deadline = 1
/** Milliseconds an operation may take: the deadline and what a very busy machine adds. */
const bound = deadline * 1000 + 4000

const opened: { close(): unknown }[] = []
const later = <T extends { close(): unknown }>(thing: T): T => {
  opened.push(thing)
  return thing
}
afterEach(async () => {
  for (const thing of opened.splice(0).reverse()) await thing.close()
})

/** How an operation ended, and after how many milliseconds. */
async function outcome(operation: Promise<unknown>): Promise<{ error?: string; took: number }> {
  const startedAt = performance.now()
  const took = () => Math.round(performance.now() - startedAt)
  return operation.then(
    () => ({ took: took() }),
    (error: Error) => ({ error: error.message, took: took() }),
  )
}

/** All four operations fail, each within this many milliseconds. */
async function expectOutage(storage: Storage, within: number): Promise<void> {
  for (const operation of operationsOn(storage)) expectFailure(await outcome(operation()), within)
}

/** The same, all four at once. */
async function expectOutageAtOnce(storage: Storage, within: number): Promise<void> {
  const outcomes = operationsOn(storage).map((operation) => outcome(operation()))
  for (const ended of await Promise.all(outcomes)) expectFailure(ended, within)
}

function operationsOn(storage: Storage): (() => Promise<unknown>)[] {
  return [
    () => storage.get('secret-key'),
    () => storage.set('secret-key', bytes, 60),
    () => storage.add('secret-key', bytes, 60),
    () => storage.take('secret-key'),
  ]
}

function expectFailure({ error, took }: { error?: string; took: number }, within: number): void {
  expect(error).toMatch(/^redisStorage: (?:get|set|add|take) failed: \S/)
  expect(error).not.toContain('secret-key')
  expect(took).toBeLessThan(within)
}

/** All operations work, on every connection of a pool. */
async function expectRecovery(storage: Storage): Promise<void> {
  await until('the storage works again', async () => {
    const reads = await Promise.all(Array.from({ length: 20 }, () => storage.get('none')))
    await storage.set('again', bytes, 60)
    return reads.every((read) => read === undefined)
  })
  expect(await storage.take('again')).toEqual(bytes)
}

/** Ten seconds without an answer, on every kind of client. */
async function pauseLong(): Promise<void> {
  const redis = await startRedis()
  const connected = await Promise.all(kinds.map(([, connect]) => connect(redis.url, { deadline })))
  try {
    const storages = connected.map(({ storage }) => storage)
    await Promise.all(storages.map((storage) => storage.get('key')))
    await storages[0]?.set('key', bytes, 60)
    redis.pause()
    const end = performance.now() + 10_000
    while (performance.now() < end) {
      await Promise.all(storages.map((storage) => expectOutageAtOnce(storage, bound)))
    }
    redis.resume()
    for (const storage of storages) {
      await expectRecovery(storage)
      expect(await storage.get('key')).toEqual(bytes)
    }
  } finally {
    await Promise.all(connected.map(({ close }) => close()))
    await redis.close()
  }
}

/** Begun at once, for the other tests go on meanwhile. */
let longPause: Promise<void> | undefined
beforeAll(() => {
  if (hasRedisBinary) longPause = pauseLong()
  longPause?.catch(() => undefined)
})
afterAll(() => longPause?.catch(() => undefined))

const kinds: [string, (url: string, options: object) => Promise<Connected>][] = [
  ['a client', onSingle],
  ['a pool', onPool],
  ['a URL', onUrl],
]

describeWithOwnRedis.each(kinds)('Redis in trouble, on %s', (_kind, connect) => {
  it('kill -9: fails at once, and works again when Redis is back', async () => {
    const redis = later(await startRedis())
    const { storage } = later(await connect(redis.url, { deadline: 4 }))
    await storage.set('key', bytes, 60)
    await redis.kill()
    await expectOutageAtOnce(storage, 8000)
    // By now every connection is known to be lost: nobody waits for a deadline any more.
    await expectOutageAtOnce(storage, 3000)
    await redis.start()
    await expectRecovery(storage)
    expect(await storage.get('key')).toBeUndefined()
  })

  it('kill -9 with an append-only file: nothing acknowledged is lost', async () => {
    const redis = later(await startRedis({ persistent: true }))
    const { storage } = later(await connect(redis.url, { deadline }))
    await storage.set('key', bytes, 60)
    await redis.kill()
    await redis.start()
    await expectRecovery(storage)
    expect(await storage.get('key')).toEqual(bytes)
  })

  it('CLIENT KILL: at most an error, and a new connection', async () => {
    const redis = later(await startRedis())
    const { storage } = later(await connect(redis.url, { deadline }))
    await storage.set('key', bytes, 60)
    await redis.cli('client', 'kill', 'type', 'normal')
    const { took } = await outcome(storage.get('key'))
    expect(took).toBeLessThan(bound)
    await expectRecovery(storage)
    expect(await storage.get('key')).toEqual(bytes)
  })

  it('a slow link: works below the deadline, fails at it', async () => {
    const redis = later(await startRedis())
    const network = later(await badNetwork(redis.port))
    const { storage } = later(await connect(network.url, { deadline }))
    await storage.set('key', bytes, 60)
    network.delay = 100
    expect(await storage.get('key')).toEqual(bytes)
    network.delay = 1500
    await expectOutageAtOnce(storage, bound)
    network.delay = 0
    await expectRecovery(storage)
  })

  it('fifty operations at once against a paused server all end in time', async () => {
    const redis = later(await startRedis())
    const { storage } = later(await connect(redis.url, { deadline }))
    await storage.get('key')
    redis.pause()
    const all = await Promise.all(Array.from({ length: 50 }, () => outcome(storage.get('key'))))
    for (const { error, took } of all) {
      expect(error).toBeDefined()
      expect(took).toBeLessThan(bound)
    }
    redis.resume()
    await expectRecovery(storage)
  })
})

describeWithOwnRedis('Redis in trouble', () => {
  it('a pause of 10 seconds: bounded errors, then the same data without a restart', () =>
    longPause ?? Promise.reject(new Error('not begun')))
})

describeWithOwnRedis('Redis in trouble, on a URL', () => {
  it('is not there yet: fails, and works as soon as it comes up', async () => {
    const redis = later(await startRedis())
    await redis.kill()
    const { storage } = later(await onUrl(redis.url, { deadline }))
    await expectOutage(storage, bound)
    await expect(storage.get('key')).rejects.toThrow(
      'redisStorage: get failed: Redis cannot be reached: ECONNREFUSED',
    )
    await redis.start()
    await expectRecovery(storage)
  })

  it('gives up a connection on which nothing comes back, and makes a new one', async () => {
    const redis = later(await startRedis())
    const network = later(await badNetwork(redis.port))
    const { storage } = later(await onUrl(network.url, { deadline: 0.6 }))
    await expectRecovery(storage)
    const before = await redis.cli('client', 'list', 'type', 'normal')
    network.silent = true
    for (let n = 0; n < 5; n++) expect((await outcome(storage.get('key'))).error).toBeDefined()
    network.silent = false
    await expectRecovery(storage)
    const addresses = (list: string) => [...list.matchAll(/ addr=(\S+)/g)].map(([, addr]) => addr)
    const after = addresses(await redis.cli('client', 'list', 'type', 'normal'))
    expect(after.filter((address) => addresses(before).includes(address))).toEqual([])
  })

  it('a wrong password is named', async () => {
    const redis = later(await startRedis({ args: ['--requirepass', 'right-password'] }))
    const url = redis.url.replace('//', '//:wrong-password@')
    const { storage } = later(await onUrl(url, { deadline }))
    await expect(storage.get('key')).rejects.toThrow(
      'redisStorage: get failed: Redis cannot be reached: WRONGPASS (the server does not accept user name and password)',
    )
  })
})

describeWithOwnRedis('Sentinel', () => {
  it('fails over: bounded errors, then the replica has the data, without a restart', async () => {
    const trio = later(await startSentinels())
    const { storage } = later(await onSentinel(trio, { deadline }))
    await storage.set('key', bytes, 600)
    await until('the replica has it', async () => (await trio.replica.cli('dbsize')).trim() === '1')
    await trio.primary.kill()
    const startedAt = Date.now()
    let failed = 0
    for (;;) {
      const { error, took } = await outcome(storage.set('other', bytes, 60))
      expect(took).toBeLessThan(bound)
      if (error === undefined) break
      failed += 1
      expect(Date.now() - startedAt).toBeLessThan(25_000)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    expect(failed).toBeGreaterThan(0)
    expect(await storage.get('key')).toEqual(bytes)
    await expectRecovery(storage)
  }, 60_000)
})

describeWithOwnRedis('Cluster', () => {
  it('moves slots under load: no operation fails, no record is lost, single use stays single', async () => {
    const cluster = later(await startCluster())
    const { storage } = later(await onCluster(cluster, { deadline: 10 }))
    const names = Array.from({ length: 400 }, (_, n) => `record-${n}`)
    for (const name of names) await storage.set(name, Buffer.from(name), 600)
    let moving = true
    const migration = cluster.migrate(2000).finally(() => {
      moving = false
    })
    let rounds = 0
    while (moving) {
      const name = `lock-${rounds}`
      const [read, adds] = await Promise.all([
        storage.get(names[rounds % names.length] as string),
        Promise.all(Array.from({ length: 5 }, () => storage.add(name, bytes, 60))),
      ])
      expect(String(read)).toBe(names[rounds % names.length])
      expect(adds.filter(Boolean)).toHaveLength(1)
      const takes = await Promise.all(Array.from({ length: 5 }, () => storage.take(name)))
      expect(takes.filter((taken) => taken !== undefined)).toHaveLength(1)
      rounds += 1
    }
    await migration
    expect(rounds).toBeGreaterThan(10)
    for (const name of names) expect(String(await storage.get(name))).toBe(name)
  }, 60_000)

  it('one node of three dies: its keys fail in time, the others go on, and it comes back', async () => {
    const cluster = later(await startCluster())
    const { storage } = later(await onCluster(cluster, { deadline }))
    const [first] = cluster.nodes
    // Otherwise the whole cluster refuses while a third of its slots is uncovered.
    for (const node of cluster.nodes) {
      await node.cli('config', 'set', 'cluster-require-full-coverage', 'no')
    }
    const names = Array.from({ length: 60 }, (_, n) => `record-${n}`)
    for (const name of names) await storage.set(name, bytes, 600)
    await first?.kill()
    const outcomes = await Promise.all(names.map((name) => outcome(storage.get(name))))
    for (const { took } of outcomes) expect(took).toBeLessThan(bound)
    const failed = outcomes.filter(({ error }) => error !== undefined)
    expect(failed.length).toBeGreaterThan(5)
    expect(failed.length).toBeLessThan(40)
    await first?.start()
    await until('all slots answer again', async () => {
      for (const name of names) await storage.get(name)
      return true
    })
  }, 60_000)
})
