/** Gates with options of their own in front of an emulated Entra: with a test clock, and a store that can fail. */
import type { RequestListener } from 'node:http'
import express, { type Express } from 'express'
import {
  authOf,
  type EntraAuth,
  type EntraAuthOptions,
  entraAuth,
  memoryStorage,
  oauthRoutes,
  requireBearer,
  type Storage,
} from 'mcp-entra'
import { defaultTenants } from '../../lib/testing/defaults.js'
import { authOptions, type Logs } from './auth-options.js'
import { type TestClock, testClock } from './clock.js'
import { type Entra, type Listening, listen } from './host.js'

export { notesScopes, userRead } from './auth-options.js'

const [contoso, fabrikam] = defaultTenants.map(({ users }) => users.map(({ username }) => username))

/** Ada has the role Notes.Admin, Bob has none, Frida is of another tenant. */
export const [ada = '', bob = ''] = contoso ?? []
export const [frida = ''] = fabrikam ?? []

/** A store that records its operations, and can be made to fail or to wait. */
export interface TestStorage extends Storage {
  readonly calls: string[]
  down: boolean
  /** Every operation waits for this. */
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
  /** Options to leave out: direct mode has no `keys`. */
  readonly without?: readonly (keyof EntraAuthOptions)[]
  /** Routes; by default `/mcp` behind the gate, which answers with `req.auth` but for the token. */
  readonly mount?: (app: Express, auth: EntraAuth) => void
  /** Longest request header, in bytes. */
  readonly maxHeaderSize?: number
  /** Makes the application (default: with Express 5). */
  readonly app?: (auth: EntraAuth) => RequestListener
}

export interface TestGate extends Listening {
  readonly auth: EntraAuth
  readonly clock: TestClock
  readonly store: TestStorage
  readonly logs: Logs
}

/** Starts a server with a gate that trusts this Entra. */
export async function startGate(entra: Entra, gate: GateOptions = {}): Promise<TestGate> {
  const { maxHeaderSize, options, without = [], mount = mountWhoAmI } = gate
  const clock = testClock()
  const store = testStorage(clock.now)
  const logs: Logs = []
  let auth: EntraAuth | undefined
  const server = await listen(
    (url) => {
      entra.addRedirectUri(`${url}/auth/callback`)
      const all = authOptions(entra, url, logs, { storage: store, now: clock.now, ...options })
      auth = entraAuth(leaveOut(all, without))
      return gate.app?.(auth) ?? expressApp(auth, mount)
    },
    maxHeaderSize === undefined ? {} : { maxHeaderSize },
  )
  if (!auth) throw new Error('the gate has no auth')
  return { ...server, auth, clock, store, logs }
}

function leaveOut(all: EntraAuthOptions, without: readonly string[]): EntraAuthOptions {
  const kept = Object.entries(all).filter(([name]) => !without.includes(name))
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

/** Sends a request with a bearer token. */
export function ask(url: string, token?: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers)
  if (token !== undefined) headers.set('authorization', `Bearer ${token}`)
  return fetch(url, { ...init, headers })
}

/** Posts a JSON-RPC message, or any other body. */
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

/** What every 401 says besides, where tokens may be bound to a key. */
export const alsoDpop = ', DPoP algs="ES256 EdDSA RS256"'

/** The whole challenge of a refusal. */
export function challenge(
  url: string,
  error: string,
  description: string,
  scope = 'notes.read',
  resource = '/mcp',
): string {
  const bearer = `Bearer error="${error}", error_description="${description}", scope="${scope}", resource_metadata="${url}/.well-known/oauth-protected-resource${resource}"`
  return error === 'insufficient_scope' ? bearer : bearer + alsoDpop
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
