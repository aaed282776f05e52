/** Where the commands come from: a client the application made, or one of our own on a URL. */
import { Offline, reason } from './redis-outage.js'

/**
 * What `createClient`, `createClientPool`, `createCluster` and `createSentinel` of the package `redis` make.
 * Structural, so that nobody's version of the package clashes with ours.
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

/** Hands out commands, or says at once that there is nobody to send them to. */
export interface ClientSource {
  /** @throws Offline */
  ready(): Promise<RedisCommands>
  /** An answer came. */
  heard(): void
  /** An operation ran out of time. */
  unheard(): void
  close(): Promise<void>
}

interface AnyClient extends RedisClient {
  /** Pools have none, and Cluster clients before v6. */
  readonly isReady?: boolean
  /** Pools alone have this one. */
  execute?<T>(run: (client: { readonly isReady: boolean }) => T): Promise<T>
  on(event: 'error' | 'ready', listener: (error: Error) => void): unknown
}

/** The RESP type of a bulk string, `$`, comes as Buffer; what could not be sent within the deadline is dropped. */
function commandsOf(client: RedisClient, milliseconds: number): RedisCommands {
  const options = { typeMapping: { 36: Buffer }, timeout: Math.ceil(milliseconds) + 100 }
  const commands = client.withCommandOptions(options as never) as RedisCommands
  // Sentinel clients of v5 keep these options and then read the ones they were made with.
  if ('commandOptions' in commands)
    Object.defineProperty(commands, 'commandOptions', { value: options })
  return commands
}

/** The application's client: its connecting, reconnecting and closing are the application's. */
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
    heard: () => undefined,
    unheard: () => undefined,
    close: async () => undefined,
  }
}

/** What we need of the package itself. */
interface RedisPackage {
  createClient(options: object): AnyClient & { connect(): Promise<unknown>; destroy(): void }
}

interface Attempt {
  readonly client: ReturnType<RedisPackage['createClient']>
  readonly commands: RedisCommands
  readonly settled: Promise<void>
  failure: unknown
}

/** Milliseconds between two tries to connect, jitter left out: Redis that is back is found within half a second. */
const longestPause = 320
/** Milliseconds between two signs of life on an idle connection, and without one until it is given up. */
const pingEvery = 5000
const silence = 12_000
/** Deadlines in a row without any answer after which a connection is taken to be dead. */
const mostUnheard = 3

/**
 * A client of our own: made and connected at the first use, reconnecting for ever, and replaced when it goes
 * silent (a network that swallows packets keeps a socket open for a quarter of an hour).
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
      socket: { connectTimeout: 5000, socketTimeout: silence, reconnectStrategy: backOff },
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
    heard: () => {
      silentSince = undefined
    },
    unheard: () => {
      silentSince ??= performance.now() - milliseconds
      if (performance.now() - silentSince >= mostUnheard * milliseconds) void drop()
    },
    async close() {
      closed = true
      await drop()
    },
  }
}

/** Starts connecting. `settled` is when the first try is over, whichever way: later ones are nobody's wait. */
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
  const failed = (error: unknown) => {
    attempt.failure = error
    settle()
  }
  client.on('error', failed)
  client.connect().then(settle, failed)
  return attempt
}

/** Milliseconds until the next try to connect: fifty at first, then twice as many each time, with jitter. */
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
