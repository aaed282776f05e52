/** The program itself, as npm installs it: a process with streams, signals and an exit code. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { freePort } from '../../bench/free-port.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { bin } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  bin: Record<string, string>
}
const program = `${root}${bin['mcp-entra']}`

interface Run {
  readonly output: () => string
  readonly errors: () => string
  readonly ended: Promise<readonly [code: number | null, signal: string | null]>
  readonly child: ReturnType<typeof spawn>
}

function start(args: readonly string[], input?: string): Run {
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env.PATH ?? '' },
  })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk) => {
    out += String(chunk)
  })
  child.stderr.on('data', (chunk) => {
    err += String(chunk)
  })
  // Without input, the stream stays open, as a terminal does.
  if (input !== undefined) child.stdin.end(input)
  const ended = once(child, 'close') as Promise<[number | null, string | null]>
  return { output: () => out, errors: () => err, ended, child }
}

describe('the program mcp-entra', () => {
  it('begins as npm needs it to begin', () => {
    expect(readFileSync(program, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
  })

  it.each([
    [
      ['--help'],
      0,
      /setup[\s\S]*doctor[\s\S]*explain[\s\S]*try[\s\S]*Exit codes: 0 done, 1 failures, 2 not understood/,
    ],
    [['setup', '--help'], 0, /--base-url[\s\S]*--credential[\s\S]*Nothing|prints/i],
    [['doctor', '--help'], 0, /REDIS_URL[\s\S]*Exit code 1/],
    [['try', '--help'], 0, /Ctrl-C ends it/],
    [['explain', '65001'], 0, /AADSTS65001/],
    [['doctor'], 2, /^$/],
    [['frobnicate'], 2, /^$/],
    [[], 2, /^$/],
  ])('%j exits with %i', async (args, code, output) => {
    const run = start(args)
    expect((await run.ended)[0]).toBe(code)
    expect(run.output()).toMatch(output)
  })

  it('reads a token from standard input', async () => {
    const run = start(['explain', '-'], 'AADSTS7000215\n')
    expect((await run.ended)[0]).toBe(0)
    expect(run.output()).toContain('Secret ID')
  })

  it.each([['--help'], ['explain', '65001'], ['doctor']])(
    'says nothing about a reader that has gone (| head -1): %s',
    async (...args) => {
      const run = start(args)
      const code = args[0] === 'doctor' ? 2 : 0
      run.child.stdout?.destroy()
      expect((await run.ended)[0]).toBe(code)
      expect(run.errors()).not.toMatch(/EPIPE|node:/)
    },
  )

  it('asks, with --ask, and ends when it has its answers', async () => {
    const run = start(['setup', '--ask', '--format', 'env'], 'Notes\nhttps://mcp.contoso.com\n')
    expect((await run.ended)[0]).toBe(0)
    expect(run.output()).toContain('BASE_URL=https://mcp.contoso.com')
    expect(run.errors()).toContain('Name of the app')
  })

  it('ends with Ctrl-C while it asks', async () => {
    const run = start(['setup', '--ask'])
    while (!run.errors().includes('Name of the app'))
      await once(run.child.stderr ?? run.child, 'data')
    run.child.kill('SIGINT')
    expect(await run.ended).toEqual([null, 'SIGINT'])
    expect(run.output()).toBe('')
  })

  it.each(['SIGINT', 'SIGTERM'] as const)('ends a try on %s', async (signal) => {
    const port = await freePort()
    const run = start(['try', '--port', String(port)])
    while (!run.output().includes('Ctrl-C')) {
      const ended = await Promise.race([
        once(run.child.stdout ?? run.child, 'data'),
        run.ended.then(() => 'ended'),
      ])
      if (ended === 'ended') throw new Error(run.errors())
    }
    const answer = await fetch(`http://localhost:${port}/mcp`, { method: 'POST' })
    expect(answer.status).toBe(401)
    run.child.kill(signal)
    expect(await run.ended).toEqual([0, null])
  })
})
