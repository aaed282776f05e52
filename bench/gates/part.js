/** Gates, as tables: requests that pass, and requests that are refused. */
import { passing, refusing } from './cells.js'
import { compare } from './measure.js'
import { measureGates } from './start.js'
import { targets } from './targets.js'

export async function run(options, progress) {
  const gates = await measureGates(options, progress)
  return {
    title: 'Gates',
    tables: [
      gateTable('Requests that pass', passing, gates),
      gateTable('Requests that are refused', refusing, gates),
    ],
    targets: targets(gates.samples),
  }
}

function gateTable(title, cells, { samples, memory }) {
  const rows = cells.map(({ name, server, to = name }) => {
    const { perSecond, ratio, added, p99 } = compare(samples.get(name), samples.get(to))
    return [
      name,
      perSecond.toFixed(0),
      ratio.toFixed(2),
      added.toFixed(0),
      p99.toFixed(1),
      (memory.get(server) / 1024 / 1024).toFixed(0),
    ]
  })
  return { title, header: ['', 'requests/s', 'to bare', 'µs added', 'p99 ms', 'RSS MB'], rows }
}
