/** Rounds: each visits every cell once, in an order of its own, so that the machine's moods hit all alike. */

import { quantile, shuffled } from '../statistics.js'
import { load } from './load.js'

/** Rounds' worth of requests before the first round: code gets hot, keys are fetched, caches filled. */
const warmUp = 10

/** One cell with the means to measure it: `{ name, port, ask, requests, status, share }`. */
export async function measureRounds(cells, { rounds, seconds, connections }, progress) {
  const samples = new Map(cells.map(({ name }) => [name, []]))
  progress('warming up')
  for (const cell of cells) await measure(cell, connections, warmUp * seconds * cell.share)
  for (let round = 1; round <= rounds; round++) {
    progress(`round ${round} of ${rounds}`)
    for (const cell of shuffled(cells)) {
      samples.get(cell.name).push(await measure(cell, connections, seconds * cell.share))
    }
  }
  return samples
}

/** Requests per second, the server's CPU in microseconds per request, and the 99th percentile in milliseconds. */
async function measure({ name, port, ask, requests, status }, connections, seconds) {
  const before = await ask('usage')
  const answered = await load({ port, next: inTurn(requests), connections, seconds, status }).catch(
    (error) => {
      throw new Error(`${name}: ${error.message}`, { cause: error })
    },
  )
  const after = await ask('usage')
  return {
    perSecond: answered.count / answered.seconds,
    cpu: (after.cpu - before.cpu) / answered.count,
    p99: quantile(answered.latencies, 0.99),
  }
}

const positions = new WeakMap()

/** The next request, over and over; where the last visit left off, so that no token comes back too early. */
function inTurn(requests) {
  return () => {
    const position = positions.get(requests) ?? 0
    positions.set(requests, (position + 1) % requests.length)
    return requests[position]
  }
}

/**
 * A cell beside another of the same rounds: medians of the ratio and of the CPU added.
 *
 * @returns {{ perSecond: number, ratio: number, added: number, p99: number }}
 */
export function compare(own, other) {
  return {
    perSecond: quantile(own.map(({ perSecond }) => perSecond)),
    ratio: quantile(own.map(({ perSecond }, round) => perSecond / other[round].perSecond)),
    added: quantile(own.map(({ cpu }, round) => cpu - other[round].cpu)),
    p99: quantile(own.map(({ p99 }) => p99)),
  }
}
