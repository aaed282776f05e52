/** The gate when Entra's keys change, and when Entra cannot be asked for them. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type EntraFault, startEntra } from 'mcp-entra/testing'
import { ask, startGate, type TestGate } from '../support/gate.js'
import type { Entra } from '../support/host.js'
import { withShortDeadlines } from '../support/short-deadlines.js'

let entra: Entra
let gate: TestGate

beforeAll(async () => {
  entra = await startEntra()
})
afterAll(() => entra.close())
beforeEach(async () => {
  gate = await startGate(entra)
  entra.clearRequests()
})
afterEach(async () => {
  entra.clearFaults()
  await gate.close()
})

const call = async (token: string) => ask(`${gate.url}/mcp`, token)
const day = 24 * 3600

/** A token that lives through a whole test. */
const lasting = () => entra.mintAccessToken({ expiresIn: 4 * day })

async function expectOutage(response: Response): Promise<number> {
  expect(response.status).toBe(503)
  expect(response.headers.get('www-authenticate')).toBeNull()
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(await response.json()).toEqual({
    error: 'temporarily_unavailable',
    error_description: 'The token cannot be checked right now.',
  })
  const retryAfter = response.headers.get('retry-after') ?? ''
  expect(retryAfter).toMatch(/^[1-9]\d*$/)
  return Number(retryAfter)
}

describe('a gate that never had keys', () => {
  it.each<[string, Omit<EntraFault, 'at'>]>([
    ['answers 503', { status: 503 }],
    ['is throttled', { status: 429, retryAfter: 7 }],
    ['answers an HTML page', { html: true }],
    ['answers an HTML page with status 200', { html: true, status: 200 }],
    ['answers an empty set', { body: '{"keys":[]}' }],
    ['answers half a document', { body: '{"keys":[{"kty"' }],
    ['tears the connection down', { reset: true }],
  ])('answers 503, never 401, while the key endpoint %s, and recovers', async (_name, fault) => {
    entra.fault({ at: 'keys', ...fault })
    const token = await entra.mintAccessToken()
    const seconds = await expectOutage(await call(token))
    if (fault.retryAfter) expect(seconds).toBe(fault.retryAfter)
    entra.clearFaults()
    gate.clock.advance(seconds)
    expect((await call(token)).status).toBe(200)
  })

  it('answers within seconds while the key endpoint hangs, all callers together', async () => {
    entra.fault({ at: 'keys', hang: true })
    const token = await entra.mintAccessToken()
    const { result: responses, deadlines } = await withShortDeadlines(() =>
      Promise.all(Array.from({ length: 20 }, () => call(token))),
    )
    expect(deadlines).toEqual([5])
    const waits = await Promise.all(responses.map(expectOutage))
    expect(entra.requestsTo('keys')).toHaveLength(1)
    // During the back-off nobody waits: neither for Entra, nor does Entra hear of it.
    await expectOutage(await call(token))
    expect(entra.requestsTo('keys')).toHaveLength(1)
    entra.clearFaults()
    gate.clock.advance(Math.max(...waits))
    expect((await call(token)).status).toBe(200)
  })

  it('refuses without asking Entra what no key could make good', async () => {
    entra.fault({ at: 'keys', status: 503 })
    const expired = await entra.mintAccessToken({ expiresIn: -10 })
    const foreign = await entra.mintAccessToken({ audience: 'api://other' })
    const unsigned = await entra.mintAccessToken({ key: 'none' })
    for (const token of [expired, foreign, unsigned]) expect((await call(token)).status).toBe(401)
    expect(entra.requestsTo('keys')).toHaveLength(0)
  })

  it('reports the outage to the operator, with its cause and no token', async () => {
    entra.fault({ at: 'keys', status: 503 })
    const token = await entra.mintAccessToken()
    await call(token)
    expect(gate.logs).toEqual([
      {
        message: 'mcp-entra: failure',
        endpoint: 'gate',
        reason: 'temporarily_unavailable',
        detail: 'The token cannot be checked right now.',
        cause: expect.stringContaining('UpstreamOutage'),
      },
    ])
    expect(JSON.stringify(gate.logs)).not.toContain(token.split('.')[1])
  })

  it('fetches the keys once for many who come at once', async () => {
    const tokens = await Promise.all(Array.from({ length: 20 }, () => entra.mintAccessToken()))
    const responses = await Promise.all(tokens.map(call))
    expect(responses.map(({ status }) => status)).toEqual(tokens.map(() => 200))
    expect(entra.requestsTo('keys')).toHaveLength(1)
  })
})

describe('a gate that has keys', () => {
  beforeEach(async () => {
    expect((await call(await entra.mintAccessToken())).status).toBe(200)
  })

  it.each<[string, Omit<EntraFault, 'at'>]>([
    ['is down', { status: 503 }],
    ['answers HTML', { html: true, status: 200 }],
    ['answers an empty set', { body: '{"keys":[]}' }],
  ])('goes on for a day while the key endpoint %s, then answers 503', async (_name, fault) => {
    entra.fault({ at: 'keys', ...fault })
    for (const seconds of [2 * 3600, 10 * 3600, 11 * 3600]) {
      gate.clock.advance(seconds)
      expect((await call(await lasting())).status).toBe(200)
    }
    gate.clock.advance(2 * 3600)
    await expectOutage(await call(await lasting()))
  })

  it('has nobody wait for more than one fetch when Entra hangs after an hour', async () => {
    entra.fault({ at: 'keys', hang: true })
    gate.clock.advance(2 * 3600)
    const tokens = [await lasting(), await lasting()]
    const { result, deadlines } = await withShortDeadlines(async () => [
      await call(tokens[0] ?? ''),
      await call(tokens[1] ?? ''),
    ])
    expect(result.map(({ status }) => status)).toEqual([200, 200])
    expect(deadlines).toEqual([5])
  })

  it('takes tokens under a new key, and still those under the old one', async () => {
    const before = await lasting()
    await entra.rotateKeys()
    gate.clock.advance(31)
    const after = await lasting()
    expect((await call(after)).status).toBe(200)
    expect((await call(before)).status).toBe(200)
  })

  it('forgets a key that Entra has withdrawn, within the hour', async () => {
    const before = await Promise.all([lasting(), lasting()])
    await entra.rotateKeys({ keepOld: false })
    // The spare key is published still; the one that signed these is not.
    gate.clock.advance(3601)
    expect((await call(await lasting())).status).toBe(200)
    for (const token of before) expect((await call(token)).status).toBe(401)
  })

  it('asks Entra at most once for any number of unknown keys', async () => {
    const unknown = (kid: string) => entra.mintAccessToken({ key: 'foreign', header: { kid } })
    gate.clock.advance(31)
    entra.clearRequests()
    const flood = await Promise.all(Array.from({ length: 100 }, (_, index) => unknown(`k${index}`)))
    const responses = await Promise.all(flood.map(call))
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([401]))
    for (const token of flood.slice(0, 20)) expect((await call(token)).status).toBe(401)
    expect(entra.requestsTo('keys')).toHaveLength(1)
    expect((await call(await entra.mintAccessToken())).status).toBe(200)
    gate.clock.advance(31)
    expect((await call(await unknown('later'))).status).toBe(401)
    expect(entra.requestsTo('keys')).toHaveLength(2)
  })

  it('cannot tell about an unknown key while Entra is down: 503, and known keys go on', async () => {
    gate.clock.advance(31)
    entra.fault({ at: 'keys', status: 503 })
    await entra.rotateKeys()
    await expectOutage(await call(await entra.mintAccessToken()))
    const [, old] = entra.signingKeys
    if (!old) throw new Error('the old key is gone')
    expect((await call(await entra.mintAccessToken({ key: old }))).status).toBe(200)
  })
})

describe('a gate that knows its tenant by a domain', () => {
  beforeEach(async () => {
    await gate.close()
    gate = await startGate(entra, { options: { tenantId: entra.tenant.domain ?? '' } })
  })

  it('finds out which tenant that is, and lets its users in and no others', async () => {
    expect((await call(await entra.mintAccessToken())).status).toBe(200)
    const [, other] = entra.tenants
    const stranger = other?.users[0]?.oid ?? ''
    expect((await call(await entra.mintAccessToken({ user: stranger }))).status).toBe(401)
  })

  it('answers 503 while Entra cannot say which tenant that is, and recovers', async () => {
    entra.fault({ at: 'openid-configuration', status: 503 })
    const token = await entra.mintAccessToken()
    const seconds = await expectOutage(await call(token))
    entra.clearFaults()
    gate.clock.advance(seconds)
    expect((await call(token)).status).toBe(200)
  })
})
