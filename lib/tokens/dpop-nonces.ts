/**
 * Nonces for DPoP proofs: the time, and a MAC of it under the key ring. Nothing is kept, and every replica knows the
 * nonces of all others. A proof made in advance, for use when its maker no longer has the key, is good for minutes.
 */
import { createHmac } from 'node:crypto'
import type { Clock } from '../async/clock.js'
import { constantTimeEqual } from '../crypto/hashing.js'
import type { KeyRing, RingKey } from '../crypto/key-ring.js'

/** Makes and recognises nonces. */
export interface DpopNonces {
  /** The newest one. */
  current(): string
  /** Whether a nonce is one of ours, and not too old. */
  isGood(nonce: string): boolean
}

/** Milliseconds for which one nonce is the newest. */
const slotLength = 60_000
/** How many slots later it is still good: between two and three minutes after it was given out. */
const slotsGood = 2

/** @see RFC 9449 sections 8 and 9 */
export function dpopNonces({ current, all }: KeyRing, now: Clock): DpopNonces {
  const slotNow = () => Math.floor(now() / slotLength)
  return Object.freeze({
    current: () => nonceOf(current, slotNow()),
    isGood(nonce: string) {
      const slot = Number.parseInt(nonce, 36)
      const age = slotNow() - slot
      // One slot ahead: the clock of another replica may be.
      if (!(age >= -1 && age <= slotsGood)) return false
      return all.some((key) => constantTimeEqual(nonce, nonceOf(key, slot)))
    },
  })
}

/** @see RFC 9449 section 8.1: no quotes, no backslashes */
function nonceOf(key: RingKey, slot: number): string {
  const mac = createHmac('sha256', key.derive('dpop nonce')).update(String(slot)).digest()
  return `${slot.toString(36)}.${mac.subarray(0, 16).toString('base64url')}`
}
