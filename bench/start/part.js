/** How long a start takes, as a table, and whether the library stays within its budget. */
import { quantile } from '../statistics.js'
import { target } from '../target.js'
import { measureStart } from './measure.js'

/** Starts of each kind. */
const usual = 20
const few = 6
const base = 'express + jose'
const own = 'express + jose + mcp-entra'
/** Milliseconds that the library may add. */
const budget = 15

export function run({ quick }, progress) {
  const samples = measureStart(quick ? few : usual, progress)
  // Round by round: what slows a round down slows all of it.
  const over = (name) => samples.get(name).map((took, round) => took - samples.get(base)[round])
  const rows = [...samples].map(([name, took]) => [
    name,
    quantile(took).toFixed(0),
    ...[0.5, 0.25, 0.75].map((share) => quantile(over(name), share).toFixed(1)),
  ])
  const added = quantile(over(own))
  const wanted = `start, ${own}: at most ${budget} ms over ${base}`
  return {
    title: 'Start',
    tables: [{ header: ['', 'ms', `over ${base}`, 'lower quartile', 'upper'], rows }],
    targets: [target(wanted, `${added.toFixed(1)} ms`, added <= budget)],
  }
}
