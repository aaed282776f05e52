/** A web server that publishes documents of clients, on loopback and with a certificate of its own. */

import { once } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import { createServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { afterAll } from '@jest/globals'
import { createCertificate } from '../../lib/testing/certificate.js'
import { redirectUri } from './oauth-client.js'

/** What a path answers: a body that is not text is sent as JSON. A promise can delay the answer. */
export interface Served {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** A request as it arrived. */
export interface Arrived {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** The server name of the TLS handshake (SNI). */
  readonly servername: unknown
}

type Answer = Served | ((arrived: Arrived) => Served | Promise<Served>)

export interface DocumentServer {
  readonly host: string
  readonly port: number
  /** `https://client.example:port` */
  readonly origin: string
  readonly ca: string
  readonly arrived: Arrived[]
  /** Host names that were looked up. */
  readonly lookups: string[]
  /** Options of `clientMetadata` that resolve and trust this server. */
  readonly options: {
    readonly ca: string
    readonly dangerouslyAllowLoopback: true
    readonly resolve: (host: string) => Promise<readonly string[]>
  }
  serve(path: string, answer: Answer): string
  /** Publishes a good document, with these changes, at a new path. @returns its client id */
  publish(changes?: Record<string, unknown>, headers?: Record<string, string>): string
  /** Waits until the next request arrives. */
  nextRequest(): Promise<void>
  /** How often a client id was fetched. */
  fetches(url: string): number
}

const closing: (() => Promise<void>)[] = []
afterAll(async () => void (await Promise.all(closing.map((close) => close()))))

const certificates = createCertificate('client.example')

export async function startDocumentServer(): Promise<DocumentServer> {
  const host = 'client.example'
  const { ca, cert, key } = await certificates
  const answers = new Map<string, Answer>()
  const arrived: Arrived[] = []
  const lookups: string[] = []
  const server = createServer({ cert, key }, async (req, res) => {
    const path = req.url ?? ''
    const servername = (req.socket as TLSSocket & { servername?: unknown }).servername
    const request = { path, headers: req.headers, servername }
    arrived.push(request)
    const answer = answers.get(path) ?? { status: 404, body: {} }
    const {
      status = 200,
      headers = {},
      body = '',
    } = typeof answer === 'function' ? await answer(request) : answer
    res.writeHead(status, { 'content-type': 'application/json', ...headers })
    res.end(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(
    () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  )
  const { port } = server.address() as AddressInfo
  const origin = `https://${host}:${port}`
  let published = 0
  const serve = (path: string, answer: Answer) => {
    answers.set(path, answer)
    return origin + path
  }
  return {
    host,
    port,
    origin,
    ca,
    arrived,
    lookups,
    options: {
      ca,
      dangerouslyAllowLoopback: true,
      async resolve(name) {
        lookups.push(name)
        return ['127.0.0.1']
      },
    },
    serve,
    publish(changes = {}, headers = {}) {
      published += 1
      const path = `/clients/${published}.json`
      return serve(path, { headers, body: documentOf(origin + path, changes) })
    },
    async nextRequest() {
      await once(server, 'request')
    },
    fetches: (url) => arrived.filter(({ path }) => origin + path === url).length,
  }
}

/** A good client document, with these changes. */
export function documentOf(
  clientId: string,
  changes: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    client_id: clientId,
    client_name: 'Published client',
    client_uri: 'https://client.example/',
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    ...changes,
  }
}

/** A server that accepts connections and never answers. */
export interface MuteServer {
  readonly port: number
  /** Waits until there are that many connections. */
  connections(count: number): Promise<void>
  /** Closes the server and its connections. */
  close(): Promise<void>
}

export async function startMuteServer(): Promise<MuteServer> {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.resume()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  closing.push(close)
  return {
    port: (server.address() as AddressInfo).port,
    async connections(count) {
      while (sockets.size < count) await once(server, 'connection')
    },
    close,
  }
}

/** A promise that the test resolves. */
export function held<T>(): { readonly promise: Promise<T>; release(value: T): void } {
  let release: (value: T) => void = () => {}
  const promise = new Promise<T>((resolve) => {
    release = resolve
  })
  return { promise, release }
}
