/** Stores with so many logins in them, and a server in front of each. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startChild } from '../child.js'
import { httpClient } from '../http-client.js'
import { pinServer } from '../pin.js'
import { hasRedis, startRedis } from '../private-redis.js'
import { register } from './login.js'

/** Logins that are used: at most as many as there are. */
const mostUsed = 1000
/** The address that our tokens name. Nobody goes there: the servers listen where there is room. */
const baseUrl = 'https://mcp.contoso.example'

/** What the stores of one run have in common. */
export function setting(issuer) {
  return { issuer, baseUrl, keys: [randomBytes(32).toString('base64')] }
}

/** Kinds of store by name. `open` makes an empty one. */
export const kinds = {
  ...(hasRedis && { Redis: openRedis }),
  LMDB: openFile,
  memory: openMemory,
}

/**
 * Makes a store, fills it, and starts a server over it.
 *
 * @returns the server, the logins to use, and bytes per login
 */
export async function openFilled(kind, count, shared) {
  const store = await kinds[kind]()
  let server = await startServer(store.where, shared)
  const clientId = await register(server.send)
  const empty = await store.bytes(server)
  const { scope, tenantId } = shared.issuer
  const fill = (more, sample) =>
    server.ask('fill', { count: more, sample, clientId, scope, tenantId })
  const used = await fill(count, Math.min(count, mostUsed))
  const held = (await store.held?.(server)) ?? count
  const bytesPerGrant = ((await store.bytes(server)) - empty) / held
  if (!store.inProcess) {
    // Another process, without the garbage of filling.
    server.stop()
    server = await startServer(store.where, shared)
  }
  // Only now: filling may have all cores.
  pinServer(server.pid)
  const stop = async () => {
    server.stop()
    await store.close()
  }
  return {
    ...server,
    kind,
    count,
    held,
    clientId,
    used,
    /** Writes more logins. @returns them */
    fill: (more) => fill(more, more),
    bytesPerGrant,
    cli: store.cli,
    stop,
  }
}

/** A server over an empty store in memory. */
export function startInMemory(shared) {
  return startServer({ kind: 'memory' }, shared)
}

async function startServer(store, shared) {
  const child = startChild('growth/server.js')
  const port = await child.ask('start', { ...shared, store })
  const client = httpClient()
  return {
    pid: child.pid,
    ask: child.ask,
    send: (path, request) => client.send(`http://127.0.0.1:${port}${path}`, request),
    stop() {
      client.close()
      child.stop()
    },
  }
}

async function openRedis() {
  const redis = await startRedis()
  return {
    where: { kind: 'redis', url: redis.url },
    bytes: async () => Number(/used_memory:(\d+)/.exec(await redis.cli('info', 'memory'))[1]),
    cli: redis.cli,
    close: redis.close,
  }
}

async function openFile() {
  const path = mkdtempSync(join(tmpdir(), 'mcp-entra-bench-lmdb-'))
  const remove = () => rmSync(path, { recursive: true, force: true })
  process.once('exit', remove)
  return {
    where: { kind: 'file', path },
    // What is on the disk: the file may have holes.
    bytes: async () => 512 * (statSync(join(path, 'data.mdb')).blocks ?? 0),
    close: async () => remove(),
  }
}

async function openMemory() {
  return {
    where: { kind: 'memory' },
    inProcess: true,
    bytes: async ({ ask }) => (await ask('held')).bytes,
    // No more than it has room for.
    held: async ({ ask }) => (await ask('held')).grants,
    close: async () => undefined,
  }
}
