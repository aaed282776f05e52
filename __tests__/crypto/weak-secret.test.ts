import { randomBytes, randomUUID } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { weaknessOf } from '../../lib/crypto/weak-secret.js'
import { testKeys } from '../support/auth-options.js'

describe('a secret that somebody typed', () => {
  it.each([
    ['a'.repeat(32), 'it has too few different characters'],
    ['changeme-changeme-changeme', 'it is a placeholder'],
    ['change_me_in_production_1', 'it is a placeholder'],
    ['MyPassword2026-for-the-server', 'it is a placeholder'],
    ['<output of the command above>', 'it is a placeholder'],
    ['your-secret-goes-in-here', 'it is a placeholder'],
    ['openssl rand -base64 32', 'it is a placeholder'],
    ['0101010101010101010101010101', 'it has too few different characters'],
    ['correcthorse1correcthorse1', 'it repeats itself'],
    ['mcp-server-mcp-server-mcp', 'it repeats itself'],
    ['93847561029384756473920', 'so few digits hold less than 128 bits'],
    ['9f86d081884c7d659a2feaa0', 'so few hex digits hold less than 128 bits'],
  ])('%j: %s', (secret, why) => {
    expect(weaknessOf(secret)).toBe(why)
  })
})

describe('a secret that a generator made', () => {
  it.each([
    ['openssl rand -base64 32', () => randomBytes(32).toString('base64')],
    ['16 bytes in base64url', () => randomBytes(16).toString('base64url')],
    ['openssl rand -hex 16', () => randomBytes(16).toString('hex')],
    ['openssl rand -hex 32', () => randomBytes(32).toString('hex')],
    ['uuidgen', () => randomUUID()],
  ])('is good: %s', (_command, make) => {
    for (let i = 0; i < 2000; i++) {
      const secret = make()
      expect([secret, weaknessOf(secret)]).toEqual([secret, undefined])
    }
  })

  it('is good when its hex digits happen to be without a letter', () => {
    expect(weaknessOf('98295576647572967818542813944891')).toBeUndefined()
  })

  it.each([...testKeys, 'correct horse battery staple paper'])(
    'and so is what shows no pattern: %s',
    (secret) => {
      expect(weaknessOf(secret)).toBeUndefined()
    },
  )
})
