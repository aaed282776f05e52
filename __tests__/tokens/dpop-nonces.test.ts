/** Nonces that nobody keeps: how long they are good, and for whom. */
import { describe, expect, it } from '@jest/globals'
import { keyRing } from '../../lib/crypto/key-ring.js'
import { dpopNonces } from '../../lib/tokens/dpop-nonces.js'

const [oldKey, newKey] = ['old-secret-of-these-tests-0001', 'new-secret-of-these-tests-0002']
const start = 1_800_000_000_000

function nonces(keys: readonly string[], clock = { now: start }) {
  return { clock, ...dpopNonces(keyRing(keys), () => clock.now) }
}

describe('a nonce', () => {
  it('is good for two minutes at least, and three at most', () => {
    const { clock, current, isGood } = nonces([oldKey])
    const nonce = current()
    for (const [seconds, good] of [
      [0, true],
      [120, true],
      [181, false],
    ] as const) {
      clock.now = start + seconds * 1000
      expect(isGood(nonce)).toBe(good)
    }
  })

  it('of a replica whose clock is a minute ahead is good, and one of the far future is not', () => {
    const here = nonces([oldKey])
    expect(here.isGood(nonces([oldKey], { now: start + 60_000 }).current())).toBe(true)
    expect(here.isGood(nonces([oldKey], { now: start + 180_000 }).current())).toBe(false)
  })

  it('is known under every key of the ring, and made under the first', () => {
    const made = nonces([newKey, oldKey]).current()
    expect(nonces([oldKey, newKey]).isGood(made)).toBe(true)
    expect(nonces([oldKey]).isGood(made)).toBe(false)
  })

  it.each(['', '.', 'junk', '-1.AAAA', '0.AAAA', 'NaN.x', '1e99.AAAA'])('is not %j', (nonce) => {
    expect(nonces([oldKey]).isGood(nonce)).toBe(false)
  })

  it('with another MAC, or for another time, is none of ours', () => {
    const { current, isGood } = nonces([oldKey])
    const [slot = '', mac = ''] = current().split('.')
    const next = (Number.parseInt(slot, 36) + 1).toString(36)
    expect(isGood(`${next}.${mac}`)).toBe(false)
    expect(isGood(`${slot}.${mac.slice(1)}x`)).toBe(false)
    expect(isGood(`${slot}x.${mac}`)).toBe(false)
  })
})
