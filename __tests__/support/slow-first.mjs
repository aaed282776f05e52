/**
 * The order of suites: the slow ones first, so that none of them is left over when all else is done. Jest goes by the
 * durations of the last run; a fresh clone has none, and there the size of a file says little.
 */
import Sequencer from '@jest/test-sequencer'

/** Folders and files below `__tests__/`, the slowest first. */
const slow = [
  'package/',
  'storage/redis',
  'flows/redis/',
  'conformance/',
  'flows/browser',
  'flows/on-behalf-of-load',
  'examples/',
  'flows/outages',
  'flows/fuzz/',
]

export default class SlowFirst extends Sequencer {
  sort(tests) {
    const sorted = super.sort(tests)
    if (sorted.every(({ duration }) => duration)) return sorted
    return sorted.sort((one, other) => rank(one) - rank(other))
  }
}

function rank({ path }) {
  const place = slow.findIndex((start) => path.includes(`/__tests__/${start}`))
  return place < 0 ? slow.length : place
}
