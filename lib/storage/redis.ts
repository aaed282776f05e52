/** `mcp-entra/redis`: logins in Redis, shared by any number of replicas, on the `redis` package (v5 and v6). */
import { withinDeadline } from '../async/deadline.js'
import { checkPeer } from './peer-package.js'
import { warnOfEviction } from './redis-advice.js'
import { type ClientSource, givenClient, ownClient, type RedisClient } from './redis-client.js'
import { Late, Offline, outage } from './redis-outage.js'
import type { Storage } from './storage.js'

export type { RedisClient } from './redis-client.js'

/** Options of {@link redisStorage}. */
export interface RedisStorageOptions {
  /** In front of every key (default `mcp-entra:`). */
  readonly prefix?: string
  /** Seconds after which an operation fails, even while the client still waits (default 1). */
  readonly deadline?: number
  /** Called once if the server is set up in a way that loses logins (default `console.warn`). */
  readonly warn?: (message: string) => void
}

/** A {@link Storage} in Redis. */
export interface RedisStorage extends Storage {
  /** Closes the connection made for a `url`. A client that the application made stays open. */
  close(): Promise<void>
}

/** GETDEL for servers before 6.2 (Azure Cache for Redis is 6.0): a script is just as atomic. */
const takeScript =
  "local v=redis.call('GET',KEYS[1]) if v then redis.call('DEL',KEYS[1]) end return v"
const removeIfSameScript =
  "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0"

/**
 * A store in Redis, on a client the application has connected (`createClient`, `createClientPool`,
 * `createCluster`, `createSentinel`) or on a URL. One key per operation, values in binary.
 *
 * Every operation ends within the deadline. With a client that is offline it fails at once, and nothing is queued: users
 * get a 503 with `Retry-After` until Redis is back, and no restart is needed. Reads have to see the latest write, so
 * leave `useReplicas` and `replicaPoolSize` of Cluster and Sentinel clients off. By default a client pauses for up to
 * two seconds between two attempts to connect, and users get 503 for as long after Redis is back: give it a
 * `reconnectStrategy`.
 *
 * @throws TypeError when the connection is neither a client nor a URL, for a wrong option, and for a URL without the
 *   package `redis`
 * @see https://redis.io/docs/latest/develop/clients/nodejs/
 * @example
 * const reconnectStrategy = (retries) => Math.min(50 * 2 ** retries, 300) + Math.random() * 100
 * const client = createClient({ url: process.env.REDIS_URL, disableOfflineQueue: true, socket: { reconnectStrategy } })
 * client.on('error', (error) => logger.warn(error))
 * await client.connect()
 * const auth = entraAuth({ ..., storage: redisStorage(client) })
 */
export function redisStorage(
  connection: RedisClient | { readonly url: string },
  options: RedisStorageOptions = {},
): RedisStorage {
  const { prefix = 'mcp-entra:', deadline = 1, warn = console.warn } = options
  checkOptions(prefix, deadline, warn)
  const milliseconds = deadline * 1000
  const source = readSource(connection, milliseconds)
  const run = runner(source, deadline, warn)
  let getDel = true

  return Object.freeze({
    get: (key: string) => run('get', async (redis) => bytesOf(await redis.get(prefix + key))),
    async set(key: string, value: Uint8Array, ttlSeconds: number) {
      const bytes = Buffer.from(value)
      await run('set', (redis) => redis.set(prefix + key, bytes, { EX: ttlSeconds }))
    },
    async add(key: string, value: Uint8Array, ttlSeconds: number) {
      const name = prefix + key
      const bytes = Buffer.from(value)
      let abandoned = false
      try {
        return await run('add', async (redis) => {
          const added = (await redis.set(name, bytes, { NX: true, EX: ttlSeconds })) !== null
          // For the caller this has failed. The record must go, because it could be a lock that nobody releases.
          if (added && abandoned)
            await redis.eval(removeIfSameScript, { keys: [name], arguments: [bytes] })
          return added
        })
      } catch (error) {
        abandoned = true
        throw error
      }
    },
    take: (key: string) =>
      run('take', async (redis) => {
        const name = prefix + key
        if (getDel) {
          try {
            return bytesOf(await redis.getDel(name))
          } catch (error) {
            if (!/^ERR unknown command/i.test((error as Error).message)) throw error
            getDel = false
          }
        }
        return bytesOf(await redis.eval(takeScript, { keys: [name] }))
      }),
    close: () => source.close(),
  })
}

/** The bytes of a value. As text, a sealed record would already be damaged. */
function bytesOf(reply: unknown): Uint8Array | undefined {
  if (reply === null) return undefined
  if (Buffer.isBuffer(reply)) return reply
  throw new Offline('the client answers with text where Buffers were asked for')
}

/** Runs an operation within its deadline (seconds), and turns every failure into an error that names no key. */
function runner(source: ClientSource, deadline: number, warn: (message: string) => void) {
  // Needed because the timeout of the client only ends commands that have not been sent yet.
  const late = () => new Late(`no answer within ${deadline} s`)
  let advised = false
  return async function run<T>(
    operation: string,
    command: (redis: Awaited<ReturnType<ClientSource['ready']>>) => Promise<T>,
  ): Promise<T> {
    try {
      const answer = await withinDeadline(deadline, late, async () => command(await source.ready()))
      source.noteAnswer()
      if (!advised) {
        advised = true
        void warnOfEviction(await source.ready(), warn)
      }
      return answer
    } catch (error) {
      if (error instanceof Late) source.noteSilence()
      else source.noteAnswer()
      throw outage(operation, error)
    }
  }
}

function readSource(connection: unknown, milliseconds: number): ClientSource {
  const { url, withCommandOptions } = (connection ?? {}) as Partial<RedisClient & { url: unknown }>
  if (typeof withCommandOptions === 'function')
    return givenClient(connection as RedisClient, milliseconds)
  if (typeof url === 'string' && /^rediss?:\/\//.test(url) && URL.canParse(url)) {
    checkPeer('redisStorage with a url', 'redis')
    return ownClient(url, milliseconds)
  }
  throw new TypeError(
    "redisStorage: give it a client of the package redis (v5 or v6), or { url: 'redis://…' }",
  )
}

function checkOptions(prefix: unknown, deadline: unknown, warn: unknown): void {
  if (typeof prefix !== 'string' || !/^[\x21-\x7E]*$/.test(prefix)) {
    throw new TypeError("redisStorage: prefix must be printable ASCII, such as 'mcp-entra:'")
  }
  if (typeof deadline !== 'number' || !(deadline > 0) || deadline > 60) {
    throw new TypeError('redisStorage: deadline must be a number of seconds, at most 60')
  }
  if (typeof warn !== 'function') {
    throw new TypeError('redisStorage: warn must be a function that takes a message')
  }
}
