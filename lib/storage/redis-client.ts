/** The Redis client: one that the application made, or one of our own for a URL. */
import { Offline, reason } from './redis-outage.js'

/**
 * What `createClient`, `createClientPool`, `createCluster` and `createSentinel` of the package `redis` make.
 * The type is structural, so that any version of the package fits.
 */
export interface RedisClient {
  readonly isOpen: boolean
  withCommandOptions(options: never): unknown
}

/** The commands we use, with answers as Buffers. */
export interface RedisCommands {
  get(key: string): Promise<Buffer | null>
  set(
    key: string,
    value: Buffer,
    options: { readonly EX: number; readonly NX?: true },
  ): Promise<unknown>
  getDel(key: string): Promise<Buffer | null>
  eval(
    script: string,
    options: { readonly keys: string[]; readonly arguments?: Buffer[] },
  ): Promise<Buffer | null>
  info(section: string): Promise<unknown>
}

/** Gives access to the commands of a connected client. */
export interface ClientSource {
  /** @throws Offline at once, when there is no connection */
  ready(): Promise<RedisCommands>
  /** Call it when Redis has answered. */
  noteAnswer(): void
  /** Call it when an operation had no answer within its deadline. */
  noteSilence(): void
  close(): Promise<void>
}

interface AnyClient extends RedisClient {
  /** Pools have none, and Cluster clients before v6. */
  readonly isReady?: boolean
  /** Only pools have this one. */
  execute?<T>(run: (client: { readonly isReady: boolean }) => T): Promise<T>
  on(event: 'error' | 'ready', listener: (error: Error) => void): unknown
}

/** Bulk strings (RESP type 36, `$`) arrive as Buffers. A command that cannot be sent within the deadline is dropped. */
function commandsOf(client: RedisClient, milliseconds: number): RedisCommands {
  const options = { typeMapping: { 36: Buffer }, timeout: Math.ceil(milliseconds) + 100 }
  const commands = client.withCommandOptions(options as never) as RedisCommands
  // Sentinel clients of v5 accept these options, but then use those they were made with.
  if ('commandOptions' in commands)
    Object.defineProperty(commands, 'commandOptions', { value: options })
  return commands
}

/** The application's client. The application connects, reconnects and closes it. */
export function givenClient(given: RedisClient, milliseconds: number): ClientSource {
  const client = given as AnyClient
  const commands = commandsOf(client, milliseconds)
  return {
    async ready() {
      if (!client.isOpen) throw new Offline('the client is not connected: await client.connect()')
      const isReady =
        client.isReady ?? (client.execute ? await client.execute((one) => one.isReady) : true)
      if (!isReady) throw new Offline('the client has lost its connection')
      return commands
    },
    noteAnswer: () => undefined,
    noteSilence: () => undefined,
    close: async () => undefined,
  }
}

/** The part of the package that we use. */
interface RedisPackage {
  createClient(options: object): AnyClient & { connect(): Promise<unknown>; destroy(): void }
}

interface Attempt {
  readonly client: ReturnType<RedisPackage['createClient']>
  readonly commands: RedisCommands
  readonly settled: Promise<void>
  failure: unknown
}

/** Longest pause between two attempts to connect, in milliseconds without jitter: we reconnect within half a second. */
const longestPause = 320
/** Milliseconds between two pings on an idle connection. */
const pingEvery = 5000
/** Milliseconds without any traffic after which a connection is given up. */
const longestSilence = 12_000
/** After so many deadlines in a row without any answer, a connection is considered dead. */
const mostSilentDeadlines = 3

/**
 * A client of our own: made and connected at the first use, always reconnecting, and replaced when it stops answering
 * (on a network that drops packets, a socket stays open for a quarter of an hour).
 */
export function ownClient(
  url: string,
  milliseconds: number,
  load: () => Promise<unknown> = () => import('redis'),
): ClientSource {
  let attempt: Promise<Attempt> | undefined
  let silentSince: number | undefined
  let closed = false

  const open = async (): Promise<Attempt> => {
    const { createClient } = await loadPackage(load)
    const client = createClient({
      url,
      disableOfflineQueue: true,
      pingInterval: pingEvery,
      socket: { connectTimeout: 5000, socketTimeout: longestSilence, reconnectStrategy: backOff },
    })
    return connect(client, milliseconds)
  }
  const drop = async () => {
    const dropped = attempt
    attempt = undefined
    silentSince = undefined
    const opened = await dropped?.catch(() => undefined)
    opened?.client.destroy()
  }

  return {
    async ready() {
      if (closed) throw new Offline('the storage has been closed')
      attempt ??= open()
      const opening = attempt
      const opened = await opening.catch((error: unknown) => {
        if (attempt === opening) attempt = undefined
        throw error
      })
      await opened.settled
      if (opened.client.isReady) return opened.commands
      if (!opened.client.isOpen && attempt === opening) attempt = undefined
      throw new Offline(`Redis cannot be reached: ${reason(opened.failure)}`)
    },
    noteAnswer: () => {
      silentSince = undefined
    },
    noteSilence: () => {
      silentSince ??= performance.now() - milliseconds
      if (performance.now() - silentSince >= mostSilentDeadlines * milliseconds) void drop()
    },
    async close() {
      closed = true
      await drop()
    },
  }
}

/** Starts connecting. Operations wait for the first attempt (`settled`), and for none of the later ones. */
function connect(client: Attempt['client'], milliseconds: number): Attempt {
  let settle: () => void = () => undefined
  const settled = new Promise<void>((resolve) => {
    settle = resolve
  })
  const attempt: Attempt = {
    client,
    commands: commandsOf(client, milliseconds),
    settled,
    failure: undefined,
  }
  const noteFailure = (error: unknown) => {
    attempt.failure = error
    settle()
  }
  client.on('error', noteFailure)
  client.connect().then(settle, noteFailure)
  return attempt
}

/** Milliseconds until the next attempt to connect: 50 at first, doubled each time, with jitter. */
export function backOff(retries: number): number {
  return Math.min(longestPause, 50 * 2 ** retries) * (0.75 + Math.random() / 2)
}

async function loadPackage(load: () => Promise<unknown>): Promise<RedisPackage> {
  try {
    return (await load()) as RedisPackage
  } catch {
    throw new Offline('a URL needs the package redis: npm i redis')
  }
}
