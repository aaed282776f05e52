/**
 * jest's `globalSetup`, what many suites would otherwise make for themselves: `dist/` and `build/` for those that start
 * programs or compile against our declarations, and keys for the emulators of all.
 */
import { execFile } from 'node:child_process'
import { generateKeyPair } from 'node:crypto'
import { access, rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
const compiler = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))
const bundler = fileURLToPath(new URL('../../bundle.js', import.meta.url))

/** @throws Error with what the compiler says */
export default async function prepare() {
  await build()
  await makeKeys()
}

async function build() {
  for (const args of [[compiler, '-b', 'lib', 'examples'], [bundler]]) {
    await promisify(execFile)(process.execPath, args, { cwd: root }).catch(({ stdout, stderr }) => {
      throw new Error(`${args.join(' ')}:\n${stdout}${stderr}`)
    })
  }
}

/** Three for each of twelve emulators: see `testing.ts`. They stay for the next run. */
async function makeKeys() {
  const file = fileURLToPath(new URL('../../build/test-keys.json', import.meta.url))
  const isThere = await access(file).then(
    () => true,
    () => false,
  )
  if (isThere) return
  const encoding = { publicKeyEncoding: { type: 'spki', format: 'pem' } }
  const privateKeyEncoding = { type: 'pkcs8', format: 'pem' }
  const options = { modulusLength: 2048, ...encoding, privateKeyEncoding }
  const pairs = await Promise.all(
    Array.from({ length: 36 }, () => promisify(generateKeyPair)('rsa', options)),
  )
  // Whole or not at all: another run may be reading.
  await writeFile(`${file}.${process.pid}`, JSON.stringify(pairs.map((pair) => pair.privateKey)))
  await rename(`${file}.${process.pid}`, file)
}
