/** The examples of tests, run as their readers run theirs: each by its own runner, in a process of its own. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'

const root = fileURLToPath(new URL('../..', import.meta.url))
const jest = 'node_modules/jest/bin/jest.js'
const plain = JSON.stringify({ testEnvironment: 'node', transform: {} })

/** @returns the exit code, and all that was printed, without colours */
async function run(args: readonly string[]): Promise<readonly [number | null, string]> {
  const env = { PATH: process.env.PATH ?? '', NO_COLOR: '1' }
  const child = spawn(process.execPath, args, { cwd: root, env })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk
    })
  }
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return [code, output]
}

describe('examples/testing', () => {
  it('runs with node:test', async () => {
    const [code, output] = await run(['--test', 'build/examples/testing/node.test.js'])
    expect(output).toMatch(/^(?:#|ℹ) pass 2$/m)
    expect(code).toBe(0)
  })

  it('runs with vitest', async () => {
    const vitest = ['node_modules/vitest/vitest.mjs', 'run']
    const [code, output] = await run([...vitest, 'examples/testing/vitest.test.ts'])
    expect(output).toMatch(/Tests\s+2 passed \(2\)/)
    expect(code).toBe(0)
  })

  it('runs with jest', async () => {
    const options = ['--config', plain, '--rootDir', 'build/examples', 'testing/jest.test.js']
    const [code, output] = await run(['--experimental-vm-modules', jest, ...options])
    expect(output).toMatch(/Tests:\s+2 passed, 2 total/)
    expect(code).toBe(0)
  })
})
