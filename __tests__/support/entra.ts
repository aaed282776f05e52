/** A small HTTP server that answers what a test says, a clock, and tokens minted with jose. */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, type JWTHeaderParameters, SignJWT } from 'jose'

export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly form: URLSearchParams
}

/** What to answer. `hang` never answers, `stall` stops within the body, `reset` destroys the connection. */
export type Answer =
  | { status?: number; headers?: Record<string, string | string[]>; body?: string | object }
  | 'hang'
  | 'stall'
  | 'reset'

export interface Upstream {
  readonly url: string
  readonly server: Server
  readonly requests: Received[]
  answer: (request: Received, count: number) => Answer | Promise<Answer>
  close(): Promise<void>
}

export async function startUpstream(
  answer: Upstream['answer'],
  server: Server = createServer(),
): Promise<Upstream> {
  const requests: Received[] = []
  server.on('request', async (req, res) => {
    const chunks: Buffer[] = []
    for await (const chunk of req) chunks.push(chunk)
    const { method = '', url = '', headers } = req
    const form = new URLSearchParams(Buffer.concat(chunks).toString())
    const received = { method, path: url, headers, form }
    requests.push(received)
    const given = await upstream.answer(received, requests.length)
    if (given === 'hang') return
    if (given === 'reset') return void req.socket.destroy()
    if (given === 'stall') {
      res.writeHead(200, { 'content-length': '1000' })
      return void res.write('{"keys":')
    }
    const { status = 200, headers: sent = {}, body = '' } = given
    res.writeHead(status, sent)
    res.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const upstream: Upstream = {
    url: `http://127.0.0.1:${port}`,
    server,
    requests,
    answer,
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
  return upstream
}

export interface Clock {
  (): number
  advance(seconds: number): void
}

/** A clock that tests move, in milliseconds since the epoch. */
export function clock(start = Date.UTC(2026, 10, 21)): Clock {
  let time = start
  const now = () => time
  return Object.assign(now, {
    advance(seconds: number) {
      time += seconds * 1000
    },
  })
}

export interface TestKey {
  readonly kid: string
  readonly jwk: JWK
  sign(claims: Record<string, unknown>, header?: Partial<JWTHeaderParameters>): Promise<string>
}

export async function testKey(kid: string): Promise<TestKey> {
  const { publicKey, privateKey } = await generateKeyPair('RS256', { extractable: true })
  const { kty, n, e } = await exportJWK(publicKey)
  return {
    kid,
    // As Entra publishes its keys: without `alg`.
    jwk: { kty, n, e, kid, use: 'sig' } as JWK,
    sign: (claims, header = {}) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid, ...header })
        .sign(privateKey),
  }
}

export const tenantId = '6f1d0c3a-1111-4222-8333-444455556666'
export const otherTenantId = '7a2e0c3a-1111-4222-8333-444455556666'
export const clientId = 'a0b1c2d3-1111-4222-8333-444455556666'

/** The result, or the error that was thrown or rejected with. */
export async function outcome<T>(work: () => T | Promise<T>): Promise<T | Error> {
  try {
    return await work()
  } catch (error) {
    return error as Error
  }
}

/** Waits until the condition holds, up to two seconds, and lets timers and sockets run meanwhile. */
export async function waitUntil(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error('it did not happen')
}

/** The result of work that waits for no timer and no socket; an error when it does wait. */
export function atOnce<T>(work: Promise<T>): Promise<T> {
  return Promise.race([
    work,
    new Promise<never>((_resolve, reject) => {
      setImmediate(() => reject(new Error('it waits')))
    }),
  ])
}
