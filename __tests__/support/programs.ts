/** The examples as programs of their own, configured by environment variables alone. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../bench/free-port.js'
import type { Entra } from './host.js'

const examples = fileURLToPath(new URL('../../build/examples', import.meta.url))

export type Environment = Readonly<Record<string, string>>

/** A program that was started. */
export interface Program {
  readonly child: ChildProcess
  readonly url: string
  /** All it has printed so far. */
  output(): string
  /** The exit code. */
  readonly ended: Promise<number | null>
}

let running: Program[] = []

/** Where a program runs. */
export interface Place {
  /** Default: `build/examples`. */
  readonly cwd?: string
  /** The path of a Node. Default: the one of the tests. */
  readonly node?: string
}

/** Starts `node` with these arguments, and with nothing of this process's environment but PATH. */
export function run(
  args: readonly string[],
  env: Environment,
  { cwd = examples, node = process.execPath }: Place = {},
): Program {
  const child = spawn(node, [...args], {
    cwd,
    env: { PATH: process.env.PATH ?? '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  const keep = (chunk: Buffer) => {
    printed += chunk.toString()
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const ended = once(child, 'close').then(([code]) => code as number | null)
  const started = { child, url: env.BASE_URL ?? '', output: () => printed, ended }
  running.push(started)
  return started
}

/** Waits until the program has printed this. @throws Error with its output when it ends before */
export async function printed(program: Program, text: string): Promise<Program> {
  const { child, output, ended } = program
  const line = (async () => {
    while (!output().includes(text)) await once(child.stdout ?? child, 'data')
  })()
  const code = await Promise.race([line, ended.then((code) => ({ code }))])
  if (code) throw new Error(`exit code ${code.code}: ${output()}`)
  return program
}

/** Kills all programs of the test. */
export async function killPrograms(): Promise<void> {
  for (const { child } of running) child.kill('SIGKILL')
  await Promise.all(running.map(({ ended }) => ended))
  running = []
}

/** The variables that an example needs, for a free port and this Entra. */
export async function environmentFor(entra: Entra): Promise<Environment> {
  const port = await freePort()
  const url = `http://localhost:${port}`
  entra.addRedirectUri(`${url}/auth/callback`)
  return {
    PORT: String(port),
    BASE_URL: url,
    AZURE_TENANT_ID: entra.tenant.id,
    AZURE_CLIENT_ID: entra.app.clientId,
    AZURE_CLIENT_SECRET: entra.app.secrets[0] ?? '',
    AZURE_AUTHORITY_HOST: entra.url,
    MCP_ENTRA_KEYS: 'example key one: 0123456789abcdef,example key two: fedcba9876543210',
    GRAPH_URL: entra.graphUrl,
  }
}
