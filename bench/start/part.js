/** How long a start takes, and whether the library stays within its budget. */
import { quantile } from '../statistics.js'
import { measureStart } from './measure.js'

const base = 'express + jose'
const own = 'express + jose + mcp-entra'
/** Milliseconds that the library may add. */
const budget = 15

/** @returns tables with headers and rows, and targets as rows */
export async function run({ rounds }, progress) {
  const samples = measureStart(rounds, progress)
  // What else runs on the machine only ever adds to a start, so the quicker ones say most.
  const quick = (name, what) =>
    quantile(
      samples.get(name).map((sample) => sample[what]),
      0.25,
    )
  const over = (name, what) => quick(name, what) - quick(base, what)
  const rows = [...samples.keys()].map((name) => [
    name,
    ...['took', 'cpu'].flatMap((what) => [
      quick(name, what).toFixed(0),
      over(name, what).toFixed(1),
    ]),
  ])
  const added = over(own, 'took')
  return {
    title: 'Start',
    tables: [
      {
        title: 'A process that imports these, and ends: the quickest quarter of the starts',
        header: ['', 'ms', `over ${base}`, 'CPU ms', 'over'],
        rows,
      },
    ],
    targets: [
      [
        `start: at most ${budget} ms over ${base}`,
        `${added.toFixed(1)} ms`,
        added <= budget ? 'PASS' : 'MISS',
      ],
    ],
  }
}
