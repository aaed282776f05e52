/** Ages, while somebody sets the clock. Nothing here is told a clock of its own: it is the default that counts. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { memoryStorage } from 'mcp-entra'
import { monotonicNow } from '../../lib/async/monotonic-now.js'
import { UpstreamOutage } from '../../lib/entra/errors.js'
import { onBehalfOf } from '../../lib/entra/on-behalf-of.js'
import { signingKeys } from '../../lib/entra/signing-keys.js'
import { startUpstream, testKey } from '../support/entra.js'
import type { Entra } from '../support/host.js'
import { getNotes, login, postForm } from '../support/oauth-client.js'
import { startProxy, startTestEntra } from '../support/proxy.js'

const hours = 3600
const realDate = Date.now
const realMonotonic = performance.now.bind(performance)
/** Seconds by which the time of day has been set, and by which time has gone by. */
let set: number
let passed: number

let entra: Entra
beforeAll(async () => {
  entra = await startTestEntra()
})
beforeEach(() => {
  set = 0
  passed = 0
  jest.spyOn(Date, 'now').mockImplementation(() => realDate() + (set + passed) * 1000)
  jest.spyOn(performance, 'now').mockImplementation(() => realMonotonic() + passed * 1000)
})
afterEach(() => void jest.restoreAllMocks())

it('the clock for ages takes no notice of the time of day', () => {
  const before = monotonicNow()
  set = -48 * hours
  expect(monotonicNow()).toBeGreaterThanOrEqual(before)
  expect(monotonicNow()).toBeLessThan(before + 48 * hours * 1000)
  set = 48 * hours
  expect(monotonicNow()).toBeLessThan(before + 48 * hours * 1000)
  passed = 1
  expect(monotonicNow()).toBeGreaterThanOrEqual(before + 1000)
})

describe('when the time of day is set back', () => {
  it('a revocation on another replica reaches this one within a second all the same', async () => {
    const storage = memoryStorage()
    const one = await startProxy(entra, { storage })
    const two = await startProxy(entra, { storage, baseUrl: one.url })
    const tokens = await login(one.url)
    const { access_token: token, clientId: client_id } = tokens
    expect((await getNotes(two.address, token)).status).toBe(200)
    expect((await postForm(`${one.url}/revoke`, { token, client_id })).status).toBe(200)
    set = -hours / 2
    passed = 1
    expect((await getNotes(two.address, token)).status).toBe(401)
  })

  it("Entra's keys grow old all the same", async () => {
    const key = await testKey('one')
    const upstream = await startUpstream(() => ({ body: { keys: [key.jwk] } }))
    const keys = signingKeys({ uri: `${upstream.url}/keys` })
    await keys.find('one')
    set = -48 * hours
    passed = hours
    await keys.find('one')
    expect(upstream.requests).toHaveLength(2)
    await upstream.close()
  })

  it('an exchanged token is not handed out beyond its end', async () => {
    const { exchange, asked } = exchanger()
    await exchange.token(ada)
    set = -48 * hours
    passed = hours
    await exchange.token(ada)
    expect(asked).toHaveLength(2)
  })

  it('records leave the memory at their time', async () => {
    const storage = memoryStorage()
    await storage.set('a', new Uint8Array(1), 60)
    set = -48 * hours
    passed = 60
    expect(await storage.get('a')).toBeUndefined()
  })
})

describe('when the time of day is set forward', () => {
  it("Entra's keys, and the pause after a failure, stay as young as they are", async () => {
    const key = await testKey('one')
    let status = 200
    const upstream = await startUpstream(() => ({ status, body: { keys: [key.jwk] } }))
    const keys = signingKeys({ uri: `${upstream.url}/keys` })
    await keys.find('one')
    set = 48 * hours
    expect(await keys.find('one')).toBeDefined()
    expect(upstream.requests).toHaveLength(1)
    const fresh = signingKeys({ uri: `${upstream.url}/keys` })
    status = 503
    await expect(async () => fresh.find('one')).rejects.toThrow(UpstreamOutage)
    set = 96 * hours
    await expect(async () => fresh.find('one')).rejects.toThrow(UpstreamOutage)
    expect(upstream.requests).toHaveLength(2)
    await upstream.close()
  })

  it('records stay in the memory', async () => {
    const storage = memoryStorage()
    await storage.set('a', new Uint8Array(1), 60)
    set = 48 * hours
    expect(await storage.get('a')).toEqual(new Uint8Array(1))
  })
})

const ada = { assertion: 'ada', tid: 'tenant', oid: 'ada', scopes: ['api://x/y'] }

function exchanger() {
  const asked: unknown[] = []
  const exchange = onBehalfOf({
    endpoint: {
      onBehalfOf: async (input) => {
        asked.push(input)
        return { accessToken: `token ${asked.length}`, expiresIn: hours }
      },
    },
  })
  return { exchange, asked }
}
