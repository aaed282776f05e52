/**
 * `mcp-entra/testing` as the tests here have it: emulators take their keys from those that `prepare.mjs` has made, and
 * do not spend a third of a second of CPU time each on making some.
 */
import { readFileSync } from 'node:fs'
import {
  type EntraEmulator,
  type EntraOptions,
  startEntra as startWithNewKeys,
} from '../../lib/testing/index.js'

export * from '../../lib/testing/index.js'

const keysEach = 3
const file = new URL('../../build/test-keys.json', import.meta.url)
const pems = JSON.parse(readFileSync(file, 'utf8')) as readonly string[]
let started = 0

/** Emulators of a test file have different keys, up to a dozen of them. */
export function startEntra(options: EntraOptions = {}): Promise<EntraEmulator> {
  const from = (started++ * keysEach) % pems.length
  return startWithNewKeys({ signingKeys: pems.slice(from, from + keysEach), ...options })
}
