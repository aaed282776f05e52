/** Proxies with options of their own in front of one emulated Entra, and a login step by step. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type Agent, type IncomingHttpHeaders, request } from 'node:http'
import { afterAll, expect } from '@jest/globals'
import express, { type Express } from 'express'
import {
  type EntraAuth,
  type EntraAuthOptions,
  entraAuth,
  memoryStorage,
  oauthRoutes,
  requireBearer,
  type Storage,
  scopeGuard,
} from 'mcp-entra'
import { type EntraOptions, startEntra } from 'mcp-entra/testing'
import { type Browser, formRequest, type Page, unescapeHtml } from '../../examples/demo/browser.js'
import { authOptions, type Logs } from './auth-options.js'
import { type Entra, listen } from './host.js'
import { ada, authorizeUrl, newBrowser, pkce, redirectUri, register } from './oauth-client.js'

export { authOptions } from './auth-options.js'
export { type TestClock, testClock } from './clock.js'

/** A running proxy with a small API behind it. */
export interface TestProxy {
  /** Its baseUrl. */
  readonly url: string
  /** Where it listens. It differs from `url` where a test gives another `baseUrl`, such as one with https. */
  readonly address: string
  readonly logs: Logs
  /** The same server, restarted with other options. */
  restart(options: ProxyOptions): void
  close(): Promise<void>
}

/** Options of `entraAuth`, and how the application is built around it. */
export interface ProxyOptions extends Partial<EntraAuthOptions> {
  readonly basePath?: string
  /** Mounts middleware in front of `oauthRoutes`. */
  readonly before?: (app: Express) => void
  /** Mounts middleware beside `oauthRoutes`. */
  readonly mount?: (app: Express, auth: EntraAuth) => void
}

/** Servers of this test file: closed when it ends, also after a failed test. */
const started: { close(): Promise<void> }[] = []
afterAll(async () => void (await Promise.all(started.map((server) => server.close()))))

/** Starts an emulated Entra that is closed when the test file ends. */
export async function startTestEntra(options: EntraOptions = {}): Promise<Entra> {
  const entra = await startEntra(options)
  started.push(entra)
  return entra
}

/** Starts a proxy that trusts this Entra. It is closed when the test file ends. */
export async function startProxy(entra: Entra, options: ProxyOptions = {}): Promise<TestProxy> {
  const logs: Logs = []
  const { basePath = '' } = options
  let app: Express | undefined
  let baseUrl = ''
  const build = ({ basePath: _path, before, mount, ...more }: ProxyOptions) =>
    buildApp(authOptions(entra, baseUrl, logs, more), before, mount)
  const server = await listen((url) => {
    baseUrl = options.baseUrl ?? url + basePath
    entra.addRedirectUri(`${baseUrl}/auth/callback`)
    app = build(options)
    return (req, res) => app?.(req, res)
  })
  started.push(server)
  return {
    url: baseUrl,
    address: server.url + basePath,
    logs,
    restart(more) {
      app = build(more)
    },
    close: server.close,
  }
}

function buildApp(
  options: EntraAuthOptions,
  before: ProxyOptions['before'],
  mount: ProxyOptions['mount'],
): Express {
  const auth = entraAuth(options)
  const basePath = new URL(options.baseUrl).pathname.replace(/\/$/, '')
  const app = express().disable('x-powered-by')
  before?.(app)
  app.use(oauthRoutes(auth))
  mount?.(app, auth)
  const gate = requireBearer(auth)
  app.get(`${basePath}/api/notes`, gate, scopeGuard('notes.read'), (_req, res) => {
    res.json({ notes: [] })
  })
  app.post(`${basePath}/api/notes`, gate, scopeGuard('notes.write'), (_req, res) => {
    res.status(201).end()
  })
  app.use((req, res) => void res.status(404).json({ app: req.path }))
  return app
}

/** A storage in memory that records the keys of its writes. */
export function countingStorage(now?: () => number): {
  readonly storage: Storage
  readonly writes: string[]
} {
  const memory = memoryStorage(now ? { now } : {})
  const writes: string[] = []
  const count =
    <A extends [string, ...unknown[]], T>(operation: (...args: A) => Promise<T>) =>
    (...args: A) => {
      writes.push(args[0])
      return operation(...args)
    }
  const { get, set, add, take } = memory
  return { storage: { get, set: count(set), add: count(add), take }, writes }
}

/** An HTTP answer. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Sends a request that `fetch` would not send. A list of parts is sent chunked, without a length. */
export function send(
  url: string,
  options: {
    readonly method?: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: string | Buffer | readonly string[]
    /** Default: a connection of its own. */
    readonly agent?: Agent
  } = {},
): Promise<Answer> {
  const { method = 'GET', headers = {}, body, agent = false } = options
  return new Promise((resolve, reject) => {
    const req = request(url, { method, headers, agent }, (res) => {
      const chunks: Buffer[] = []
      res.on('data', (chunk: Buffer) => chunks.push(chunk))
      const finish = () =>
        resolve({
          status: res.statusCode ?? 0,
          headers: res.headers,
          body: Buffer.concat(chunks).toString(),
        })
      res.on('end', finish)
      res.on('error', reject)
    })
    // A server may answer and close before it has read everything: the answer may still arrive.
    req.on('error', (error) => setTimeout(() => reject(error), 200))
    if (Array.isArray(body)) for (const part of body) req.write(part)
    else if (body !== undefined && !Array.isArray(body)) req.write(body as string | Buffer)
    req.end()
  })
}

export async function jsonOf<T = Record<string, unknown>>(response: Response): Promise<T> {
  return (await response.json()) as T
}

/** Expects the error answer of the token endpoint (RFC 6749 section 5.2), which may not be stored. */
export async function expectRefusal(
  response: Response,
  error: string,
  status = 400,
): Promise<void> {
  expect(response.status).toBe(status)
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(response.headers.get('content-type')).toBe('application/json')
  expect(await jsonOf(response)).toEqual({ error, error_description: expect.any(String) })
}

/** Options of the steps of a login. */
export interface StepOptions {
  readonly browser?: Browser
  readonly clientId?: string
  readonly params?: Readonly<Record<string, string | undefined>>
}

/** A login at the consent page. */
export interface AtConsent {
  readonly browser: Browser
  readonly clientId: string
  readonly verifier: string
  readonly page: Page
}

export async function openConsent(url: string, options: StepOptions = {}): Promise<AtConsent> {
  const browser = options.browser ?? newBrowser()
  const clientId = options.clientId ?? (await register(url))
  const { verifier, challenge } = pkce()
  const params = { login_hint: ada, ...options.params }
  const page = await browser.fetchOnce(authorizeUrl(url, clientId, challenge, params))
  return { browser, clientId, verifier, page }
}

/** A login whose user has approved it. */
export interface AtEntra extends AtConsent {
  /** Where the browser was sent: Entra's authorization endpoint. */
  readonly upstream: URL
  /** Our state at Entra. */
  readonly state: string
}

export async function approve(url: string, options: StepOptions = {}): Promise<AtEntra> {
  const consent = await openConsent(url, options)
  const answer = await consent.browser.fetchOnce(...formRequest(consent.page, 'approve'))
  const upstream = new URL(answer.headers.get('location') ?? 'about:blank')
  return { ...consent, upstream, state: upstream.searchParams.get('state') ?? '' }
}

/** A login whose user has signed in at Entra. The callback has not been opened. */
export interface AtCallback extends AtEntra {
  readonly callback: string
}

export async function signInAtEntra(url: string, options: StepOptions = {}): Promise<AtCallback> {
  const login = await approve(url, options)
  const answer = await login.browser.fetchOnce(login.upstream.href)
  return { ...login, callback: answer.headers.get('location') ?? '' }
}

/** The parameters of a redirect to the client. */
export function clientAnswer({ headers, status }: Page): Record<string, string> {
  const location = headers.get('location') ?? ''
  if (!location.startsWith(redirectUri)) throw new Error(`not sent to the client: ${status}`)
  return Object.fromEntries(new URL(location).searchParams)
}

/** The link of an error page: it takes the error to a client that nobody vouches for, if the user follows it. */
export function returnLink(html: string): URL {
  const [, href, rel] =
    /<a href="([^"]*)" rel="([^"]*)">Return to the application<\/a>/.exec(html) ?? []
  if (href === undefined) throw new Error(`no link back:\n${html}`)
  if (rel !== 'noreferrer noopener nofollow') throw new Error(`a link with rel="${rel}"`)
  return new URL(unescapeHtml(href))
}

/** Entra's wording, numbers and ids, which no client may see. */
export const entraWords = /AADSTS|Ordered by|Trace|Correlation|Timestamp|contoso/i

/** Collects the events of one of our diagnostics channels, until the test file ends. */
export function hear(name: string): unknown[] {
  const events: unknown[] = []
  const listen = (event: unknown) => void events.push(event)
  subscribe(name, listen)
  started.push({ close: async () => void unsubscribe(name, listen) })
  return events
}
