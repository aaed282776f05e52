/** Random bytes, drawn from the system in blocks: drawing 16 alone costs 3 microseconds, and a login needs some 30 draws. */
import { randomFillSync } from 'node:crypto'

const blockLength = 4096
const block = Buffer.allocUnsafeSlow(blockLength)
let used = blockLength

/**
 * Random bytes that nobody else gets.
 *
 * @param length bytes, at most 4096
 */
export function randomBlock(length: number): Buffer {
  if (used + length > blockLength) {
    randomFillSync(block)
    used = 0
  }
  used += length
  const bytes = Buffer.from(block.subarray(used - length, used))
  block.fill(0, used - length, used)
  return bytes
}
