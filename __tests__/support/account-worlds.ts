/** Where the account pages are tried: one host in memory, and two hosts on one Redis behind one address. */
import { redisStorage } from 'mcp-entra/redis'
import { redisSessions } from '../../examples/reference-host/redis-sessions.js'
import { type Entra, startWorld } from './host.js'
import { redisForTests, until } from './redis-server.js'
import { startReplicas } from './replicas.js'

/** Account pages at an address, in front of an Entra. */
export interface AccountWorld {
  readonly entra: Entra
  readonly url: string
  close(): Promise<void>
}

/** One host, everything in its memory. */
export function accountsInMemory(): Promise<AccountWorld> {
  return startWorld()
}

/** Two hosts whose storage and sessions are in one Redis; every request goes to the next of them. */
export async function accountsInRedis(
  prefix: string,
): Promise<AccountWorld & { readonly redisUrl: string }> {
  const redis = await redisForTests()
  const storages = [1, 2].map(() => redisStorage({ url: redis.url }, { prefix, deadline: 5 }))
  const sessions = [1, 2].map(() => redisSessions(redis.url))
  const ready = () =>
    Promise.all(sessions.map(({ store }) => store.get('nobody'))).then(
      () => true,
      () => false,
    )
  await until('the session stores are connected', ready)
  const world = await startReplicas(
    storages,
    {},
    sessions.map(({ store }) => store),
  )
  return {
    entra: world.entra,
    url: world.url,
    redisUrl: redis.url,
    async close() {
      await world.close()
      for (const { close } of sessions) close()
      for (const storage of storages) await storage.close()
      await redis.close()
    },
  }
}
