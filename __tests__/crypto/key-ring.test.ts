import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { calculateJwkThumbprint, importJWK, jwtVerify, SignJWT } from 'jose'
import { keyRing } from '../../lib/crypto/key-ring.js'
import { weaknessOf } from '../../lib/crypto/weak-secret.js'

const first = 'first-secret-of-the-operator-0001'
const second = 'second-secret-of-the-operator-002'
const secrets = fc.string({ minLength: 22, maxLength: 60 }).filter((key) => {
  const secret = key.trim()
  return secret.length >= 22 && weaknessOf(secret) === undefined
})

describe('the key ring', () => {
  it('derives the same keys on every replica', () => {
    fc.assert(
      fc.property(secrets, fc.string(), (secret, purpose) => {
        const [one, other] = [keyRing([secret]).current, keyRing([secret]).current]
        expect(one.id).toEqual(other.id)
        expect(one.derive(purpose)).toEqual(other.derive(purpose))
        expect(one.signing.jwk).toEqual(other.signing.jwk)
      }),
      { numRuns: 50 },
    )
  })

  it('derives other keys from another secret', () => {
    const [one, other] = [keyRing([first]).current, keyRing([second]).current]
    expect(one.id).not.toEqual(other.id)
    expect(one.derive('x')).not.toEqual(other.derive('x'))
    expect(one.signing.kid).not.toBe(other.signing.kid)
  })

  it('derives 256 bits for each purpose, another key for another purpose', () => {
    const { current } = keyRing([first])
    expect(current.derive('x')).toHaveLength(32)
    expect(current.derive('x')).toBe(current.derive('x'))
    expect(current.derive('x')).not.toEqual(current.derive('y'))
  })

  it('keeps the names it gives out over releases: a stored token must still find its key', () => {
    const { id, formerId, signing } = keyRing([first]).current
    expect({
      id: id.toString('hex'),
      formerId: formerId.toString('hex'),
      kid: signing.kid,
    }).toEqual({
      id: '79af7393fda5',
      formerId: '3f4dd0a0313f',
      kid: 'PiGsTNJWk2O_3GQpc8dTajAkRFrVad0lZqPf0xc6mws',
    })
  })

  it('seals and signs with the first key and knows all of them by name', () => {
    const ring = keyRing([first, second])
    const older = keyRing([second]).current
    expect(ring.current.id).toEqual(keyRing([first]).current.id)
    expect(ring.all).toHaveLength(2)
    expect(ring.byId(older.id)?.signing.kid).toBe(older.signing.kid)
    expect(ring.bySigningKid(older.signing.kid)?.id).toEqual(older.id)
    expect(ring.byId(Uint8Array.from(ring.current.id))).toBe(ring.current)
    expect(ring.bySigningKid(ring.current.signing.kid)).toBe(ring.current)
  })

  it('knows no key it was not given', () => {
    const ring = keyRing([first])
    const foreign = keyRing([second]).current
    expect(ring.byId(foreign.id)).toBeUndefined()
    expect(ring.byId(new Uint8Array())).toBeUndefined()
    expect(ring.bySigningKid(foreign.signing.kid)).toBeUndefined()
  })

  it('takes no notice of blanks around a secret, which lists and files leave there', () => {
    const ring = keyRing([first, ` ${second}\n`])
    expect(ring.byId(keyRing([second]).current.id)).toBeDefined()
  })

  it('publishes exactly the public half as a JWK', () => {
    const { jwk } = keyRing([first]).current.signing
    expect(jwk).toEqual({
      kty: 'EC',
      crv: 'P-256',
      x: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      y: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      use: 'sig',
      alg: 'ES256',
      kid: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
    })
  })

  it('names a signing key by its thumbprint (RFC 7638)', async () => {
    await fc.assert(
      fc.asyncProperty(secrets, async (secret) => {
        const { jwk, kid } = keyRing([secret]).current.signing
        expect(kid).toBe(jwk.kid)
        expect(kid).toBe(await calculateJwkThumbprint({ ...jwk }))
      }),
      { numRuns: 50 },
    )
  })

  it('derives halves that are a pair: what the private key signs the published key verifies', async () => {
    await fc.assert(
      fc.asyncProperty(secrets, async (secret) => {
        const { privateKey, jwk } = keyRing([secret]).current.signing
        const token = await new SignJWT({ n: 1 })
          .setProtectedHeader({ alg: 'ES256' })
          .sign(privateKey)
        const { payload } = await jwtVerify(token, await importJWK({ ...jwk }, 'ES256'))
        expect(payload).toEqual({ n: 1 })
      }),
      { numRuns: 30 },
    )
  })

  it.each([
    ['no list', undefined],
    ['one text', first],
    ['an empty list', []],
  ])('refuses %s with the command that makes a key', (_, keys) => {
    expect(() => keyRing(keys as string[])).toThrow(
      new TypeError(
        'entraAuth: keys must hold at least one secret: make one with `openssl rand -base64 32`',
      ),
    )
  })

  it.each([
    ['a short secret', 'x'.repeat(21)],
    ['a secret that is mostly blanks', `x${' '.repeat(40)}`],
    ['a secret that is no text', 42],
    ['a missing secret', undefined],
  ])('refuses %s, names its place and never the secret', (_, key) => {
    expect(() => keyRing([first, key as string])).toThrow(
      new TypeError(
        'entraAuth: keys[1] must be a random secret of at least 22 characters (128 bits): make one with `openssl rand -base64 32`',
      ),
    )
  })

  it('refuses a secret that nobody drew at random, says why, and never quotes it', () => {
    const make = () => keyRing([first, 'changeme-changeme-changeme'])
    expect(make).toThrow(
      new TypeError(
        'entraAuth: keys[1] is not random: it is a placeholder: make one with `openssl rand -base64 32`',
      ),
    )
  })

  it.each([first, ` ${first}`])('refuses the same secret twice: %j', (again) => {
    expect(() => keyRing([first, again])).toThrow(
      new TypeError('entraAuth: keys holds the same secret twice'),
    )
  })
})
