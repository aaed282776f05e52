/**
 * Rounds: each visits every cell once, in an order of its own, with the bare route in between. A machine's speed drifts,
 * so every cell is first compared with the bare route just before and after it.
 */
import { quantile, shuffled } from '../statistics.js'
import { load } from './load.js'

/** Requests to a server before the first round: its code gets hot, keys are fetched, caches filled. */
const warmUp = 12_000
const quickWarmUp = 6000
/** The least for each of its cells: the ways to refuse get hot one by one. */
const cellWarmUp = 2000
/** Requests at the start of each visit that do not count: other servers have had the processor's caches since. */
const runIn = 128
/** Cells between two visits to the bare route. */
const stride = 4

/**
 * @param cells each with the means to measure it: `{ name, port, ask, requests, status, share }`, and `fresh` where every
 *   request is a new one
 * @param pace the bare cell
 * @returns samples by cell, one for each round; those of the bare cell are the averages of its visits
 */
export async function measureRounds(cells, pace, options, progress) {
  const { rounds, seconds, connections, quick } = options
  const samples = new Map([pace, ...cells].map(({ name }) => [name, []]))
  progress('warming up')
  for (const cell of cells) {
    const sharing = cells.filter(({ port }) => port === cell.port).length
    const share = (quick ? quickWarmUp : warmUp) / sharing
    const atLeast = Math.max(share, cellWarmUp, 1.2 * cell.requests.length)
    await sendRequests(cell, { connections, seconds: 0, atLeast })
  }
  for (let round = 1; round <= rounds; round++) {
    progress(`gates, round ${round} of ${rounds}`)
    let before = await measure(pace, connections, seconds)
    const visits = [before]
    for (const some of inGroups(shuffled(cells), stride)) {
      const group = []
      for (const cell of some) {
        group.push([cell.name, await measure(cell, connections, seconds * cell.share)])
      }
      const after = await measure(pace, connections, seconds)
      const near = average([before, after])
      for (const [name, sample] of group) samples.get(name).push({ ...sample, near })
      visits.push(after)
      before = after
    }
    const all = average(visits)
    samples.get(pace.name).push({ ...all, near: all })
  }
  return samples
}

function inGroups(values, size) {
  return Array.from({ length: Math.ceil(values.length / size) }, (_none, index) =>
    values.slice(index * size, (index + 1) * size),
  )
}

function average(samples) {
  const mean = (name) => samples.reduce((sum, sample) => sum + sample[name], 0) / samples.length
  return { perSecond: mean('perSecond'), cpu: mean('cpu'), p99: mean('p99') }
}

/** Requests per second, the server's CPU in microseconds per request, and the 99th percentile in milliseconds. */
async function measure(cell, connections, seconds) {
  await sendRequests(cell, { connections, seconds: 0, atLeast: runIn })
  const before = await cell.ask('usage')
  const answered = await sendRequests(cell, { connections, seconds })
  const after = await cell.ask('usage')
  return {
    perSecond: answered.count / answered.seconds,
    cpu: (after.cpu - before.cpu) / answered.count,
    p99: quantile(answered.latencies, 0.99),
  }
}

async function sendRequests({ name, port, requests, fresh, status }, job) {
  try {
    return await load({ ...job, port, status, next: fresh ?? inTurn(requests) })
  } catch (cause) {
    throw new Error(`${name}: ${cause.message}`, { cause })
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
 * A cell beside another of the same rounds, each measured by the bare route next to it. One value for each round.
 *
 * @returns {{ ratio: number[], added: number[] }} of throughput, and microseconds of CPU
 */
export function compare(own, other) {
  const bare = quantile(other.map(({ near }) => near.cpu))
  const cpu = (sample) => (sample.cpu / sample.near.cpu) * bare
  const speed = (sample) => sample.perSecond / sample.near.perSecond
  return {
    ratio: own.map((sample, round) => speed(sample) / speed(other[round])),
    added: own.map((sample, round) => cpu(sample) - cpu(other[round])),
  }
}
