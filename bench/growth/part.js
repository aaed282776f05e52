/** What grows with the number of logins in the store, as tables, a plot and targets. */
import { writeFileSync } from 'node:fs'
import { measureGrowth } from './run.js'
import { costsOf, growthTables, plots, targets } from './tables.js'

const million = [100, 10_000, 1_000_000]
/** Memory has room for 256 MiB, some 80,000 logins. */
const usual = { sizes: { Redis: million, LMDB: million, memory: [100, 10_000, 70_000] }, share: 1 }
const few = [100, 10_000]
const quickly = { sizes: { Redis: few, LMDB: few, memory: few }, share: 1 / 3 }
/** A round visits every store with every action: half a minute. */
const mostRounds = 7

/** A complete run with a Redis also writes `costs.json`, for `simulate.js`. */
export async function run({ rounds, quick }, progress) {
  const options = { ...(quick ? quickly : usual), rounds: Math.min(rounds, mostRounds) }
  const growth = await measureGrowth(options, progress)
  if (!quick && growth.commands) {
    const costs = JSON.stringify(costsOf(growth), null, 2)
    writeFileSync(new URL('costs.json', import.meta.url), `${costs}\n`)
  }
  return {
    title: 'Growth',
    tables: growthTables(growth),
    plots: plots(growth),
    targets: targets(growth),
  }
}
