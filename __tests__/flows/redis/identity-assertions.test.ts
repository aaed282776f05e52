/** Identity assertions on two replicas that share a Redis. */
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { startEntra } from 'mcp-entra/testing'
import {
  type AssertionWorld,
  aimAt,
  present,
  startAssertionWorld,
} from '../../support/assertion-flow.js'
import { type Entra, startHost, type TestHost } from '../../support/host.js'
import { ada, getNotes, type Tokens } from '../../support/oauth-client.js'
import { jsonOf } from '../../support/proxy.js'
import { describeWithRedis, redisForTests, type TestRedis } from '../../support/redis-server.js'
import { type Connected, onUrl } from '../../support/redis-storages.js'

describeWithRedis('an identity assertion at two replicas on one Redis', () => {
  let entra: Entra
  let world: AssertionWorld
  let redis: TestRedis
  let connections: Connected[]
  let hosts: TestHost[]
  beforeAll(async () => {
    redis = await redisForTests()
    entra = await startEntra()
    world = await startAssertionWorld({ tid: entra.tenant.id, oid: ada })
    const mapUser = () => ({ tid: entra.tenant.id, oid: ada })
    const settings = { identityAssertions: [{ issuer: world.idp.url, mapUser }] }
    const prefix = `assertions-${process.pid}:`
    connections = await Promise.all([1, 2].map(() => onUrl(redis.url, { prefix })))
    const [one, two] = connections.map(({ storage }) => storage)
    if (!one || !two) throw new Error('two storages')
    const first = await startHost(entra, { storage: one, settings })
    const baseUrl = first.url
    hosts = [first, await startHost(entra, { storage: two, settings: { ...settings, baseUrl } })]
    await aimAt(world, first.url)
  })
  afterAll(async () => {
    await Promise.all(hosts.map((host) => host.close()))
    await Promise.all(connections.map(({ close }) => close()))
    await Promise.all([entra.close(), redis.close()])
  })

  it('is good once, of twenty requests at once, and its token works at both', async () => {
    for (let round = 0; round < 5; round++) {
      const assertion = await world.idp.assertion()
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, n) => present(hosts[n % 2]?.url ?? '', world, assertion)),
      )
      const good = all.filter(({ status }) => status === 200)
      expect(good).toHaveLength(1)
      expect(all.filter(({ status }) => status === 400)).toHaveLength(19)
      const { access_token } = await jsonOf<Tokens>(good[0] as Response)
      for (const { url } of hosts) expect((await getNotes(url, access_token)).status).toBe(200)
    }
  })
})
