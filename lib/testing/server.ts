/** The HTTP side: reads requests, writes replies, and closes at once, open connections included. */
import { setMaxListeners } from 'node:events'
import * as http from 'node:http'
import * as https from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { LoopbackCertificate } from './certificate.js'
import { type EntraRequest, type Reply, toParams } from './messages.js'

const bodyLimit = 1024 * 1024

/** Answers a request; undefined to leave it without an answer. */
export type Handler = (request: EntraRequest, connection: Connection) => Promise<Reply | undefined>

/** What a handler may do to the connection itself. */
export interface Connection {
  /** Aborted when the server closes. */
  readonly closing: AbortSignal
  reset(): void
}

/** A listening server. */
export interface LoopbackServer {
  readonly port: number
  handle(handler: Handler): void
  close(): Promise<void>
}

/** Listens on 127.0.0.1. */
export async function listen(
  port: number,
  certificate: LoopbackCertificate | undefined,
): Promise<LoopbackServer> {
  const closing = new AbortController()
  // Each waiting request adds a listener, so many listeners are not a leak.
  setMaxListeners(0, closing.signal)
  const sockets = new Set<Socket>()
  let handler: Handler = async () => undefined
  const onRequest = (req: http.IncomingMessage, res: http.ServerResponse) =>
    void serve(req, res, handler, closing.signal)
  const server = certificate
    ? https.createServer({ cert: certificate.cert, key: certificate.key }, onRequest)
    : http.createServer(onRequest)
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    handle(next) {
      handler = next
    },
    async close() {
      closing.abort()
      if (!server.listening) return
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

async function serve(
  req: http.IncomingMessage,
  res: http.ServerResponse,
  handler: Handler,
  closing: AbortSignal,
): Promise<void> {
  try {
    const body = await readBody(req)
    if (body === undefined) return write(req, res, plain(413, 'Payload too large'))
    const request = toRequest(req, body)
    if (!request) return write(req, res, plain(400, 'Bad request'))
    const reply = await handler(request, { closing, reset: () => req.socket.destroy() })
    if (reply) write(req, res, reply)
  } catch (error) {
    if (!req.socket.destroyed) write(req, res, plain(500, String(error)))
  }
}

async function readBody(req: http.IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size <= bodyLimit) chunks.push(chunk)
  }
  return size > bodyLimit ? undefined : Buffer.concat(chunks).toString()
}

function toRequest(req: http.IncomingMessage, body: string): EntraRequest | undefined {
  const { method = 'GET', url = '/', headers } = req
  if (!url.startsWith('/')) return undefined
  const [path = '/', ...query] = url.split('?')
  const isForm = /^application\/x-www-form-urlencoded\s*(;|$)/i.test(headers['content-type'] ?? '')
  return {
    method,
    path,
    query: toParams(new URLSearchParams(query.join('?'))),
    form: isForm ? toParams(new URLSearchParams(body)) : {},
    headers,
  }
}

function plain(status: number, text: string): Reply {
  return { status, headers: { 'Content-Type': 'text/plain; charset=utf-8' }, body: text }
}

function write(req: http.IncomingMessage, res: http.ServerResponse, reply: Reply): void {
  if (res.headersSent || res.destroyed) return
  const bytes = Buffer.from(reply.body)
  res.writeHead(reply.status, { ...reply.headers, 'Content-Length': bytes.length })
  res.end(req.method === 'HEAD' ? undefined : bytes)
}
