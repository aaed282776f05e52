/** Makes a store on the Redis that the environment names, in a child process: see contract.test.ts. */
import { createClient, createClientPool, createCluster, createSentinel } from 'redis'
import { redisStorage } from '../../../dist/storage/redis.js'

const { kind, options } = JSON.parse(process.env.REDIS_STORE ?? '{}')
const makers = {
  single: () => createClient(options),
  pool: () => createClientPool(options),
  cluster: () => createCluster(options),
  sentinel: () => createSentinel(options),
}

export default async function create() {
  if (kind === 'url') {
    const storage = redisStorage(options)
    return { storage, close: () => storage.close() }
  }
  const client = makers[kind]()
  client.on('error', () => undefined)
  await client.connect()
  return { storage: redisStorage(client), close: () => client.close() }
}
