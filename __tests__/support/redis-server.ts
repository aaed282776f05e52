/** Real Redis servers for tests: one to use, ones to kill, a Cluster, a Sentinel trio, and a bad network. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from '../../bench/free-port.js'
import { describeNeeding } from './needs.js'

const run = promisify(execFile)

/** Whether servers of our own can be started. */
export const hasRedisBinary = spawnSync('redis-server', ['--version']).status === 0

/** `describe` for tests that want a Redis: `REDIS_URL`, or one of their own. */
export const describeWithRedis = describeNeeding(
  'redis-server',
  hasRedisBinary || process.env.REDIS_URL !== undefined,
)

/** `describe` for tests that kill, stop and rebuild their servers. */
export const describeWithOwnRedis = describeNeeding('redis-server', hasRedisBinary)

/** A Redis to use: it may be shared, so tests bring a key prefix of their own. */
export interface TestRedis {
  readonly url: string
  cli(...args: string[]): Promise<string>
  close(): Promise<void>
}

/** `REDIS_URL` if it is set, otherwise a private server. */
export async function redisForTests(): Promise<TestRedis> {
  const url = process.env.REDIS_URL
  if (url === undefined) return startRedis()
  return { url, cli: (...args) => cli(['-u', url, ...args]), close: async () => undefined }
}

/** A server that belongs to the test. */
export interface OwnRedis extends TestRedis {
  readonly port: number
  /** kill -9. */
  kill(): Promise<void>
  /** SIGSTOP: connections stay open and nobody answers. */
  pause(): void
  /** SIGCONT. */
  resume(): void
  /** Starts it again on the same port, in the same directory. */
  start(): Promise<void>
}

export interface RedisOptions {
  /** Keep data over a restart: append-only file, synced at every write (default: start empty). */
  readonly persistent?: boolean
  readonly args?: readonly string[]
}

export async function startRedis(options: RedisOptions = {}): Promise<OwnRedis> {
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'mcp-entra-redis-'))
  const args = [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', ''],
    ...(options.persistent ? ['--appendonly', 'yes', '--appendfsync', 'always'] : []),
    ...(options.args ?? []),
  ]
  let child = await launch(args, port)
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    cli: (...words) => cli(['-p', String(port), ...words]),
    kill: () => stop(child),
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    async start() {
      child = await launch(args, port)
    },
    async close() {
      await stop(child)
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Three primaries, every slot covered. */
export interface RedisCluster {
  readonly nodes: readonly OwnRedis[]
  readonly rootNodes: readonly { readonly url: string }[]
  /** Moves this many slots from the first node to the second, keys included. */
  migrate(slots: number): Promise<void>
  close(): Promise<void>
}

export async function startCluster(): Promise<RedisCluster> {
  const nodes = await Promise.all(
    [1, 2, 3].map(async () => {
      const bus = await freePort()
      return startRedis({
        args: [
          ...['--cluster-enabled', 'yes', '--cluster-port', String(bus)],
          ...['--cluster-node-timeout', '2000'],
        ],
      })
    }),
  )
  const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
  await cli(['--cluster', 'create', ...addresses, '--cluster-replicas', '0', '--cluster-yes'])
  await Promise.all(
    nodes.map((node) =>
      until('the cluster is up', async () =>
        (await node.cli('cluster', 'info')).includes('cluster_state:ok'),
      ),
    ),
  )
  const id = async (node: OwnRedis | undefined) =>
    (await (node as OwnRedis).cli('cluster', 'myid')).trim()
  return {
    nodes,
    rootNodes: nodes.map(({ url }) => ({ url })),
    async migrate(slots) {
      await cli([
        ...['--cluster', 'reshard', addresses[0] as string, '--cluster-slots', String(slots)],
        ...['--cluster-from', await id(nodes[0]), '--cluster-to', await id(nodes[1])],
        '--cluster-yes',
      ])
    },
    close: async () => void (await Promise.all(nodes.map((node) => node.close()))),
  }
}

/** A primary, a replica, and three Sentinels that notice quickly. */
export interface SentinelTrio {
  readonly name: string
  readonly primary: OwnRedis
  readonly replica: OwnRedis
  readonly sentinelRootNodes: readonly { readonly host: string; readonly port: number }[]
  close(): Promise<void>
}

export async function startSentinels(): Promise<SentinelTrio> {
  const name = 'main'
  // Without a delay the replica is in sync at once, not after five seconds.
  const primary = await startRedis({ args: ['--repl-diskless-sync-delay', '0'] })
  const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', String(primary.port)] })
  await until('the replica is in sync', async () =>
    (await replica.cli('info', 'replication')).includes('master_link_status:up'),
  )
  const directory = mkdtempSync(join(tmpdir(), 'mcp-entra-sentinel-'))
  const sentinels = await Promise.all(
    [1, 2, 3].map(async (number) => {
      const port = await freePort()
      const file = join(directory, `sentinel-${number}.conf`)
      const lines = [
        `port ${port}`,
        'bind 127.0.0.1',
        `dir ${directory}`,
        `sentinel monitor ${name} 127.0.0.1 ${primary.port} 2`,
        `sentinel down-after-milliseconds ${name} 500`,
        `sentinel failover-timeout ${name} 5000`,
      ]
      writeFileSync(file, `${lines.join('\n')}\n`)
      return { port, child: await launch([file, '--sentinel'], port) }
    }),
  )
  for (const { port } of sentinels) {
    await until('the Sentinels know each other', async () => {
      const words = (await cli(['-p', String(port), 'sentinel', 'master', name])).split('\n')
      const value = (field: string) => words[words.indexOf(field) + 1]
      return value('num-slaves') === '1' && value('num-other-sentinels') === '2'
    })
  }
  return {
    name,
    primary,
    replica,
    sentinelRootNodes: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
    async close() {
      await Promise.all(sentinels.map(({ child }) => stop(child)))
      await Promise.all([primary.close(), replica.close()])
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** A network between a client and a server that can be slow, silent or cut. */
export interface BadNetwork {
  readonly port: number
  readonly url: string
  /** Milliseconds that everything takes, each way. */
  delay: number
  /** Swallows everything, with connections left open. */
  silent: boolean
  /** Cuts all connections; new ones are welcome. */
  cut(): void
  close(): Promise<void>
}

export async function badNetwork(targetPort: number): Promise<BadNetwork> {
  const sockets = new Set<Socket>()
  const network = { delay: 0, silent: false }
  const carry = (from: Socket, to: Socket) => {
    from.on('data', (bytes) => {
      if (network.silent) return
      if (network.delay === 0) return void to.write(bytes)
      setTimeout(() => to.writable && to.write(bytes), network.delay)
    })
  }
  const server: Server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    carry(near, far)
    carry(far, near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return Object.assign(network, {
    port,
    url: `redis://127.0.0.1:${port}`,
    cut,
    async close() {
      cut()
      await new Promise((resolve) => server.close(resolve))
    },
  })
}

/** Asks again and again, for twenty seconds. */
export async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 20_000
  while (!(await isTrue().catch(() => false))) {
    if (Date.now() > end) throw new Error(`still waiting until ${what}`)
    await wait(20)
  }
}

async function cli(args: readonly string[]): Promise<string> {
  const { stdout } = await run('redis-cli', [...args], { maxBuffer: 64 * 1024 * 1024 })
  return stdout
}

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

async function launch(args: readonly string[], port: number): Promise<ChildProcess> {
  const child = spawn('redis-server', [...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (text: Buffer) => {
      output = (output + text).slice(-2000)
    })
  }
  try {
    await until('redis-server answers', async () => {
      if (child.exitCode !== null) return true
      return /^(?:PONG|NOAUTH)/.test(await cli(['-p', String(port), 'ping']))
    })
    if (child.exitCode !== null) throw new Error('redis-server has ended')
    return child
  } catch (cause) {
    await stop(child)
    throw new Error(`redis-server does not start on port ${port}:\n${output}`, { cause })
  }
}

async function stop(child: ChildProcess): Promise<void> {
  running.delete(child)
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}
