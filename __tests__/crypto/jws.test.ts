import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { base64url, jwtVerify, SignJWT } from 'jose'
import { parseJws, signEs256, verifyJws } from '../../lib/crypto/jws.js'

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const claimSets = fc.dictionary(
  fc.string().filter((name) => name !== '__proto__'),
  fc.jsonValue(),
)

describe('a JWS of ours', () => {
  it('verifies with jose, header and claims intact', async () => {
    const token = signEs256({ typ: 'at+jwt', kid: 'k' }, { sub: 'user', n: 1 }, ec.privateKey)
    const { payload, protectedHeader } = await jwtVerify(token, ec.publicKey)
    expect(protectedHeader).toEqual({ typ: 'at+jwt', kid: 'k', alg: 'ES256' })
    expect(payload).toEqual({ sub: 'user', n: 1 })
  })

  it('says ES256 whatever header it is given', () => {
    const token = signEs256({ alg: 'none' }, {}, ec.privateKey)
    expect(parsed(token).header).toEqual({ alg: 'ES256' })
  })

  it('is read back and verified by ourselves, whatever its claims are', async () => {
    await fc.assert(
      fc.asyncProperty(claimSets, async (claims) => {
        const jws = parsed(signEs256({}, claims, ec.privateKey))
        expect(jws.claims).toEqual(JSON.parse(JSON.stringify(claims)))
        expect(await verifyJws(jws, 'ES256', ec.publicKey)).toBe(true)
      }),
    )
  })
})

describe('a JWS of jose', () => {
  it('is no JWS in another spelling of its signature: the bits that are left over are zero', () => {
    const token = signEs256({}, {}, ec.privateKey)
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = token.at(-1) ?? ''
    const others = [...alphabet].filter((character) => character !== last)
    const twins = others.map((character) => token.slice(0, -1) + character)
    const same = twins.filter(
      (twin) =>
        base64url.decode(twin.slice(-86)).join() === base64url.decode(token.slice(-86)).join(),
    )
    expect(same).toHaveLength(15)
    expect(same.map(parseJws)).toEqual(same.map(() => undefined))
  })

  it.each<['RS256' | 'ES256', { publicKey: KeyObject; privateKey: KeyObject }]>([
    ['RS256', rsa],
    ['ES256', ec],
  ])('signed with %s is taken apart and verified', async (alg, { privateKey, publicKey }) => {
    const token = await new SignJWT({ name: 'Grüße' })
      .setProtectedHeader({ alg, kid: '1' })
      .sign(privateKey)
    const jws = parsed(token)
    expect(jws.header).toEqual({ alg, kid: '1' })
    expect(jws.claims).toEqual({ name: 'Grüße' })
    expect(await verifyJws(jws, alg, publicKey)).toBe(true)
  })

  it.each<['RS256' | 'ES256', { publicKey: KeyObject; privateKey: KeyObject }]>([
    ['RS256', rsa],
    ['ES256', ec],
  ])(
    'signed with %s is refused when the signature is not exactly that of the key',
    async (alg, pair) => {
      const token = await new SignJWT({}).setProtectedHeader({ alg }).sign(pair.privateKey)
      const { signature, ...jws } = parsed(token)
      const flipped = Buffer.from(signature)
      flipped[3] = (flipped[3] ?? 0) ^ 1
      const forgeries = [
        flipped,
        Buffer.alloc(0),
        Buffer.alloc(signature.length),
        signature.subarray(1),
        Buffer.concat([signature, Buffer.from([0])]),
      ]
      for (const forgery of forgeries) {
        expect(await verifyJws({ ...jws, signature: forgery }, alg, pair.publicKey)).toBe(false)
      }
      const other =
        alg === 'ES256'
          ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
          : generateKeyPairSync('rsa', { modulusLength: 2048 })
      expect(await verifyJws({ ...jws, signature }, alg, other.publicKey)).toBe(false)
    },
  )
})

describe('a signature', () => {
  it.each([
    ['RS256', rsa.privateKey],
    ['ES256', ec.privateKey],
  ] as const)(
    'has one spelling: with unused bits set at its end it is none (%s)',
    async (alg, key) => {
      const token = await new SignJWT({}).setProtectedHeader({ alg }).sign(key)
      const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      const bytes = (text: string) => Buffer.from(text.split('.')[2] ?? '', 'base64url')
      const same = [...alphabet]
        .map((last) => token.slice(0, -1) + last)
        .filter((spelling) => bytes(spelling).equals(bytes(token)))
      // Six bits a character: four of the last are left over.
      expect(same).toHaveLength(16)
      expect(same.filter((spelling) => parseJws(spelling))).toEqual([token])
    },
  )
})

describe('junk', () => {
  const part = (value: unknown) => base64url.encode(JSON.stringify(value))

  it.each([
    ['nothing', ''],
    ['one part', part({})],
    ['two parts', `${part({})}.${part({})}`],
    ['four parts', `${part({})}.${part({})}.a.b`],
    ['an encrypted token of five parts', 'a.b.c.d.e'],
    ['an empty header', `.${part({})}.`],
    ['an empty payload', `${part({})}..`],
    ['padding', `${part({})}=.${part({})}.a`],
    ['plain base64', `${part({})}.${part({})}.a+/`],
    ['a blank', ` ${part({})}.${part({})}.a`],
    ['a line feed at the end', `${part({})}.${part({})}.a\n`],
    ['a header that is no JSON', `${base64url.encode('{')}.${part({})}.a`],
    ['a payload that is no JSON', `${part({})}.${base64url.encode('{"a":')}.a`],
    ['a header that is an array', `${part([])}.${part({})}.a`],
    ['a header that is null', `${part(null)}.${part({})}.a`],
    ['a header that is a text', `${part('x')}.${part({})}.a`],
    ['a payload that is an array', `${part({})}.${part([])}.a`],
    ['a payload that is null', `${part({})}.${part(null)}.a`],
    ['a payload that is a number', `${part({})}.${part(1)}.a`],
  ])('is not taken apart: %s', (_, token) => {
    expect(parseJws(token)).toBeUndefined()
  })

  it('never makes it throw', () => {
    fc.assert(
      fc.property(fc.array(fc.base64String(), { maxLength: 4 }), fc.string(), (parts, text) => {
        expect(() => [parseJws(parts.join('.')), parseJws(text)]).not.toThrow()
      }),
    )
  })

  it('may leave the signature out, which then never verifies', async () => {
    const jws = parsed(`${part({ alg: 'none' })}.${part({})}.`)
    expect(await verifyJws(jws, 'ES256', ec.publicKey)).toBe(false)
    expect(await verifyJws(jws, 'RS256', rsa.publicKey)).toBe(false)
  })
})

function parsed(token: string) {
  const jws = parseJws(token)
  if (!jws) throw new Error('not a JWS')
  return jws
}
