/** Key sets of strangers: what of them is kept. */
import { describe, expect, it } from '@jest/globals'
import { algorithmOf, readKeySet } from '../../lib/oauth/client-keys.js'
import { refusal } from '../support/refusal.js'

/** An RSA modulus of so many bits. */
const modulus = (bits: number) => {
  const bytes = Buffer.alloc(Math.ceil(bits / 8), 0xff)
  bytes[0] = 0xff >> (bytes.length * 8 - bits)
  return bytes.toString('base64url')
}

const rsa = { kty: 'RSA', n: modulus(2048), e: 'AQAB' }
const ec = { kty: 'EC', crv: 'P-256', x: 'x'.repeat(43), y: 'y'.repeat(43) }
const okp = { kty: 'OKP', crv: 'Ed25519', x: 'x'.repeat(43) }

const kept = (...keys: unknown[]) => readKeySet({ keys }).keys

describe('of a key set', () => {
  it.each([
    ['RS256', rsa],
    ['ES256', ec],
    ['EdDSA', okp],
  ] as const)('a key for %s is kept, with the members we know and no other', (alg, key) => {
    const more = { x5c: ['x'.repeat(60_000)], key_ops: ['verify'], ext: true, constructor: 1 }
    const all = { ...key, kid: 'one', use: 'sig', alg }
    expect(kept({ ...all, ...more }, { ...key, ...more })).toEqual([all, key])
    expect(kept(all).map(algorithmOf)).toEqual([alg])
  })

  it.each([
    ['of no type', {}],
    ['of another type', { ...ec, kty: 'oct', k: 'AA' }],
    ['of another curve', { ...ec, crv: 'P-384' }],
    ['of another curve of its own kind', { ...okp, crv: 'X25519' }],
    ['for encryption', { ...ec, use: 'enc' }],
    ['for other operations', { ...ec, key_ops: ['encrypt'] }],
    ['for another algorithm', { ...rsa, alg: 'PS256' }],
    ['for the algorithm of another type', { ...rsa, alg: 'ES256' }],
    ['with its private part', { ...ec, d: 'AA' }],
    ['with an x that is too short', { ...ec, x: 'x'.repeat(42) }],
    ['with an x that is too long', { ...okp, x: 'x'.repeat(44) }],
    ['with a y of other characters', { ...ec, y: `${'y'.repeat(42)}=` }],
    ['without y', { ...ec, y: undefined }],
    ['with an x that is no text', { ...okp, x: ['x'.repeat(43)] }],
    ['of RSA with 2047 bits', { ...rsa, n: modulus(2047) }],
    ['of RSA with 4097 bits', { ...rsa, n: modulus(4097) }],
    ['of RSA with 16384 bits', { ...rsa, n: modulus(16_384) }],
    ['of RSA that is padded with zeros', { ...rsa, n: `${'A'.repeat(400)}${modulus(2000)}` }],
    ['of RSA that is nothing but zeros', { ...rsa, n: 'A'.repeat(342) }],
    ['of RSA without a modulus', { ...rsa, n: undefined }],
    ['of RSA with the exponent 1', { ...rsa, e: 'AQ' }],
    ['of RSA with the exponent 3', { ...rsa, e: 'Aw' }],
    ['of RSA with a huge exponent', { ...rsa, e: modulus(2048) }],
    ['of RSA with 65537 spelt in another way', { ...rsa, e: 'AAEAAQ' }],
    ['whose kid is no text', { ...ec, kid: 5 }],
    ['whose kid is too long', { ...ec, kid: 'x'.repeat(257) }],
    ['that is a text', 'key'],
    ['that is nothing', null],
    ['that is a list', [ec]],
  ])('no key %s is kept', (_what, key) => {
    expect(kept(key, okp)).toEqual([okp])
  })

  it('RSA keys of 2048 to 4096 bits are kept', () => {
    const keys = [2048, 3072, 4095, 4096].map((bits) => ({ ...rsa, n: modulus(bits) }))
    expect(kept(...keys)).toEqual(keys)
    const withZeroByte = Buffer.concat([Buffer.alloc(1), Buffer.alloc(512, 0xff)])
    expect(kept({ ...rsa, n: withZeroByte.toString('base64url') })).toHaveLength(1)
  })

  it('the first eight usable keys are kept, whatever stands before and between them', () => {
    const keys = Array.from({ length: 20 }, (_, index) => ({ ...ec, kid: String(index) }))
    expect(kept(...Array(10_000).fill({}), ...keys.flatMap((key) => [{}, key]))).toEqual(
      keys.slice(0, 8),
    )
  })

  it('of ten thousand empty keys nothing is kept', () => {
    expect(kept(...Array(10_000).fill({}))).toEqual([])
  })
})

it.each([null, undefined, 5, [], {}, { keys: {} }, { keys: 'x' }])('%j is no key set', (jwks) => {
  expect(refusal(() => readKeySet(jwks))).toEqual({
    error: 'invalid_client',
    error_description: "The client's document has a key set without 'keys'.",
  })
})
