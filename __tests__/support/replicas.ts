/** Several hosts on one store behind one public address, as behind a load balancer. */
import { request } from 'node:http'
import type { Storage } from 'mcp-entra'
import type { SessionStore } from 'mcp-entra/account'
import { startEntra } from 'mcp-entra/testing'
import type { Settings } from '../../examples/reference-host/settings.js'
import { type Entra, listen, startHost, type TestHost } from './host.js'

export interface Replicas {
  readonly entra: Entra
  /** The public address: round robin, unless `route` chooses a replica for the path. */
  readonly url: string
  /** Each at its own address. */
  readonly all: readonly TestHost[]
  /** Chooses a replica by its number for each path; undefined means the next in turn. */
  route(choose: (path: string) => number | undefined): void
  /** How many requests of this path each replica got through the public address. */
  served(path: string): readonly number[]
  /** Adds another host, with settings or a store of its own. */
  add(
    storage: Storage,
    settings?: Partial<Settings>,
    sessionStore?: SessionStore,
  ): Promise<TestHost>
  close(): Promise<void>
}

/**
 * Starts one host for each storage.
 *
 * @param sessionStores of the browser sessions, one for each storage (default: the storages)
 */
export async function startReplicas(
  storages: readonly Storage[],
  settings: Partial<Settings> = {},
  sessionStores: readonly SessionStore[] = [],
): Promise<Replicas> {
  const entra = await startEntra()
  const all: TestHost[] = []
  const log: { path: string; replica: number }[] = []
  let choose: (path: string) => number | undefined = () => undefined
  let turn = 0

  const front = await listen(() => (req, res) => {
    const path = new URL(req.url ?? '/', 'http://front').pathname
    const number = choose(path) ?? turn++ % all.length
    log.push({ path, replica: number })
    const { port } = new URL((all[number] as TestHost).url)
    const options = { port, host: '127.0.0.1', path: req.url, method: req.method }
    const onward = request({ ...options, headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
      answer.pipe(res)
    })
    onward.on('error', () => res.destroy())
    req.pipe(onward)
  })
  entra.addRedirectUri(`${front.url}/auth/callback`)

  const add = async (
    storage: Storage,
    more: Partial<Settings> = {},
    sessionStore?: SessionStore,
  ) => {
    const replica = await startHost(entra, {
      storage,
      ...(sessionStore && { sessionStore }),
      settings: { baseUrl: front.url, ...settings, ...more },
    })
    all.push(replica)
    return replica
  }
  for (const [n, storage] of storages.entries()) await add(storage, {}, sessionStores[n])

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
