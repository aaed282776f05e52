/** Asks the child, in rounds, what a cached on-behalf-of token costs. */
import { startChild } from '../child.js'
import { shuffled } from '../statistics.js'

const seconds = 0.1

/** @returns bytes that the cache has grown by once 80,000 more users have come than it can hold */
export async function measureOnBehalfOfMemory(progress) {
  progress('100,000 users who each come once')
  const { ask, stop } = startChild('on-behalf-of/memory.js')
  try {
    return await ask('grown')
  } finally {
    stop()
  }
}

/** @returns microseconds of CPU per call, by case: one sample for each round */
export async function measureOnBehalfOf({ rounds }, progress) {
  progress('filling on-behalf-of caches')
  const { ask, stop } = startChild('on-behalf-of/child.js')
  try {
    const names = await ask('names')
    const samples = new Map(names.map((name) => [name, []]))
    for (const name of names) await ask('measure', { name, seconds: 5 * seconds })
    for (let round = 0; round < rounds; round++) {
      for (const name of shuffled(names)) {
        samples.get(name).push(await ask('measure', { name, seconds }))
      }
    }
    return samples
  } finally {
    stop()
  }
}
