/** What an application and its operator see of `redisStorage`. */
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { createClient } from 'redis'
import { redisStorage } from '../../lib/storage/redis.js'
import { backOff, ownClient } from '../../lib/storage/redis-client.js'
import {
  badNetwork,
  describeWithOwnRedis,
  type OwnRedis,
  startRedis,
  until,
} from '../support/redis-server.js'
import { onSingle } from '../support/redis-storages.js'

const bytes = Buffer.from('value')

/** Another server, for one test. */
async function withRedis(
  args: readonly string[],
  test: (redis: OwnRedis) => Promise<void>,
): Promise<void> {
  const redis = await startRedis({ args })
  try {
    await test(redis)
  } finally {
    await redis.close()
  }
}

describeWithOwnRedis('redisStorage', () => {
  let redis: OwnRedis
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.close())

  it('writes one key under its prefix, with a lifetime in seconds', async () => {
    const { storage, close } = await onSingle(redis.url)
    await storage.set('grant:abc', bytes, 90)
    expect((await redis.cli('keys', '*')).trim()).toBe('mcp-entra:grant:abc')
    expect(Number(await redis.cli('ttl', 'mcp-entra:grant:abc'))).toBeGreaterThan(88)
    await storage.take('grant:abc')
    await close()
  })

  it('keeps two applications on one Redis apart by prefix', async () => {
    const one = await onSingle(redis.url, { prefix: 'one:' })
    const two = await onSingle(redis.url, { prefix: 'two:' })
    await one.storage.set('key', bytes, 60)
    expect(await two.storage.take('key')).toBeUndefined()
    expect(await one.storage.take('key')).toEqual(bytes)
    await Promise.all([one.close(), two.close()])
  })

  it('leaves the answers of the application itself as they were', async () => {
    const client = createClient({ url: redis.url })
    await client.connect()
    const storage = redisStorage(client)
    await storage.set('key', bytes, 60)
    expect(await client.get('mcp-entra:key')).toBe('value')
    expect(await storage.get('key')).toEqual(bytes)
    client.destroy()
  })

  it('connects to a URL at the first use, and closes that connection', async () => {
    const clients = async () =>
      (await redis.cli('client', 'list'))
        .split('\n')
        .filter((line) => /lib-name|cmd=get/.test(line))
    const before = (await clients()).length
    const storage = redisStorage({ url: redis.url })
    expect(await clients()).toHaveLength(before)
    await storage.get('key')
    await storage.close()
    await until('the connection is gone', async () => (await clients()).length === before)
    await expect(storage.get('key')).rejects.toThrow(
      'redisStorage: get failed: the storage has been closed',
    )
  })

  it('looks for a lost Redis at least twice a second, however long it has been away', () => {
    const pauses = (retries: number) => Array.from({ length: 200 }, () => backOff(retries))
    expect(Math.max(...pauses(0))).toBeLessThan(100)
    for (const retries of [0, 3, 10, 2000]) {
      const all = pauses(retries)
      expect(Math.max(...all)).toBeLessThanOrEqual(400)
      expect(Math.min(...all)).toBeGreaterThanOrEqual(37)
      // Replicas that lost it together do not all come back together.
      expect(new Set(all).size).toBeGreaterThan(100)
    }
  })

  it('says what to install where the package is missing', async () => {
    const source = ownClient(redis.url, 1000, () =>
      Promise.reject(new Error('ERR_MODULE_NOT_FOUND')),
    )
    await expect(source.ready()).rejects.toThrow('a URL needs the package redis: npm i redis')
  })

  it('tells an application that forgot to connect its client', async () => {
    await expect(redisStorage(createClient({ url: redis.url })).get('key')).rejects.toThrow(
      'redisStorage: get failed: the client is not connected: await client.connect()',
    )
  })

  it.each([
    [undefined, {}, /^redisStorage: give it a client of the package redis \(v5 or v6\), or \{ url/],
    [{ url: 'localhost:6379' }, {}, /give it a client/],
    [{ url: 'https://localhost' }, {}, /give it a client/],
    [{ url: 'redis://localhost' }, { prefix: 'ä:' }, /^redisStorage: prefix must be printable/],
    [
      { url: 'redis://localhost' },
      { deadline: 0 },
      /^redisStorage: deadline must be a number of s/,
    ],
    [{ url: 'redis://localhost' }, { deadline: '1' }, /^redisStorage: deadline must be a number/],
    [{ url: 'redis://localhost' }, { warn: true }, /^redisStorage: warn must be a function/],
  ])('refuses %j with %j', (connection, options, message) => {
    expect(() => redisStorage(connection as never, options as never)).toThrow(TypeError)
    expect(() => redisStorage(connection as never, options as never)).toThrow(message)
  })

  it('does not leave a lock behind that was taken after its deadline', async () => {
    const network = await badNetwork(redis.port)
    const slow = await onSingle(network.url, { deadline: 0.2 })
    await slow.storage.get('lock')
    network.delay = 300
    await expect(slow.storage.add('lock', bytes, 60)).rejects.toThrow('no answer within 0.2 s')
    const written = async () => (await redis.cli('exists', 'mcp-entra:lock')).trim()
    await until('the lock was written', async () => (await written()) === '1')
    await until('and removed', async () => (await written()) === '0')
    await slow.close()
    await network.close()
  })

  it('warns once about a server that may evict logins, and of no other', async () => {
    const heard: string[] = []
    const options = { warn: (message: string) => void heard.push(message) }
    const calm = await onSingle(redis.url, options)
    await calm.storage.get('key')
    await withRedis(
      ['--maxmemory', '50mb', '--maxmemory-policy', 'allkeys-lru'],
      async ({ url, cli }) => {
        const evicting = await onSingle(url, options)
        await evicting.storage.get('key')
        await evicting.storage.get('key')
        await until('it has warned', async () => heard.length > 0)
        await cli('config', 'set', 'maxmemory-policy', 'noeviction')
        const kept = await onSingle(url, options)
        await kept.storage.get('key')
        await kept.storage.get('key')
        await Promise.all([evicting.close(), kept.close()])
      },
    )
    await calm.close()
    expect(heard).toEqual([
      'redisStorage: Redis evicts keys when its memory is full (maxmemory-policy allkeys-lru), which signs users out at random. Set maxmemory-policy to noeviction, or use a Redis of its own.',
    ])
  })

  it('works where INFO is forbidden', () =>
    withRedis(['--rename-command', 'INFO', ''], async ({ url }) => {
      const { storage, close } = await onSingle(url)
      await storage.set('key', bytes, 60)
      expect(await storage.take('key')).toEqual(bytes)
      await close()
    }))

  it('takes without GETDEL, which Redis before 6.2 does not have, just as atomically', () =>
    withRedis(['--rename-command', 'GETDEL', ''], async ({ url }) => {
      const { storage, close } = await onSingle(url)
      await storage.set('key', bytes, 60)
      const takes = await Promise.all(Array.from({ length: 50 }, () => storage.take('key')))
      expect(takes.filter((taken) => taken !== undefined)).toEqual([bytes])
      await close()
    }))

  it('says so where neither GETDEL nor EVAL is allowed, without a word of the key', () =>
    withRedis(
      ['--rename-command', 'GETDEL', '', '--rename-command', 'EVAL', ''],
      async ({ url }) => {
        const { storage, close } = await onSingle(url)
        await expect(storage.take('secret-key')).rejects.toThrow(
          /^redisStorage: take failed: ERR \(the server does not know the command, or forbids it: Redis 6\.2 or newer is needed, or EVAL\)$/,
        )
        await close()
      },
    ))

  it('names a full server', () =>
    withRedis(['--maxmemory', '1'], async ({ url }) => {
      const { storage, close } = await onSingle(url)
      await expect(storage.set('key', bytes, 60)).rejects.toThrow(
        'redisStorage: set failed: OOM (the server is out of memory: raise maxmemory)',
      )
      await close()
    }))

  it('leaves no timer behind', async () => {
    const { storage, close } = await onSingle(redis.url)
    const timers = () =>
      process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const before = timers()
    await Promise.all(Array.from({ length: 100 }, () => storage.get('key')))
    expect(timers()).toBeLessThanOrEqual(before)
    await close()
  })
})
