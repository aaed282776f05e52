/** Rate limits counted in Redis, so that all replicas count together. */
import { createHash } from 'node:crypto'
import type { Store } from 'express-rate-limit'
import { type RedisReply, RedisStore } from 'rate-limit-redis'
import { createClient } from 'redis'

/** Milliseconds a request waits for its count; then it passes uncounted. */
const deadline = 250

/** Stores for limiters, and the connection they share. */
export interface RedisCounts {
  readonly store: (prefix: string) => Store
  close(): void
}

/** Connects, and reconnects for ever: a limiter without Redis lets everybody pass. */
export function redisCounts(url: string): RedisCounts {
  const client = createClient({ url, disableOfflineQueue: true, socket: { reconnectStrategy } })
  // The storage, on a connection of its own to the same server, is the one to report an outage.
  client.on('error', () => undefined)
  client.connect().catch(() => undefined)

  const send = (command: string[]): Promise<RedisReply> =>
    inTime(client.sendCommand(command) as Promise<RedisReply>)
  /** Told to load a script while Redis is away, it answers what Redis would: the script is loaded when missed. */
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

/** Milliseconds until the next try to connect. The client's own strategy sleeps up to two seconds. */
function reconnectStrategy(retries: number): number {
  return Math.min(50 * 2 ** retries, 300) + Math.random() * 100
}

function inTime<T>(answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('Redis is silent')), deadline)
  })
  return Promise.race([answer, late]).finally(() => clearTimeout(timer))
}
