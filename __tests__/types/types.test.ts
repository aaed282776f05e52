/**
 * Our declarations beside both generations of the SDK, with nobody's declarations skipped. SDK v1 needs the
 * library `dom` for that (`HeadersInit`); we and v2 do without.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from '@jest/globals'

const root = fileURLToPath(new URL('../..', import.meta.url))
const compiler = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url))

/** What the compiler says, and its exit code. */
async function tsc(...args: readonly string[]): Promise<{ code: number; output: string }> {
  const ran = promisify(execFile)(process.execPath, [compiler, ...args], { cwd: root })
  return ran.then(
    ({ stdout }) => ({ code: 0, output: stdout }),
    ({ code, stdout }: { code: number; stdout: string }) => ({ code, output: stdout }),
  )
}

it.each(['v1', 'v2'])(
  'compiles beside SDK %s with skipLibCheck false',
  async (generation) => {
    expect(await tsc('-p', `__tests__/types/${generation}`)).toEqual({ code: 0, output: '' })
  },
  120_000,
)
