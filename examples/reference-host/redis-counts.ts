/** Rate limits counted in Redis, so that all replicas count together. */
import { createHash } from 'node:crypto'
import type { Store } from 'express-rate-limit'
import { type RedisReply, RedisStore } from 'rate-limit-redis'
import { createClient } from 'redis'

/** Milliseconds to wait for Redis. After that a request passes uncounted. */
const deadline = 250

/** Stores for limiters, on one connection. */
export interface RedisCounts {
  readonly store: (prefix: string) => Store
  close(): void
}

/** Connects, and keeps reconnecting. Without Redis the limiters let everybody pass. */
export function redisCounts(url: string): RedisCounts {
  const client = createClient({ url, disableOfflineQueue: true, socket: { reconnectStrategy } })
  // The storage has its own connection to the same server, and reports an outage.
  client.on('error', () => undefined)
  client.connect().catch(() => undefined)

  const send = (command: string[]): Promise<RedisReply> =>
    withinDeadline(client.sendCommand(command) as Promise<RedisReply>)
  /**
   * A limiter loads its scripts when it is made. If Redis is away then, this gives it the SHA-1 that Redis would
   * answer with; when Redis is back and does not know the script, the limiter loads it again.
   */
  const load = (command: string[]) =>
    send(command).catch(() =>
      createHash('sha1')
        .update(command.at(-1) ?? '')
        .digest('hex'),
    )
  return {
    store: (prefix) =>
      new RedisStore({
        prefix,
        sendCommand: (...command) => (command[0] === 'SCRIPT' ? load(command) : send(command)),
      }),
    close: () => client.destroy(),
  }
}

/** Milliseconds until the next attempt to connect. The client's own strategy waits up to two seconds. */
function reconnectStrategy(retries: number): number {
  return Math.min(50 * 2 ** retries, 300) + Math.random() * 100
}

function withinDeadline<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('Redis did not answer in time')), deadline)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}
