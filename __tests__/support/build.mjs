/** jest's `globalSetup`: `dist/` and `build/` for the suites that start programs or compile against our declarations. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))
const compiler = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))

/** @throws Error with what the compiler says */
export default async function build() {
  const args = [compiler, '-b', 'lib', 'examples']
  await promisify(execFile)(process.execPath, args, { cwd: root }).catch(({ stdout, stderr }) => {
    throw new Error(`tsc -b lib examples:\n${stdout}${stderr}`)
  })
}
