/**
 * Writes to the file storage at FILE_STORAGE_PATH until it is killed, and says on stdout what it is about to do
 * and, after the storage has acknowledged it, what it did: `adding k`, `added k`, `taking k`, `took k`.
 */
import { writeSync } from 'node:fs'
import create from './file-store.mjs'

const { storage } = create()
const say = (line) => writeSync(1, `${line}\n`)

async function write(lane) {
  for (let count = 0; ; count += 1) {
    const key = `${process.pid}:${lane}:${count}`
    say(`adding ${key}`)
    if (!(await storage.add(key, valueFor(key), 3600))) throw new Error(`${key} is there already`)
    say(`added ${key}`)
    if (count % 3 !== 0) continue
    say(`taking ${key}`)
    if (!(await storage.take(key))) throw new Error(`${key} has gone`)
    say(`took ${key}`)
  }
}

/** About 2 kB that only this key has. */
function valueFor(key) {
  return Buffer.from(`${key} `.repeat(100))
}

for (let lane = 0; lane < 8; lane += 1) write(lane)
