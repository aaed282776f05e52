import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { keyRing } from '../../lib/crypto/key-ring.js'
import {
  open,
  openJson,
  type SealContext,
  seal,
  sealedLength,
  sealJson,
} from '../../lib/crypto/sealing.js'

const older = 'older-secret-of-the-operator-0001'
const newer = 'newer-secret-of-the-operator-0002'
const ring = keyRing([older])
const context: SealContext = { purpose: 'test', boundTo: 'place', secret: 'holder' }
const plain = Buffer.from('what nobody reads')
const [idBytes, saltBytes, tagBytes] = [6, 16, 16]
const contexts = fc.record(
  { purpose: fc.string(), boundTo: fc.string(), secret: fc.string() },
  { requiredKeys: ['purpose'] },
)

describe('a sealed box', () => {
  it('gives back what was sealed, whatever it is', () => {
    fc.assert(
      fc.property(contexts, fc.uint8Array({ maxLength: 500 }), (any, bytes) => {
        expect(open(ring, any, seal(ring, any, bytes))).toEqual(Buffer.from(bytes))
      }),
    )
  })

  it('opens only for its purpose, its place and its secret', () => {
    fc.assert(
      fc.property(contexts, contexts, (sealed, opened) => {
        const [a, b] = [sealed, opened].map(({ purpose, boundTo = '', secret = '' }) =>
          JSON.stringify([purpose, boundTo, secret]),
        )
        fc.pre(a !== b)
        expect(open(ring, opened, seal(ring, sealed, plain))).toBeUndefined()
      }),
    )
  })

  it.each([
    ['purpose', { ...context, purpose: 'test2' }],
    ['place', { ...context, boundTo: 'Place' }],
    ['secret', { ...context, secret: 'holder ' }],
    ['place and secret', { purpose: 'test' }],
    ['division between purpose and place', { ...context, purpose: 'test\0p', boundTo: 'lace' }],
  ])('refuses another %s', (_, other) => {
    const box = seal(ring, context, plain)
    expect(open(ring, other, box)).toBeUndefined()
    expect(open(ring, context, box)).toEqual(plain)
  })

  it('refuses every single flipped bit', () => {
    const box = seal(ring, context, plain)
    for (let bit = 0; bit < box.length * 8; bit += 1) {
      const flipped = Uint8Array.from(box)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect([bit, open(ring, context, flipped)]).toEqual([bit, undefined])
    }
  })

  it('refuses to be shorter or longer by any number of bytes', () => {
    const box = seal(ring, context, plain)
    for (let length = 0; length < box.length; length += 1) {
      expect(open(ring, context, box.subarray(0, length))).toBeUndefined()
    }
    expect(open(ring, context, Buffer.concat([box, Buffer.from([0])]))).toBeUndefined()
  })

  it('refuses any other bytes without an exception', () => {
    const header = ring.current.id
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(open(ring, context, bytes)).toBeUndefined()
        expect(open(ring, context, Buffer.concat([header, bytes]))).toBeUndefined()
      }),
    )
  })

  it('looks different each time, and has nothing but the key id in common with another', () => {
    const [one, other] = [seal(ring, context, plain), seal(ring, context, plain)]
    expect(one.length).toBe(idBytes + saltBytes + plain.length + tagBytes)
    expect(one.subarray(0, idBytes)).toEqual(other.subarray(0, idBytes))
    expect(one.subarray(idBytes)).not.toEqual(other.subarray(idBytes))
    expect(one.includes(plain)).toBe(false)
  })

  it('opens after the keys were rotated, and is sealed under the newest', () => {
    const rotated = keyRing([newer, older])
    expect(open(rotated, context, seal(ring, context, plain))).toEqual(plain)
    const box = seal(rotated, context, plain)
    expect(open(keyRing([newer]), context, box)).toEqual(plain)
    expect(open(ring, context, box)).toBeUndefined()
  })

  it('stays shut once its key has left the ring', () => {
    expect(open(keyRing([newer]), context, seal(ring, context, plain))).toBeUndefined()
  })

  it('stays shut under another key that claims its id', () => {
    const box = seal(ring, context, plain)
    keyRing([newer]).current.id.copy(box)
    expect(open(keyRing([newer, older]), context, box)).toBeUndefined()
  })
})

describe('a sealed JSON value', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = sealJson(ring, context, value)
        expect(text).toMatch(/^[A-Za-z0-9_-]+$/)
        expect(text).toHaveLength(sealedLength(value))
        expect(openJson(ring, context, text)).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('has one spelling: no other text that decodes to the same bytes opens', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    for (const value of ['', 'a', 'ab']) {
      const text = sealJson(ring, context, value)
      const bytes = Buffer.from(text, 'base64url')
      const spellings = [...alphabet]
        .map((last) => text.slice(0, -1) + last)
        .concat(`${text}=`, `${text}==`, `${text}A`, ` ${text}`, `${text}\n`, `${text}.`)
        .concat(text.replaceAll('-', '+').replaceAll('_', '/').concat('='))
        .filter((other) => other !== text && Buffer.from(other, 'base64url').equals(bytes))
      expect(spellings.length).toBeGreaterThan(0)
      for (const other of spellings) expect(openJson(ring, context, other)).toBeUndefined()
      expect(openJson(ring, context, text)).toBe(value)
    }
  })

  it.each(['', 'a', 'no box', '../../etc', 'AAAA', 'é', '\0'])('does not open %j', (text) => {
    expect(openJson(ring, context, text)).toBeUndefined()
  })
})
