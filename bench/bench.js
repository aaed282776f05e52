/**
 * What gates, proxies and the rest cost, in one run: part by part, each beside its peers in the same rounds. Exit code 0
 * whether or not a target is reached; 1 when something is broken.
 */
import { cpus } from 'node:os'
import { readOptions } from './options.js'
import { parts } from './parts.js'
import { table } from './table.js'

await run(readOptions(Object.keys(parts)))

async function run(options) {
  const startedAt = performance.now()
  introduce(options)
  const reached = []
  for (const name of options.only ?? Object.keys(parts)) {
    const part = await parts[name]()
    const result = await part.run(options, progress)
    print(result)
    reached.push(...(result.targets ?? []))
  }
  if (reached.length > 0) {
    print({ title: 'Targets', tables: [{ header: ['', 'measured', ''], rows: reached }] })
  }
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

function print({ title, notes = [], tables }) {
  console.log(`\n${title}\n${'='.repeat(title.length)}\n`)
  for (const note of notes) console.log(note)
  for (const { title, header, rows, notes = [] } of tables) {
    console.log(`${title ? `\n${title}\n` : ''}\n${table(header, rows)}`)
    for (const note of notes) console.log(`\n${note}`)
  }
}
