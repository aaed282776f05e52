/**
 * What a gate costs, in one run: every variant in a process of its own, visited in rounds, compared to a bare
 * route of the same round. Exit code 0 whether or not a target is reached; 1 when something is broken.
 */
import { cpus } from 'node:os'
import { passing, refusing } from './cells.js'
import { measureGates } from './gates.js'
import { compare } from './measure.js'
import { measureOnBehalfOf, measureOnBehalfOfMemory } from './on-behalf-of/measure.js'
import { readOptions } from './options.js'
import { quantile } from './statistics.js'
import { table } from './table.js'
import { targets } from './targets.js'

await run(readOptions())

async function run(options) {
  const startedAt = performance.now()
  introduce(options)
  const gates = await measureGates(options, progress)
  printGates('Requests that pass', passing, gates)
  printGates('Requests that are refused', refusing, gates)
  const onBehalfOf = await measureOnBehalfOf(options, progress)
  printOnBehalfOf(onBehalfOf)
  const grown = await measureOnBehalfOfMemory(progress)
  print('Targets', table(['', 'measured', ''], targets(gates.samples, onBehalfOf, grown)))
  progress(`took ${((performance.now() - startedAt) / 1000).toFixed(0)} s`)
}

function progress(text) {
  process.stderr.write(`${text}\n`)
}

function introduce({ rounds, seconds, connections }) {
  const machine = `${cpus().length} x ${cpus()[0]?.model}`
  console.log(`${new Date().toISOString()}  Node ${process.version}  ${machine}`)
  console.log(`${rounds} rounds, ${seconds} s for each cell, ${connections} connections`)
}

function printGates(title, cells, { samples, memory }) {
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
  print(title, table(['', 'requests/s', 'to bare', 'µs added', 'p99 ms', 'RSS MB'], rows))
}

function printOnBehalfOf(samples) {
  const rows = [...samples].map(([name, costs]) => [name, quantile(costs).toFixed(1)])
  print('On behalf of, token cached', table(['', 'µs per call'], rows))
}

function print(title, text) {
  console.log(`\n${title}\n\n${text}`)
}
