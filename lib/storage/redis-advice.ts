/** A look at the server's settings: one that evicts keys signs users out at random. */
import type { RedisCommands } from './redis-client.js'

/** Warns when the server may evict our records. Where INFO is not allowed it says nothing. */
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
    // Advice, not a condition.
  }
}

/** The policy of a server that may evict. Without `maxmemory` nothing is ever evicted. */
function evictionPolicy(info: string): string | undefined {
  const maxmemory = Number(/^maxmemory:(\d+)/m.exec(info)?.[1] ?? 0)
  const policy = /^maxmemory_policy:([a-z-]+)/m.exec(info)?.[1]
  return maxmemory > 0 && policy !== 'noeviction' ? policy : undefined
}
