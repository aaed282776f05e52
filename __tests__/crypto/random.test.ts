import { describe, expect, it } from '@jest/globals'
import { randomBlock } from '../../lib/crypto/random.js'

describe('random bytes', () => {
  it('are as many as asked for, and nobody gets those of another', () => {
    const drawn = Array.from({ length: 1000 }, () => randomBlock(16))
    expect(new Set(drawn.map((bytes) => bytes.toString('hex'))).size).toBe(1000)
    expect(drawn.every((bytes) => bytes.length === 16)).toBe(true)
  })

  it('are never zeros, at whatever place of a block they lie', () => {
    const lengths = [1000, 1000, 1000, 1000, 1000, 4096, 96, 4000, 4096]
    for (const length of lengths) {
      expect(randomBlock(length).filter((byte) => byte === 0).length).toBeLessThan(length / 10 + 8)
    }
  })

  it('do not change once they are given out', () => {
    const mine = randomBlock(4096)
    const copy = Buffer.from(mine)
    for (let count = 0; count < 300; count += 1) randomBlock(32)
    expect(mine.equals(copy)).toBe(true)
  })
})
