/** A Redis for the bench: `REDIS_URL`, or a private server on a free port that ends with the run. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { connectTo } from './connection.js'
import { freePort } from './free-port.js'

/** @returns {Promise<{ url: string, pid?: number, stop(): void } | undefined>} undefined where there is none */
export async function startRedis() {
  const { REDIS_URL } = process.env
  if (REDIS_URL) return { url: REDIS_URL, stop() {} }
  if (spawnSync('redis-server', ['--version']).status !== 0) return undefined
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'mcp-entra-bench-redis-'))
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''],
    { stdio: 'ignore' },
  )
  const stop = () => {
    child.kill()
    rmSync(directory, { recursive: true, force: true })
  }
  process.once('exit', stop)
  await untilListening(port, child)
  return { url: `redis://127.0.0.1:${port}`, pid: child.pid, stop }
}

async function untilListening(port, child) {
  for (let tries = 0; tries < 200 && child.exitCode === null; tries++) {
    try {
      return (await connectTo(port)).close()
    } catch {
      await wait(25)
    }
  }
  throw new Error('redis-server does not start')
}
