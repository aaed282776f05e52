/** A Redis of the bench's own: on a free port of loopback, in a temporary directory that goes with it. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from './free-port.js'

const run = promisify(execFile)

/** Whether this machine has a redis-server. */
export const hasRedis = spawnSync('redis-server', ['--version']).status === 0

/**
 * Starts it.
 *
 * @param {{ persistent?: boolean }} options `persistent`: keep the data over a restart (append-only file, synced
 *   every second)
 */
export async function startRedis({ persistent = false } = {}) {
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'mcp-entra-bench-redis-'))
  const args = [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''],
    ...['--appendonly', persistent ? 'yes' : 'no', '--appendfsync', 'everysec'],
  ]
  const cli = async (...words) => (await run('redis-cli', ['-p', String(port), ...words])).stdout
  let server = await launch(args, cli)
  const end = () => {
    server.kill('SIGKILL')
    rmSync(directory, { recursive: true, force: true })
  }
  process.once('exit', end)
  const stop = async () => {
    const gone = once(server, 'exit')
    server.kill('SIGTERM')
    await gone
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    cli,
    stop,
    /** Starts it again after `stop`. */
    async start() {
      server = await launch(args, cli)
    },
    /** For good. */
    async close() {
      process.off('exit', end)
      if (server.exitCode === null && server.signalCode === null) await stop()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

async function launch(args, cli) {
  const server = spawn('redis-server', args, { stdio: 'ignore' })
  for (let tries = 0; tries < 500; tries++) {
    if (server.exitCode !== null) throw new Error('redis-server does not start')
    if ((await cli('ping').catch(() => '')).startsWith('PONG')) return server
    await wait(20)
  }
  server.kill('SIGKILL')
  throw new Error('redis-server does not answer')
}
