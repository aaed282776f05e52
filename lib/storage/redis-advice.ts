/** Checks the settings of the Redis server: one that evicts keys signs users out at random. */
import type { RedisCommands } from './redis-client.js'

/** Warns when the server may evict our records. Without permission for INFO there is no warning. */
export async function warnOfEviction(
  redis: RedisCommands,
  warn: (message: string) => void,
): Promise<void> {
  try {
    const policy = evictionPolicy(String(await redis.info('memory')))
    if (policy !== undefined) {
      warn(
        `redisStorage: Redis evicts keys when its memory is full (maxmemory-policy ${policy}), which signs users out at random. Set maxmemory-policy to noeviction, or use a Redis of its own.`,
      )
    }
  } catch {
    // This is only advice: the store works without it.
  }
}

/** The policy, if the server may evict keys. Without `maxmemory` it never does. */
function evictionPolicy(info: string): string | undefined {
  const maxmemory = Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0)
  const policy = /^maxmemory_policy:([a-z-]+)/m.exec(info)?.[1]
  return maxmemory > 0 && policy !== 'noeviction' ? policy : undefined
}
