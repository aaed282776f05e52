/**
 * What gates, proxies and the rest cost, in one run: part by part, each beside its peers in the same rounds. Exit code 0
 * whether or not a target is reached; 1 when something is broken.
 */
import { fileURLToPath } from 'node:url'
import { readOptions } from './options.js'
import { long, parts } from './parts.js'
import { printResult, writeResults } from './report.js'
import { describeMachine, describeVersions } from './versions.js'

await run(readOptions(Object.keys(parts)))

async function run(options) {
  const introduction = introduce(options)
  for (const line of introduction) console.log(line)
  const results = []
  for (const name of namesOf(options)) {
    const part = await parts[name]()
    const result = await part.run(options, progress)
    printResult(result)
    results.push(result)
  }
  const targets = targetsOf(results)
  printResult(targets)
  const folder = folderFor(options)
  writeResults(folder, introduction, [targets, ...results])
  progress(`wrote ${fileURLToPath(new URL('RESULTS.md', folder))}`)
}

function namesOf({ only, quick }) {
  return only ?? Object.keys(parts).filter((name) => !(quick && long.has(name)))
}

function progress(text) {
  const seconds = (performance.now() / 1000).toFixed(0)
  process.stderr.write(`${seconds.padStart(4)} s  ${text}\n`)
}

function introduce({ rounds, seconds, quick }) {
  return [
    new Date().toISOString(),
    describeMachine(),
    describeVersions(),
    `${rounds} rounds of ${seconds} s for each cell`,
    ...(quick ? ['a quick look: numbers this short are for orientation'] : []),
  ]
}

function targetsOf(results) {
  const rows = results.flatMap(({ targets = [] }) => targets)
  return { title: 'Targets', tables: [{ header: ['', 'measured', ''], rows }] }
}

/** The page that is under version control shows complete runs only. */
function folderFor({ quick, only }) {
  return new URL(quick || only ? '../build/bench/' : './', import.meta.url)
}
