/** Servers on random ports, and the reference host in front of an emulated Entra. */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { startEntra } from 'mcp-entra/testing'
import { createHost, type HostOptions } from '../../examples/reference-host/host.js'
import type { Settings } from '../../examples/reference-host/settings.js'
import { type Entra, type Logs, logInto, testKeys } from './auth-options.js'

export { type Entra, testKeys } from './auth-options.js'

/** A server on a random port of localhost. */
export interface Listening {
  readonly url: string
  close(): Promise<void>
}

export interface ListenOptions {
  /** Default: any free port. */
  readonly port?: number
  /** Longest request header, in bytes. */
  readonly maxHeaderSize?: number
}

/** Starts a server whose handler needs to know its URL. */
export async function listen(
  handler: (url: string) => RequestListener,
  { port = 0, maxHeaderSize = 16_384 }: ListenOptions = {},
): Promise<Listening> {
  const server = createServer({ maxHeaderSize })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const url = `http://localhost:${(server.address() as AddressInfo).port}`
  server.on('request', handler(url))
  return { url, close: () => closeServer(server) }
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

/** Settings of a host that trusts this Entra. */
export function settingsFor(entra: Entra, baseUrl: string): Settings {
  return {
    port: Number(new URL(baseUrl).port),
    baseUrl,
    tenantId: entra.tenant.id,
    clientId: entra.app.clientId,
    clientSecret: entra.app.secrets?.[0] ?? '',
    authorityHost: entra.url,
    keys: testKeys,
    refreshGrace: undefined,
    consent: 'remember',
    rememberUnverified: false,
    identityAssertions: [],
    dpop: 'allowed',
    redisUrl: undefined,
    graphUrl: entra.graphUrl,
  }
}

/** How a test's host differs from the reference host. */
export interface TestHostOptions extends Pick<HostOptions, 'storage' | 'sessionStore' | 'offered'> {
  readonly settings?: Partial<Settings>
  /** Default: any free port. A host that comes back after a restart takes the port it had. */
  readonly port?: number
}

/** A running host, and the lines of its log. */
export interface TestHost extends Listening {
  readonly logs: Logs
}

/** Starts the reference host in front of this Entra, at its own address unless the settings name another one. */
export async function startHost(entra: Entra, options: TestHostOptions = {}): Promise<TestHost> {
  const { settings, port, ...hostOptions } = options
  const logs: Logs = []
  const host = await listen(
    (url) => {
      entra.addRedirectUri(`${url}/auth/callback`)
      const app = createHost(
        { ...settingsFor(entra, url), ...settings },
        { logger: logInto(logs), ...hostOptions },
      )
      return port === undefined ? app : withoutKeepAlive(app)
    },
    { port: port ?? 0 },
  )
  return { ...host, logs }
}

/** Where a host comes back on the same port, a connection kept alive would lead to the one before it. */
function withoutKeepAlive(app: RequestListener): RequestListener {
  return (req, res) => {
    res.shouldKeepAlive = false
    app(req, res)
  }
}

/** What a test file needs: a host, and the Entra it trusts. */
export interface World extends TestHost {
  readonly entra: Entra
}

/** Starts an emulated Entra and a host in front of it; closing one closes both. */
export async function startWorld(options: TestHostOptions = {}): Promise<World> {
  const entra = await startEntra()
  const host = await startHost(entra, options)
  return {
    ...host,
    entra,
    async close() {
      await host.close()
      await entra.close()
    },
  }
}
