/** Rounds over stores and cells in random order: CPU of the server, and how long an answer takes. */
import { quantile, shuffled } from '../statistics.js'
import { cells, inFlight, seen } from './cells.js'

/** Visits before the first round: code gets hot. */
const warmUp = 3

/** @returns {Promise<Map<object, Map<string, { cpu: number, wall: number }[]>>>} samples by store and cell */
export async function measureRounds(stores, rounds, progress) {
  const samples = new Map(stores.map((store) => [store, new Map()]))
  progress('warming up')
  for (let visit = 0; visit < warmUp; visit++) {
    for (const store of stores) for (const name of Object.keys(cells)) await measure(store, name)
  }
  for (let round = 1; round <= rounds; round++) {
    progress(`round ${round} of ${rounds}`)
    const visits = stores.flatMap((store) => Object.keys(cells).map((name) => ({ store, name })))
    for (const { store, name } of shuffled(visits)) {
      const own = samples.get(store)
      own.set(name, [...(own.get(name) ?? []), await measure(store, name)])
    }
  }
  return samples
}

/** CPU in microseconds per action, and the median time that one takes in milliseconds. */
async function measure(store, name) {
  const actions = await cells[name](store)
  await store.ask('setPass', Math.min(store.used.length, actions.length))
  if (seen.includes(name)) await doAll(actions)
  const before = await store.ask('usage')
  const times = await doAll(actions)
  const cpu = ((await store.ask('usage')) - before) / actions.length
  return { cpu, wall: quantile(times) }
}

/** Does all actions, some at a time. @returns milliseconds, for each */
export async function doAll(actions) {
  const times = []
  const waiting = actions.values()
  const work = async () => {
    for (const action of waiting) {
      const begunAt = performance.now()
      await action()
      times.push(performance.now() - begunAt)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, work))
  return times
}
