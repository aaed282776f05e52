import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { exportJWK, generateKeyPair } from 'jose'
import { UpstreamOutage } from '../../lib/entra/errors.js'
import { type SigningKeys, signingKeys } from '../../lib/entra/signing-keys.js'
import {
  type Answer,
  atOnce,
  type Clock,
  clock,
  outcome,
  startUpstream,
  type TestKey,
  testKey,
  type Upstream,
  waitUntil,
} from '../support/entra.js'

const minutes = 60
const hours = 60 * minutes
let one: TestKey
let two: TestKey
let now: Clock
let entra: Upstream
let keys: SigningKeys
let answer: Answer

beforeAll(async () => {
  one = await testKey('one')
  two = await testKey('two')
})
beforeEach(async () => {
  now = clock()
  answer = {
    body: { keys: [{ ...one.jwk, issuer: 'https://login.example/{tenantid}/v2.0' }, two.jwk] },
  }
  entra = await startUpstream(() => answer)
  keys = signingKeys({ uri: `${entra.url}/keys`, now, timeout: 0.5 })
})
afterEach(() => entra.close())

const down: Answer = { status: 503, body: '<html>down</html>' }

describe('signingKeys', () => {
  it('fetches the set once and then answers at once', async () => {
    const key = await keys.find('one')
    expect(key).toMatchObject({ kid: 'one', issuer: 'https://login.example/{tenantid}/v2.0' })
    expect(key?.key.asymmetricKeyType).toBe('rsa')
    expect(await atOnce(keys.find('one'))).toBe(key)
    expect(await atOnce(keys.find('two'))).toMatchObject({ kid: 'two', issuer: undefined })
    expect(entra.requests).toHaveLength(1)
    expect(entra.requests[0]).toMatchObject({ method: 'GET', path: '/keys' })
  })

  it('uses the real clock and five seconds when nothing is said', async () => {
    const plain = signingKeys({ uri: `${entra.url}/keys` })
    expect(await plain.find('one')).toBeDefined()
    expect(await atOnce(plain.find('one'))).toBeDefined()
  })

  it('makes one request for all who ask at the same time', async () => {
    const found = await Promise.all(Array.from({ length: 50 }, () => keys.find('one')))
    expect(new Set(found).size).toBe(1)
    expect(entra.requests).toHaveLength(1)
  })

  it('fetches again in the background after 50 minutes, and nobody waits', async () => {
    await keys.find('one')
    now.advance(50 * minutes - 1)
    keys.find('one')
    expect(entra.requests).toHaveLength(1)
    now.advance(1)
    for (let i = 0; i < 20; i++) expect(await atOnce(keys.find('one'))).toBeDefined()
    await waitUntil(() => entra.requests.length === 2)
    await waitUntil(async () => (await outcome(() => atOnce(keys.find('gone')))) === undefined)
    now.advance(49 * minutes)
    expect(await atOnce(keys.find('one'))).toBeDefined()
    expect(entra.requests).toHaveLength(2)
  })

  it('asks again before it uses a set older than an hour', async () => {
    await keys.find('one')
    now.advance(1 * hours)
    const found = keys.find('one')
    expect(await outcome(() => atOnce(found))).toMatchObject({ message: 'it waits' })
    expect(await found).toMatchObject({ kid: 'one' })
    expect(entra.requests).toHaveLength(2)
  })

  it('forgets a key that was rotated out, with the next successful refresh', async () => {
    await keys.find('one')
    answer = { body: { keys: [two.jwk] } }
    now.advance(1 * hours)
    expect(await keys.find('one')).toBeUndefined()
    expect(await keys.find('two')).toBeDefined()
  })

  it('forgets a key that was rotated out, with a refresh in the background', async () => {
    await keys.find('one')
    answer = { body: { keys: [two.jwk] } }
    now.advance(55 * minutes)
    expect(await keys.find('one')).toBeDefined()
    await waitUntil(async () => (await keys.find('one')) === undefined)
  })

  it('asks for an unknown kid once in 30 seconds, however many tokens come', async () => {
    await keys.find('one')
    now.advance(29)
    expect(await keys.find('three')).toBeUndefined()
    expect(entra.requests).toHaveLength(1)
    now.advance(1)
    const many = Array.from({ length: 100 }, (_item, index) => keys.find(`unknown ${index}`))
    expect(await Promise.all(many)).toEqual(many.map(() => undefined))
    for (let i = 0; i < 100; i++) expect(await keys.find(`more ${i}`)).toBeUndefined()
    expect(entra.requests).toHaveLength(2)
  })

  it('finds a key that has been published since', async () => {
    answer = { body: { keys: [one.jwk] } }
    await keys.find('one')
    answer = { body: { keys: [one.jwk, two.jwk] } }
    now.advance(30)
    expect(await keys.find('two')).toMatchObject({ kid: 'two' })
  })

  it.each<[string, Answer]>([
    ['is down', down],
    ['hangs', 'hang'],
    ['stops in the middle', 'stall'],
    ['resets', 'reset'],
    ['answers with a page', { body: '<html>' }],
    ['answers with nothing', { body: '' }],
    ['answers with null', { body: 'null' }],
    ['has no list', { body: { keys: {} } }],
    ['has an empty list', { body: { keys: [] } }],
    ['redirects', { status: 302, headers: { location: '/' } }],
  ])('goes on with the last good keys for 24 hours when Entra %s', async (_what, trouble) => {
    keys = signingKeys({ uri: entra.url, now, timeout: 0.06 })
    await keys.find('one')
    answer = trouble
    now.advance(1 * hours)
    expect(await keys.find('one')).toMatchObject({ kid: 'one' }) // waits once, as nobody knows yet
    expect(await atOnce(keys.find('one'))).toBeDefined()
    now.advance(23 * hours - 1)
    expect(await keys.find('one')).toMatchObject({ kid: 'one' })
    await waitUntil(() => entra.requests.length === 3)
    now.advance(40)
    const error = await outcome(() => keys.find('one'))
    expect(error).toBeInstanceOf(UpstreamOutage)
    expect(error).toMatchObject({ kind: 'unavailable' })
  })

  it('reads no document of more than 256 kB, good keys in it or not', async () => {
    answer = { body: { keys: [one.jwk], junk: 'x'.repeat(256 * 1024) } }
    expect(await outcome(() => keys.find('one'))).toBeInstanceOf(UpstreamOutage)
  })

  it('is well again as soon as Entra is', async () => {
    await keys.find('one')
    answer = down
    now.advance(25 * hours)
    await outcome(() => keys.find('one'))
    answer = { body: { keys: [two.jwk] } }
    now.advance(1)
    expect(await keys.find('two')).toMatchObject({ kid: 'two' })
    expect(await keys.find('one')).toBeUndefined()
  })

  it('backs off after a failure, from one second to 30, and answers at once in between', async () => {
    answer = down
    const pauses: number[] = []
    for (const pause of [1, 2, 4, 8, 16, 30, 30]) {
      const before = entra.requests.length
      expect(await outcome(() => keys.find('one'))).toMatchObject({
        kind: 'unavailable',
        status: 503,
      })
      expect(entra.requests).toHaveLength(before + 1)
      expect(await outcome(() => keys.find('one'))).toMatchObject({ retryAfter: pause })
      now.advance(pause - 0.001)
      expect(await outcome(() => keys.find('one'))).toMatchObject({
        retryAfter: expect.closeTo(0.001),
      })
      expect(entra.requests).toHaveLength(before + 1)
      now.advance(0.001)
      pauses.push(pause)
    }
    expect(pauses).toHaveLength(7)
  })

  it('waits as long as Entra asks, up to 30 seconds', async () => {
    answer = { status: 429, headers: { 'retry-after': '20' } }
    await outcome(() => keys.find('one'))
    expect(await outcome(() => keys.find('one'))).toMatchObject({ retryAfter: 20 })
    now.advance(20)
    answer = { status: 429, headers: { 'retry-after': '3000' } }
    await outcome(() => keys.find('one'))
    expect(await outcome(() => keys.find('one'))).toMatchObject({ retryAfter: 30 })
  })

  it('says of an unknown kid that it cannot tell, while Entra is down, and finds known ones', async () => {
    await keys.find('one')
    answer = down
    now.advance(30)
    expect(await outcome(() => keys.find('three'))).toBeInstanceOf(UpstreamOutage)
    expect(await outcome(() => keys.find('three'))).toBeInstanceOf(UpstreamOutage)
    expect(await keys.find('one')).toMatchObject({ kid: 'one' })
    expect(entra.requests).toHaveLength(2)
  })

  it('shares one failure among all who wait', async () => {
    answer = down
    const all = await Promise.all(Array.from({ length: 20 }, () => outcome(() => keys.find('one'))))
    for (const error of all) expect(error).toBeInstanceOf(UpstreamOutage)
    expect(entra.requests).toHaveLength(1)
  })

  it('leaves odd keys out and uses the others', async () => {
    const { publicKey } = await generateKeyPair('ES256', { extractable: true })
    const { publicKey: small } = await generateKeyPair('RS256', { extractable: true })
    const { n, e } = await exportJWK(small)
    answer = {
      body: {
        keys: [
          null,
          7,
          'x',
          [],
          { ...(await exportJWK(publicKey)), kid: 'ec' },
          { ...one.jwk, kid: undefined },
          { ...one.jwk, kid: 7 },
          { ...one.jwk, kid: 'no n', n: undefined },
          { ...one.jwk, kid: 'no e', e: undefined },
          { ...one.jwk, kid: 'e of 0', e: '' },
          { ...one.jwk, kid: 'e of 1', e: 'AQ' },
          { ...one.jwk, kid: 'bad n', n: '!' },
          { ...one.jwk, kid: 'short n', n: n?.slice(0, 171) },
          { ...one.jwk, kid: 'enc', use: 'enc' },
          { ...one.jwk, kid: 'ps256', alg: 'PS256' },
          { ...one.jwk, kid: 'oct', kty: 'oct', k: 'AAAA' },
          { kty: 'RSA', n, e, kid: 'plain', issuer: 7 },
          { ...two.jwk, alg: 'RS256' },
        ],
      },
    }
    expect(await keys.find('two')).toMatchObject({ kid: 'two' })
    expect(await keys.find('plain')).toMatchObject({ kid: 'plain', issuer: undefined })
    for (const odd of [
      'ec',
      'no n',
      'no e',
      'e of 0',
      'e of 1',
      'bad n',
      'short n',
      'enc',
      'ps256',
      'oct',
      'undefined',
    ]) {
      expect(await keys.find(odd)).toBeUndefined()
    }
  })

  it('reads no more than 100 keys', async () => {
    const list = Array.from({ length: 101 }, (_item, index) => ({ ...one.jwk, kid: `k${index}` }))
    answer = { body: { keys: list } }
    expect(await keys.find('k99')).toBeDefined()
    expect(await keys.find('k100')).toBeUndefined()
  })
})
