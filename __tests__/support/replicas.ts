/** Several hosts on one store behind one public address, as behind a load balancer. */
import { request } from 'node:http'
import type { Storage } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { createHost } from '../../examples/reference-host/host.js'
import type { Settings } from '../../examples/reference-host/settings.js'
import { type Entra, type Listening, listen, settingsFor } from './host.js'

/** One of the hosts, at its own address. */
export interface Replica extends Listening {
  readonly logs: readonly Record<string, unknown>[]
}

export interface Replicas {
  readonly entra: Entra
  /** The public address: round robin, unless `route` sends a path to a certain replica. */
  readonly url: string
  readonly all: readonly Replica[]
  /** Sends paths to replicas by number; undefined goes to the next in turn. */
  route(choose: (path: string) => number | undefined): void
  /** How many requests of this path each replica got through the public address. */
  served(path: string): readonly number[]
  /** Another host, with settings or a store of its own: its number. */
  add(storage: Storage, settings?: Partial<Settings>): Promise<Replica>
  close(): Promise<void>
}

/** As many hosts as there are storages. */
export async function startReplicas(
  storages: readonly Storage[],
  settings: Partial<Settings> = {},
): Promise<Replicas> {
  const entra = await startEntra()
  const all: Replica[] = []
  const log: { path: string; replica: number }[] = []
  let choose: (path: string) => number | undefined = () => undefined
  let turn = 0

  const front = await listen(() => (req, res) => {
    const path = new URL(req.url ?? '/', 'http://front').pathname
    const number = choose(path) ?? turn++ % all.length
    log.push({ path, replica: number })
    const { port } = new URL((all[number] as Replica).url)
    const options = { port, host: '127.0.0.1', path: req.url, method: req.method }
    const onward = request({ ...options, headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(res)
    })
    onward.on('error', () => res.destroy())
    req.pipe(onward)
  })
  entra.addRedirectUri(`${front.url}/auth/callback`)

  const add = async (storage: Storage, more: Partial<Settings> = {}) => {
    const logs: Record<string, unknown>[] = []
    const keep = (fields: object, message: string) => void logs.push({ message, ...fields })
    const host = await listen(() =>
      createHost(
        { ...settingsFor(entra, front.url), ...settings, ...more },
        { storage, logger: { info: keep, warn: keep, error: keep } },
      ),
    )
    const replica = { ...host, logs }
    all.push(replica)
    return replica
  }
  for (const storage of storages) await add(storage)

  return {
    entra,
    url: front.url,
    all,
    add,
    route(chosen) {
      choose = chosen
    },
    served: (path) =>
      all.map((_, number) => log.filter((e) => e.path === path && e.replica === number).length),
    async close() {
      await front.close()
      for (const replica of all) await replica.close()
      await entra.close()
    },
  }
}

/** A storage that counts its operations. */
export interface Counted extends Storage {
  readonly count: Record<'get' | 'set' | 'add' | 'take', number>
}

export function counted(storage: Storage): Counted {
  const count = { get: 0, set: 0, add: 0, take: 0 }
  const noted = <K extends keyof Storage>(name: K): Storage[K] => {
    const operation = (...args: unknown[]) => {
      count[name] += 1
      return (storage[name] as (...args: unknown[]) => unknown)(...args)
    }
    return operation as Storage[K]
  }
  return {
    count,
    get: noted('get'),
    set: noted('set'),
    add: noted('add'),
    take: noted('take'),
  }
}
