import { generateKeyPairSync } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { base64url, compactVerify, SignJWT } from 'jose'
import { decodeJwt } from '../../lib/crypto/decode-jwt.js'
import { signEs256 } from '../support/sign-es256.js'

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const claimSets = fc.dictionary(
  fc.string().filter((name) => name !== '__proto__'),
  fc.jsonValue(),
)

describe('a JWT', () => {
  it('is decoded, whatever its claims are', () => {
    fc.assert(
      fc.property(claimSets, (claims) => {
        const token = signEs256({ kid: 'k' }, claims, ec.privateKey)
        expect(decodeJwt(token)).toEqual({
          token,
          header: { kid: 'k', alg: 'ES256' },
          claims: JSON.parse(JSON.stringify(claims)),
        })
      }),
    )
  })

  it.each([
    ['RS256', rsa.privateKey],
    ['ES256', ec.privateKey],
  ])('of jose is decoded: %s', async (alg, key) => {
    const token = await new SignJWT({ name: 'Grüße' })
      .setProtectedHeader({ alg, kid: '1' })
      .sign(key)
    expect(decodeJwt(token)).toEqual({
      token,
      header: { alg, kid: '1' },
      claims: { name: 'Grüße' },
    })
  })
})

describe('a signature', () => {
  it.each([
    ['RS256', rsa],
    ['ES256', ec],
  ])('has one spelling: with unused bits set at its end it is refused (%s)', async (alg, pair) => {
    const token = await new SignJWT({}).setProtectedHeader({ alg }).sign(pair.privateKey)
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const bytes = (text: string) => Buffer.from(text.split('.')[2] ?? '', 'base64url')
    const same = [...alphabet]
      .map((last) => token.slice(0, -1) + last)
      .filter((spelling) => bytes(spelling).equals(bytes(token)))
    // Six bits a character: four of the last are unused.
    expect(same).toHaveLength(16)
    // jose takes all sixteen, so it is up to the decoder.
    for (const spelling of same) await compactVerify(spelling, pair.publicKey)
    expect(same.filter((spelling) => decodeJwt(spelling))).toEqual([token])
  })
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
  ])('is not decoded: %s', (_, token) => {
    expect(decodeJwt(token)).toBeUndefined()
  })

  it('never makes it throw', () => {
    fc.assert(
      fc.property(fc.array(fc.base64String(), { maxLength: 4 }), fc.string(), (parts, text) => {
        expect(() => [decodeJwt(parts.join('.')), decodeJwt(text)]).not.toThrow()
      }),
    )
  })

  it('may lack a signature, which then never verifies', async () => {
    const token = `${part({ alg: 'ES256' })}.${part({})}.`
    expect(decodeJwt(token)).toEqual({ token, header: { alg: 'ES256' }, claims: {} })
    await expect(compactVerify(token, ec.publicKey)).rejects.toThrow('signature')
  })

  it.each([
    ['header', `${base64url.encode(Buffer.from([0x7b, 0xff, 0x7d]))}.${part({})}.a`],
    ['payload', `${part({})}.${base64url.encode(Buffer.from('{"a":"\xff"}', 'latin1'))}.a`],
  ])('is not decoded: a %s that is not UTF-8', (_, token) => {
    expect(decodeJwt(token)).toBeUndefined()
  })
})
