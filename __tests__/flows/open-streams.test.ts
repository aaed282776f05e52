/** Responses that are open while access ends: on two replicas, each of which hears of it within a second. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2'
import { type AddressInfo, connect as connectTcp } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express, { type Response as Answer, type Express } from 'express'
import {
  type EntraAuth,
  memoryStorage,
  type RefusalEvent,
  requireBearer,
  revokeTenant,
  revokeUser,
} from 'mcp-entra'
import type { Entra } from '../support/host.js'
import {
  ada,
  bob,
  getNotes,
  login,
  postForm,
  refresh,
  type Tokens,
} from '../support/oauth-client.js'
import { hear, jsonOf, startProxy, startTestEntra, type TestProxy } from '../support/proxy.js'
import { TestProvider } from '../support/sdk-provider.js'

let entra: Entra
let first: TestProxy
let second: TestProxy
let auth: EntraAuth
let store: { failure: Error | undefined; reads: number }

beforeAll(async () => {
  entra = await startTestEntra()
  const sound = memoryStorage()
  store = { failure: undefined, reads: 0 }
  const storage = {
    ...sound,
    async get(key: string) {
      store.reads += 1
      if (store.failure) throw store.failure
      return sound.get(key)
    },
  }
  first = await startProxy(entra, { storage, mount: mountStream })
  second = await startProxy(entra, {
    storage,
    baseUrl: first.url,
    mount(app, made) {
      mountStream(app, made)
      auth = made
    },
  })
})
afterEach(() => {
  store.failure = undefined
})

/** A stream that says something ten times a second, until somebody closes it. */
function mountStream(app: Express, made: EntraAuth): void {
  app.get('/stream', requireBearer(made), (_req, res) => tick(res))
  // A tool that takes long, as SDK v1 answers it: the headers come at once.
  app.post('/tool', requireBearer(made), (_req, res) => {
    res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    setTimeout(() => res.end('data: done\n\n'), 3000)
  })
}

function tick(res: Answer): void {
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  const timer = setInterval(() => res.write('data: tick\n\n'), 100)
  res.on('close', () => clearInterval(timer))
}

const bearer = ({ access_token }: Tokens) => ({ authorization: `Bearer ${access_token}` })

/** What a client knows of its stream. */
interface Stream {
  /** Milliseconds since the epoch at which it was over. */
  readonly over: Promise<number>
  isOpen(): boolean
  close(): void
}

async function listenTo(tokens: Tokens, at = first): Promise<Stream> {
  const leave = new AbortController()
  const { signal } = leave
  const answer = await fetch(`${at.address}/stream`, { headers: bearer(tokens), signal })
  expect(answer.status).toBe(200)
  let open = true
  const read = async () => {
    try {
      for await (const _chunk of answer.body ?? []);
    } catch {}
    open = false
    return Date.now()
  }
  return { over: read(), isOpen: () => open, close: () => leave.abort() }
}

/** A second, a round trip to the store, and what a busy machine needs. */
const soon = 2500

const isCut = ({ detail }: RefusalEvent) => detail?.includes('cut off') === true

describe('a stream', () => {
  it.each([
    ['its user', () => revokeUser(auth, { tid: entra.tenant.id, oid: ada })],
    ['its tenant', () => revokeTenant(auth, entra.tenant.id)],
  ])('ends on every replica when access ends for %s', async (_what, end) => {
    const refusals = hear('mcp-entra:refusal') as RefusalEvent[]
    const tokens = await login(first.url)
    const streams = [await listenTo(tokens), await listenTo(tokens, second)]
    // Longer than one round: the stream has been looked at, and found to be good.
    await wait(1300)
    expect(streams.map((stream) => stream.isOpen())).toEqual([true, true])
    const endedAt = Date.now()
    await end()
    for (const { over } of streams) expect((await over) - endedAt).toBeLessThan(soon)
    expect((await getNotes(first.url, tokens.access_token)).status).toBe(401)
    const cut = refusals.filter(isCut)
    expect(cut).toHaveLength(2)
    expect(cut[0]).toMatchObject({
      endpoint: 'gate',
      reason: 'invalid_token',
      user: { oid: ada },
      grant: expect.any(String),
    })
  })

  it('ends when its client gives back the login, or its own access token alone', async () => {
    const gone = await login(first.url)
    const half = await login(first.url)
    const streams = [await listenTo(gone), await listenTo(half)]
    await wait(1100)
    const revoke = (token: string, client_id: string) =>
      postForm(`${first.url}/revoke`, { token, client_id })
    expect((await revoke(gone.refresh_token, gone.clientId)).status).toBe(200)
    expect((await revoke(half.access_token, half.clientId)).status).toBe(200)
    await Promise.all(streams.map(({ over }) => over))
    // The login of which one token was revoked goes on, and so do its streams.
    const next = await jsonOf<Tokens>(await refresh(first.url, half))
    const again = await listenTo(next)
    await wait(1300)
    expect(again.isOpen()).toBe(true)
    again.close()
  })

  it('goes on for everybody else, through a refresh, and while the store is away', async () => {
    const tokens = await login(first.url, { user: bob })
    const stream = await listenTo(tokens)
    await revokeUser(auth, { tid: entra.tenant.id, oid: ada })
    await wait(1100)
    expect((await refresh(first.url, tokens)).status).toBe(200)
    await wait(1100)
    store.failure = new Error('ECONNREFUSED')
    await wait(2200)
    expect(stream.isOpen()).toBe(true)
    store.failure = undefined
    await revokeUser(auth, { tid: entra.tenant.id, oid: bob })
    await stream.over
  })

  it('that answers a call may be finished', async () => {
    const tokens = await login(first.url)
    const answer = await fetch(`${first.url}/tool`, { method: 'POST', headers: bearer(tokens) })
    await revokeUser(auth, { tid: entra.tenant.id, oid: ada })
    expect(await answer.text()).toBe('data: done\n\n')
    expect((await getNotes(first.url, tokens.access_token)).status).toBe(401)
  })

  it('costs one read a second for all of them, and nothing once they are closed', async () => {
    const tokens = await login(first.url)
    const streams = await Promise.all(Array.from({ length: 20 }, () => listenTo(tokens)))
    expect((await refresh(first.url, tokens)).status).toBe(200)
    // Refreshes are no news: only a token that brings the new grant shows it to this gate, or the next minute.
    await revokeUser(auth, { tid: entra.tenant.id, oid: bob })
    await wait(2500)
    store.reads = 0
    const from = Date.now()
    await wait(3000)
    expect(store.reads).toBeGreaterThanOrEqual(2)
    expect(store.reads).toBeLessThanOrEqual((Date.now() - from) / 1000 + 1)
    for (const stream of streams) stream.close()
    await wait(1500)
    store.reads = 0
    await wait(1500)
    expect(store.reads).toBe(0)
  })

  it('ends although its client has sent another request after it on the same connection', async () => {
    const tokens = await login(first.url)
    const { hostname, port } = new URL(first.address)
    const socket = connectTcp(Number(port), hostname)
    const authorization = `Authorization: Bearer ${tokens.access_token}`
    for (const path of ['/stream', '/api/notes']) {
      socket.write(`GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\n${authorization}\r\n\r\n`)
    }
    socket.resume()
    const over = once(socket, 'close')
    await wait(1300)
    expect(socket.destroyed).toBe(false)
    await revokeUser(auth, { tid: entra.tenant.id, oid: ada })
    await over
  })

  it('ends over HTTP/2, and the connection goes on', async () => {
    const refusals = hear('mcp-entra:refusal') as RefusalEvent[]
    const tokens = await login(first.url)
    const gate = requireBearer(auth)
    const server = createHttp2((req, res) => {
      gate(req as never, res as never, () => {
        if (req.url === '/stream') tick(res as never)
        else res.end('ok')
      })
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    const ask = (path: string) => session.request({ ':path': path, ...bearer(tokens) })
    const stream = ask('/stream')
    const brief = ask('/brief')
    stream.on('error', () => undefined).resume()
    brief.resume()
    await once(brief, 'close')
    const left = ask('/stream')
    await once(left, 'response')
    left.close()
    await wait(1300)
    expect(stream.closed).toBe(false)
    await revokeUser(auth, { tid: entra.tenant.id, oid: ada })
    if (!stream.closed) await once(stream, 'close')
    // Of three responses on the connection, one was still open.
    expect(refusals.filter(isCut)).toHaveLength(1)
    const [headers] = (await once(ask('/brief'), 'response')) as [Record<string, unknown>]
    expect(headers[':status']).toBe(401)
    session.destroy()
    server.close()
  })
})

describe('an MCP client that listens to its server', () => {
  /** A server with sessions, on SDK v1: it has a stream for each, and sends a notification ten times a second. */
  function mountMcp(app: Express, made: EntraAuth): void {
    const transports = new Map<string, StreamableHTTPServerTransport>()
    const open = async () => {
      const server = new McpServer(
        { name: 'listening', version: '1' },
        { capabilities: { logging: {} } },
      )
      const transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => void transports.set(id, transport),
      })
      await server.connect(transport)
      const timer = setInterval(() => {
        server.server
          .sendLoggingMessage({ level: 'info', data: 'tick' })
          .catch(() => clearInterval(timer))
      }, 100)
      transport.onclose = () => clearInterval(timer)
      closing.push(() => transport.close())
      return transport
    }
    app.all('/mcp', requireBearer(made), express.json(), (req, res, next) => {
      const known = transports.get(String(req.headers['mcp-session-id']))
      Promise.resolve(known ?? open())
        .then((transport) => transport.handleRequest(req, res, req.body))
        .catch(next)
    })
  }
  const closing: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
  })

  it.each([
    ['SDK v1', TransportV1, ClientV1],
    ['SDK v2', TransportV2, ClientV2],
  ] as const)(
    'hears no more, and is told to log in again (%s)',
    async (_name, Transport, Client) => {
      let made: EntraAuth | undefined
      const proxy = await startProxy(entra, {
        mount(app, own) {
          mountMcp(app, own)
          made = own
        },
      })
      const provider = new TestProvider(ada)
      const url = new URL(`${proxy.url}/mcp`)
      const { access_token, refresh_token, clientId } = await login(proxy.url)
      const issuer = proxy.url
      provider.saveClientInformation({ client_id: clientId, issuer })
      provider.saveTokens({ access_token, refresh_token, token_type: 'Bearer', issuer })
      const client = new Client({ name: 'listening', version: '1' })
      let heard = 0
      client.fallbackNotificationHandler = async () => {
        heard += 1
      }
      await client.connect(new Transport(url, { authProvider: provider }) as never)
      closing.push(() => client.close())
      await wait(1500)
      expect(heard).toBeGreaterThan(3)
      if (made) await revokeUser(made, { tid: entra.tenant.id, oid: ada })
      while (provider.sentTo.length === 0) await wait(100)
      const before = heard
      await wait(500)
      expect(heard).toBe(before)
    },
  )
})
