/** Gates of one's own making beside an emulated Entra: a clock to turn, a store to count and to break. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import express, { type Express } from 'express'
import {
  authOf,
  clientSecret,
  type EntraAuth,
  type EntraAuthOptions,
  entraAuth,
  entraScopes,
  memoryStorage,
  oauthRoutes,
  requireBearer,
  type Storage,
} from 'mcp-entra'
import { defaultTenants } from '../../lib/testing/defaults.js'
import { closeServer, type Entra, type Listening, testKeys } from './host.js'

const [contoso, fabrikam] = defaultTenants.map(({ users }) => users.map(({ username }) => username))

/** Ada has the role Notes.Admin, Bob has none, Frida is of another tenant. */
export const [ada = '', bob = ''] = contoso ?? []
export const [frida = ''] = fabrikam ?? []
export const userRead = 'https://graph.microsoft.com/User.Read'

/** The machine's time until a test stops or moves it. */
export interface TestClock {
  now(): number
  /** Stands still from now on. */
  stop(): void
  advance(seconds: number): void
}

export function testClock(): TestClock {
  let shift = 0
  let stopped: number | undefined
  return {
    now: () => (stopped ?? Date.now()) + shift,
    stop() {
      stopped ??= Date.now()
    },
    advance(seconds) {
      shift += seconds * 1000
    },
  }
}

/** A store that remembers what it was asked for, and fails or dawdles when it is told to. */
export interface TestStorage extends Storage {
  readonly calls: string[]
  down: boolean
  /** What every answer waits for. */
  busy: Promise<void> | undefined
}

export function testStorage(now: () => number): TestStorage {
  const memory = memoryStorage({ now })
  const calls: string[] = []
  const ask = async <T>(operation: string, key: string, answer: () => Promise<T>): Promise<T> => {
    calls.push(`${operation} ${key.split(':', 1)[0]}`)
    await store.busy
    if (store.down) throw new Error('connect ECONNREFUSED')
    return answer()
  }
  const store: TestStorage = {
    calls,
    down: false,
    busy: undefined,
    get: (key) => ask('get', key, () => memory.get(key)),
    set: (key, value, ttl) => ask('set', key, () => memory.set(key, value, ttl)),
    add: (key, value, ttl) => ask('add', key, () => memory.add(key, value, ttl)),
    take: (key) => ask('take', key, () => memory.take(key)),
  }
  return store
}

/** What {@link startGate} takes. */
export interface GateOptions {
  readonly options?: Partial<EntraAuthOptions>
  /** Options that are to be absent: direct mode has no `keys`. */
  readonly without?: readonly (keyof EntraAuthOptions)[]
  /** Routes; by default `/mcp` behind the gate, answering with what is known of the caller. */
  readonly mount?: (app: Express, auth: EntraAuth) => void
  /** Longest request header, in bytes. */
  readonly maxHeaderSize?: number
  /** Another way to make the application than with Express 5. */
  readonly app?: (auth: EntraAuth) => RequestListener
}

export interface TestGate extends Listening {
  readonly auth: EntraAuth
  readonly clock: TestClock
  readonly store: TestStorage
  readonly logs: Record<string, unknown>[]
}

/** A server with a gate that trusts this Entra. */
export async function startGate(entra: Entra, gate: GateOptions = {}): Promise<TestGate> {
  const clock = testClock()
  const store = testStorage(clock.now)
  const logs: Record<string, unknown>[] = []
  const server = createServer({ maxHeaderSize: gate.maxHeaderSize ?? 16_384 })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://localhost:${(server.address() as AddressInfo).port}`
  entra.addRedirectUri(`${url}/auth/callback`)
  const auth = entraAuth(gateOptions(entra, url, { clock, store, logs }, gate))
  server.on('request', gate.app?.(auth) ?? expressApp(auth, gate.mount ?? mountWhoAmI))
  return { url, auth, clock, store, logs, close: () => closeServer(server) }
}

export function notesScopes(clientId: string) {
  return entraScopes({
    clientId,
    required: ['notes.read'],
    optional: ['notes.write'],
    implies: { 'notes.write': ['notes.read'] },
    additional: [userRead],
  })
}

function gateOptions(
  entra: Entra,
  url: string,
  { clock, store, logs }: Pick<TestGate, 'clock' | 'store' | 'logs'>,
  { options, without = [] }: GateOptions,
): EntraAuthOptions {
  const { clientId, secrets } = entra.app
  const keep = (fields: object, message: string) => void logs.push({ message, ...fields })
  const all: EntraAuthOptions = {
    baseUrl: url,
    tenantId: entra.tenant.id,
    clientId,
    credential: clientSecret(secrets[0] ?? ''),
    authorityHost: entra.url,
    scopes: notesScopes(clientId),
    keys: testKeys,
    storage: store,
    now: clock.now,
    logger: { info: keep, warn: keep, error: keep },
    ...options,
  }
  const kept = Object.entries(all).filter(([name]) => !without.some((gone) => gone === name))
  return Object.fromEntries(kept) as unknown as EntraAuthOptions
}

export function expressApp(
  auth: EntraAuth,
  mount: (app: Express, auth: EntraAuth) => void,
): Express {
  const app = express()
  mount(app, auth)
  return app
}

function mountWhoAmI(app: Express, auth: EntraAuth): void {
  app.use(oauthRoutes(auth))
  app.all('/mcp', requireBearer(auth), (req, res) => {
    res.json({ ...authOf(req), token: undefined })
  })
}

/** A request with a bearer token. */
export function ask(url: string, token?: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers)
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  return fetch(url, { ...init, headers })
}

/** A JSON-RPC message, or whatever else a test wants to post. */
export function post(
  url: string,
  token: string | undefined,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return ask(url, token, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
}

export function toolCall(name: string, id = 1): object {
  return { jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: {} } }
}

/** The whole challenge of a refusal. */
export function challenge(
  url: string,
  error: string,
  description: string,
  scope = 'notes.read',
  resource = '/mcp',
): string {
  return `Bearer error="${error}", error_description="${description}", scope="${scope}", resource_metadata="${url}/.well-known/oauth-protected-resource${resource}"`
}

export function decode(token: string): {
  header: Record<string, unknown>
  claims: Record<string, unknown>
} {
  const [header = '', claims = ''] = token.split('.')
  const part = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString()) as object
  return { header: { ...part(header) }, claims: { ...part(claims) } }
}

export function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}
