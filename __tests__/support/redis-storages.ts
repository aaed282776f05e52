/** Every kind of client that `redisStorage` takes, each connected and ready. */
import { createClient, createClientPool, createCluster, createSentinel } from 'redis'
import { type RedisStorageOptions, redisStorage } from '../../lib/storage/redis.js'
import type { Storage } from '../../lib/storage/storage.js'
import type { RedisCluster, SentinelTrio } from './redis-server.js'

export interface Connected {
  readonly storage: Storage
  close(): Promise<void>
}

const ignore = () => undefined

export async function onSingle(url: string, options?: RedisStorageOptions): Promise<Connected> {
  const client = createClient({ url }).on('error', ignore)
  await client.connect()
  return { storage: redisStorage(client, options), close: async () => client.destroy() }
}

export async function onPool(url: string, options?: RedisStorageOptions): Promise<Connected> {
  const client = createClientPool({ url }, { minimum: 2, maximum: 5, cleanupDelay: 10 })
  client.on('error', ignore)
  await client.connect()
  return { storage: redisStorage(client, options), close: async () => client.destroy() }
}

export async function onUrl(url: string, options?: RedisStorageOptions): Promise<Connected> {
  const storage = redisStorage({ url }, options)
  return { storage, close: () => storage.close() }
}

export async function onCluster(
  { rootNodes }: RedisCluster,
  options?: RedisStorageOptions,
): Promise<Connected> {
  const client = createCluster({ rootNodes: [...rootNodes] }).on('error', ignore)
  await client.connect()
  return { storage: redisStorage(client, options), close: async () => client.destroy() }
}

export async function onSentinel(
  { name, sentinelRootNodes }: SentinelTrio,
  options?: RedisStorageOptions,
): Promise<Connected> {
  const client = createSentinel({ name, sentinelRootNodes: [...sentinelRootNodes] })
  client.on('error', ignore)
  await client.connect()
  return { storage: redisStorage(client, options), close: async () => client.destroy() }
}
