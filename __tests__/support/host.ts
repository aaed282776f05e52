/** The reference host beside an emulated Entra, on random ports, for one test file. */
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Storage } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { createHost } from '../../examples/reference-host/host.js'
import type { Settings } from '../../examples/reference-host/settings.js'

export type Entra = Awaited<ReturnType<typeof startEntra>>

/** A server on a random port of localhost. */
export interface Listening {
  readonly url: string
  close(): Promise<void>
}

/** Starts a server whose handler needs to know its URL. */
export async function listen(handler: (url: string) => RequestListener): Promise<Listening> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://localhost:${(server.address() as AddressInfo).port}`
  server.on('request', handler(url))
  return { url, close: () => closeServer(server) }
}

export function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

export const testKeys = ['test key one: 0123456789abcdef', 'test key two: fedcba9876543210']

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
    redisUrl: undefined,
    graphUrl: entra.graphUrl,
  }
}

/** What a test file needs. */
export interface World {
  readonly entra: Entra
  readonly url: string
  readonly logs: Record<string, unknown>[]
  close(): Promise<void>
}

/** An emulated Entra and a host in front of it. */
export async function startWorld(
  options: { settings?: Partial<Settings>; storage?: Storage; offered?: readonly string[] } = {},
): Promise<World> {
  const entra = await startEntra()
  const logs: Record<string, unknown>[] = []
  const keep = (fields: object, message: string) => void logs.push({ message, ...fields })
  const host = await listen((url) => {
    entra.addRedirectUri(`${url}/auth/callback`)
    return createHost(
      { ...settingsFor(entra, url), ...options.settings },
      {
        logger: { info: keep, warn: keep, error: keep },
        ...(options.storage && { storage: options.storage }),
        ...(options.offered && { offered: options.offered }),
      },
    )
  })
  return {
    entra,
    url: host.url,
    logs,
    async close() {
      await host.close()
      await entra.close()
    },
  }
}
