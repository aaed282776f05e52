/** How long fuzzing runs, and from which seed. Both can be set; the seed is printed. */
import { beforeAll } from '@jest/globals'

const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31)
const milliseconds = Number(process.env.FUZZ_MILLISECONDS ?? 500)

/** For `fc.assert`: as many runs as fit into the time. `FUZZ_SEED` repeats them. */
export const bounded = {
  seed,
  numRuns: 100_000,
  interruptAfterTimeLimit: milliseconds,
  markInterruptAsFailure: false,
} as const

beforeAll(() => void process.stderr.write(`fuzz: FUZZ_SEED=${seed}\n`))

/** Calls `work` for every item, some at a time. */
export async function forEachOf<T>(
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
  atOnce = 16,
): Promise<void> {
  const queue = items[Symbol.iterator]()
  const worker = async () => {
    for (let next = queue.next(); !next.done; next = queue.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** Every text that differs in one bit from the bytes a base64url text stands for. */
export function* bitFlips(text: string): Generator<string> {
  const bytes = Buffer.from(text, 'base64url')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes)
    const at = bit >> 3
    changed[at] = (changed[at] ?? 0) ^ (1 << (bit & 7))
    yield changed.toString('base64url')
  }
}
