/** The storage contract on every kind of client, processes included. */
import { afterAll, beforeAll } from '@jest/globals'
import { describeStorage } from '../../lib/testing/describe-storage.js'
import {
  describeWithOwnRedis,
  describeWithRedis,
  type RedisCluster,
  redisForTests,
  type SentinelTrio,
  startCluster,
  startSentinels,
  type TestRedis,
} from '../support/redis-server.js'
import { onCluster, onPool, onSentinel, onSingle, onUrl } from '../support/redis-storages.js'

const processes = new URL('../support/stores/redis-store.mjs', import.meta.url)

/** What the child processes connect to. */
function tellProcesses(kind: string, options: object): void {
  process.env.REDIS_STORE = JSON.stringify({ kind, options })
}

describeWithRedis.each([
  ['single', onSingle] as const,
  ['pool', onPool] as const,
  ['url', onUrl] as const,
])('redisStorage on %s', (kind, connect) => {
  let redis: TestRedis
  beforeAll(async () => {
    redis = await redisForTests()
    tellProcesses(kind, { url: redis.url })
  })
  afterAll(() => redis.close())
  describeStorage(`redis, ${kind}`, () => connect(redis.url), { processes })
})

describeWithOwnRedis('redisStorage on a Cluster client', () => {
  let cluster: RedisCluster
  beforeAll(async () => {
    cluster = await startCluster()
    tellProcesses('cluster', { rootNodes: cluster.rootNodes })
  })
  afterAll(() => cluster.close())
  describeStorage('redis, Cluster', () => onCluster(cluster), { processes })
})

describeWithOwnRedis('redisStorage on a Sentinel client', () => {
  let trio: SentinelTrio
  beforeAll(async () => {
    trio = await startSentinels()
    const { name, sentinelRootNodes } = trio
    tellProcesses('sentinel', { name, sentinelRootNodes })
  })
  afterAll(() => trio.close())
  describeStorage('redis, Sentinel', () => onSentinel(trio), { processes })
})
