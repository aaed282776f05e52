/**
 * What grows with the number of logins: a gate, a refresh, a redemption and an on-behalf-of token over stores with 100
 * to a million of them; bytes in the store and in memory; commands to Redis. `--quick` stops at 10,000 and looks thrice.
 * Exit code 0 whether or not it is flat; 1 when something is broken. A whole run writes `costs.json` for `simulate.js`.
 *
 *   npm --prefix bench run growth
 */
import { writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { costsOf, printGrowth } from './report.js'
import { measureGrowth } from './run.js'

const { values } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, rounds: { type: 'string' } },
})
const quick = {
  sizes: { Redis: [100, 10_000], LMDB: [100, 10_000], memory: [100, 10_000] },
  rounds: Number(values.rounds ?? 3),
}
/** Memory has room for 256 MiB, some 85,000 logins. */
const whole = {
  sizes: {
    Redis: [100, 10_000, 1_000_000],
    LMDB: [100, 10_000, 1_000_000],
    memory: [100, 10_000, 75_000],
  },
  rounds: Number(values.rounds ?? 7),
}

console.log(
  `${new Date().toISOString()}  Node ${process.version}  ${cpus().length} x ${cpus()[0]?.model}`,
)
const growth = await measureGrowth(values.quick ? quick : whole, (text) =>
  process.stderr.write(`${text}\n`),
)
printGrowth(growth)
if (!values.quick && growth.commands) {
  writeFileSync(
    new URL('costs.json', import.meta.url),
    `${JSON.stringify(costsOf(growth), null, 2)}\n`,
  )
}
