import { createHash } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { constantTimeEqual, randomId, randomSecret, sha256 } from '../../lib/crypto/hashing.js'

describe('hashing', () => {
  it('makes secrets of 256 bits and ids of 128 bits in base64url', () => {
    expect(randomSecret()).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(randomId()).toMatch(/^[A-Za-z0-9_-]{22}$/)
  })

  it('never makes the same secret or id twice', () => {
    const made = Array.from({ length: 1000 }, () => [randomSecret(), randomId()]).flat()
    expect(new Set(made).size).toBe(2000)
  })

  it('hashes the empty text as the standard says (FIPS 180-4)', () => {
    expect(sha256('')).toBe('47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU')
  })

  it('hashes any text as its UTF-8 bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(sha256(text)).toBe(createHash('sha256').update(text, 'utf8').digest('base64url'))
      }),
    )
  })

  it('compares texts of any length as === does', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        expect(constantTimeEqual(a, b)).toBe(a === b)
        expect(constantTimeEqual(a, `${a}`)).toBe(true)
        expect(constantTimeEqual(a, `${a}x`)).toBe(false)
      }),
    )
  })
})
