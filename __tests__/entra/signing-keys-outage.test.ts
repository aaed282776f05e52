/** The keys under attack and in an outage, seen from the gate: what tokens get for an answer. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeJwt } from '../../lib/crypto/decode-jwt.js'
import { entraAuthority } from '../../lib/entra/authority.js'
import { signingKeys } from '../../lib/entra/signing-keys.js'
import { type EntraVerifier, entraVerifier } from '../../lib/entra/verify.js'
import {
  type Answer,
  type Clock,
  clientId,
  clock,
  outcome,
  startUpstream,
  type TestKey,
  tenantId,
  testKey,
  type Upstream,
} from '../support/entra.js'

const second = 1
const minute = 60
let known: TestKey
let attacker: TestKey
let now: Clock
let entra: Upstream
let answer: Answer
let verifier: EntraVerifier
let fetchedAt: number[]

beforeAll(async () => {
  ;[known, attacker] = await Promise.all([testKey('known'), testKey('attacker')])
})
beforeEach(() => start({ keys: [known.jwk] }))
afterEach(() => entra.close())

async function start(body: object): Promise<void> {
  now = clock()
  fetchedAt = []
  answer = { body }
  entra = await startUpstream(() => {
    fetchedAt.push(now() / 1000)
    return answer
  })
  const authority = entraAuthority({ host: entra.url, tenantId })
  const keys = signingKeys({ uri: authority.jwksUri, now })
  verifier = entraVerifier({ authority, clientId, keys, now })
}

function claims(): Record<string, unknown> {
  return {
    ver: '2.0',
    iss: `${entra.url}/${tenantId}/v2.0`,
    aud: clientId,
    tid: tenantId,
    oid: 'o',
    sub: 's',
    scp: 'notes.read',
    exp: now() / 1000 + 600,
  }
}

async function check(by: TestKey, kid = by.kid) {
  const jwt = decodeJwt(await by.sign(claims(), { kid }))
  if (!jwt) throw new Error('no JWS')
  return outcome(() => verifier.accessToken(jwt))
}

/** The most fetches within any 30 seconds. */
function densest(): number {
  return Math.max(
    ...fetchedAt.map((start) => fetchedAt.filter((at) => at >= start && at < start + 30).length),
  )
}

describe('a thousand tokens with keys nobody knows', () => {
  it('make us ask at most once in 30 seconds, at once or one after the other', async () => {
    await check(known)
    now.advance(31)
    const atOnce = Array.from({ length: 500 }, (_item, index) => check(attacker, `x${index}`))
    for (const result of await Promise.all(atOnce)) {
      expect(result).toMatchObject({ code: 'invalid_token' })
    }
    expect(fetchedAt).toHaveLength(2)
    for (let index = 0; index < 500; index++) {
      now.advance(0.25)
      expect(await check(attacker, `y${index}`)).toMatchObject({ code: 'invalid_token' })
    }
    // 125 seconds more.
    expect(fetchedAt.length).toBeLessThanOrEqual(2 + 4)
    expect(densest()).toBe(1)
  })

  it('make us ask no more often while Entra is down, and are told so: 503, not 401', async () => {
    await check(known)
    now.advance(31)
    answer = { status: 503 }
    for (let index = 0; index < 1000; index++) {
      expect(await check(attacker, `x${index}`)).toMatchObject({
        code: 'temporarily_unavailable',
        status: 503,
        retryAfter: expect.any(Number),
      })
      now.advance(0.1)
    }
    expect(fetchedAt.length).toBeLessThanOrEqual(1 + 4)
    expect(densest()).toBe(1)
    expect(await check(known)).toMatchObject({ oid: 'o' })
  })

  it('do not keep a new key of Entra from being found', async () => {
    answer = { body: { keys: [] } }
    await check(known)
    now.advance(2)
    answer = { body: { keys: [attacker.jwk] } }
    expect(await check(attacker)).toMatchObject({ oid: 'o' })
    answer = { body: { keys: [attacker.jwk, known.jwk] } }
    now.advance(30)
    for (let index = 0; index < 20; index++) await check(attacker, `x${index}`)
    expect(await check(known)).toMatchObject({ oid: 'o' })
  })
})

describe('an hour without the key endpoint', () => {
  const outages: [string, Answer][] = [
    ['refuses connections', 'reset'],
    ['answers 503', { status: 503 }],
    ['answers with a page', { body: '<html>' }],
    ['answers with no keys', { body: { keys: [] } }],
  ]
  it.each(outages)('refuses nobody when Entra %s, whenever it began', async (_what, outage) => {
    for (const age of [0, 30 * second, 49 * minute, 55 * minute, 61 * minute]) {
      await entra.close()
      await start({ keys: [known.jwk] })
      expect(await check(known)).toMatchObject({ oid: 'o' })
      now.advance(age)
      answer = outage
      for (let passed = 0; passed < 60 * minute; passed += 20 * second) {
        expect(await check(known)).toMatchObject({ oid: 'o' })
        now.advance(20 * second)
      }
      answer = { body: { keys: [known.jwk] } }
      expect(await check(known)).toMatchObject({ oid: 'o' })
    }
  })

  it('is a 503 with Retry-After for a process that starts in it, and over as soon as Entra is back', async () => {
    const good = answer
    answer = 'reset'
    for (let passed = 0; passed < 60 * minute; passed += 60) {
      expect(await check(known)).toMatchObject({ status: 503, retryAfter: expect.any(Number) })
      now.advance(60)
    }
    answer = good
    expect(await check(known)).toMatchObject({ oid: 'o' })
  })
})

describe('the set', () => {
  it('is bounded, however much Entra sends', async () => {
    const keys = Array.from({ length: 5000 }, (_item, index) => ({ kid: `k${index}`, kty: 'RSA' }))
    answer = { body: { keys: [...keys.slice(0, 50), known.jwk, ...keys] } }
    // 5,000 of them are more than 256 kB in Entra's own form, and no more than 100 are read.
    expect(await check(known)).toMatchObject({ oid: 'o' })
    now.advance(2)
    answer = { body: { keys: Array.from({ length: 2000 }, () => known.jwk) } }
    expect(await check(attacker)).toMatchObject({ code: 'invalid_token' })
  })

  it.each<[string, object]>([
    ['is of another kind', { kty: 'EC', crv: 'P-256', kid: 'odd', x: 'x', y: 'y' }],
    ['is broken', { kty: 'RSA', kid: 'odd', n: '!', e: 'AQAB' }],
    ['is no object', [] as object],
    ['bears the name of a good one', { kty: 'oct', kid: 'known', k: 'AAAA' }],
  ])('takes no harm from a key that %s', async (_what, odd) => {
    answer = { body: { keys: [odd, known.jwk, odd] } }
    expect(await check(known)).toMatchObject({ oid: 'o' })
  })

  it('belongs to one authority, not to a tenant: users of many tenants add nothing', async () => {
    const authority = entraAuthority({ host: entra.url, tenantId: 'organizations' })
    const keys = signingKeys({ uri: authority.jwksUri, now })
    const many = entraVerifier({ authority, clientId, keys, now, allowedTenants: 'any' })
    for (let index = 0; index < 50; index++) {
      const tid = `6f1d0c3a-1111-4222-8333-${String(index).padStart(12, '0')}`
      const token = await known.sign({ ...claims(), tid, iss: `${entra.url}/${tid}/v2.0` })
      const jwt = decodeJwt(token)
      expect(jwt && (await many.accessToken(jwt))).toMatchObject({ tid })
    }
    expect(fetchedAt).toHaveLength(1)
  })
})
