/** Browser sessions of the account pages in Redis, so that all replicas know who is signed in. */
import { RedisStore } from 'connect-redis'
import { createClient } from 'redis'

/** A store for sessions, on a connection of its own. */
export interface RedisSessions {
  readonly store: RedisStore
  close(): void
}

/** Connects, and keeps reconnecting. While Redis is away the account pages answer 503. */
export function redisSessions(url: string): RedisSessions {
  const client = createClient({ url, disableOfflineQueue: true, socket: { reconnectStrategy } })
  // The storage has its own connection to the same server, and reports an outage.
  client.on('error', () => undefined)
  client.connect().catch(() => undefined)
  return {
    store: new RedisStore({ client, prefix: 'mcp-entra-session:' }),
    close: () => client.destroy(),
  }
}

/** Milliseconds until the next attempt to connect. The client's own strategy waits up to two seconds. */
function reconnectStrategy(retries: number): number {
  return Math.min(50 * 2 ** retries, 300) + Math.random() * 100
}
