/** Requests that somebody has answered before a middleware of ours had its say: a timeout, as a rule. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type RequestListener, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import connect from 'connect'
import express5, { type Express } from 'express'
import express4 from 'express4'
import {
  type EntraAuth,
  entraAuth,
  type Middleware,
  oauthRoutes,
  oboToken,
  requireBearer,
  resourceMetadata,
  scopeGuard,
} from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import {
  ada,
  ask,
  bob,
  post,
  startGate,
  type TestGate,
  toolCall,
  userRead,
} from '../support/gate.js'
import type { Entra } from '../support/host.js'
import { login } from '../support/oauth-client.js'
import { verifyingWith } from '../support/verifying-with.js'

/** What reached the handler, and what reached the end of the line as an error. */
const handled: string[] = []
const failed: string[] = []

/** Answers before the promise of any middleware behind it can have settled. */
function timeout(where: string): Middleware {
  return (req, res, next) => {
    next()
    if (req.headers['x-timeout'] !== where) return
    res.statusCode = 503
    res.end('timeout')
  }
}

/** Answers, and goes on all the same: a mistake that must not run a handler either. */
const answered: Middleware = (req, res, next) => {
  if (req.headers['x-timeout'] === 'answered') res.end('answered')
  next()
}

const handler: Middleware = (req, res) => {
  handled.push(req.originalUrl ?? '')
  res.end('handled')
}

/** The same server for clients that get their tokens from Entra. */
function direct({ baseUrl, scopes }: EntraAuth): EntraAuth {
  const { clientId = '' } = scopes
  return entraAuth({ baseUrl, scopes, tenantId: 'contoso.com', clientId })
}

function middlewares(auth: EntraAuth): [path: string | undefined, Middleware][] {
  return [
    [undefined, timeout('front')],
    [undefined, answered],
    [undefined, oauthRoutes(auth)],
    [undefined, resourceMetadata(direct(auth))],
    ['/mcp', requireBearer(auth)],
    ['/mcp', timeout('guard')],
    ['/mcp', scopeGuard({ tools: { add_note: 'notes.write', assign: { roles: 'Nobody' } } })],
    ['/mcp', oboToken(auth, { graph: { scopes: [userRead], tools: ['my_profile'] } })],
    ['/mcp', handler],
    ['/broken', requireBearer(broken(auth))],
    ['/broken', handler],
  ]
}

/** Whose verification fails as nobody has foreseen. */
function broken(auth: EntraAuth): EntraAuth {
  return verifyingWith(auth, () => Promise.reject('route'))
}

function inExpress(make: () => Express) {
  return (auth: EntraAuth): RequestListener => {
    const app = make()
    for (const [path, one] of middlewares(auth)) app.use(path ?? '/', one)
    app.use(((error: Error, _req, res, _next) => {
      failed.push(error.message)
      res.status(500).end()
    }) satisfies express5.ErrorRequestHandler)
    return app
  }
}

function inConnect(auth: EntraAuth): RequestListener {
  const app = connect()
  for (const [path, one] of middlewares(auth)) app.use(path ?? '/', one)
  app.use(((error, _req, res, _next) => {
    failed.push((error as Error).message)
    res.statusCode = 500
    res.end()
  }) satisfies connect.ErrorHandleFunction)
  return app
}

function allowRedirect({ pathname }: URL): boolean {
  if (pathname === '/fails') throw new Error('of allowRedirect')
  return true
}

/** Jest fails a test in which a promise is rejected and nobody hears of it. */
describe.each<[string, (auth: EntraAuth) => RequestListener]>([
  ['Express 5', inExpress(express5)],
  ['Express 4', inExpress(express4 as unknown as typeof express5)],
  ['Connect', inConnect],
])('a request in %s that a timeout has answered', (_name, app) => {
  let entra: Entra
  let gate: TestGate
  let own: string
  beforeAll(async () => {
    entra = await startEntra()
    gate = await startGate(entra, { app, options: { allowRedirect } })
    own = (await login(gate.url, { user: ada })).access_token
  })
  afterAll(async () => {
    await gate.close()
    await entra.close()
  })
  beforeEach(() => {
    handled.length = 0
    failed.length = 0
    gate.logs.length = 0
  })

  const late = (where: string) => ({ 'x-timeout': where })
  const fresh = () => entra.mintAccessToken({ user: bob, scopes: ['notes.read'] })
  const without = () => entra.mintAccessToken({ user: bob, scopes: ['other'] })
  const forged = async () => `${(await fresh()).slice(0, -8)}AAAAAAAA`
  const daemon = () => entra.mintAccessToken({ user: null, roles: [] })

  it.each<[string, () => Promise<string>, number]>([
    ['good', fresh, 200],
    ['forged', forged, 401],
    ['narrow', without, 403],
    ["roleless app's", daemon, 403],
  ])('at requireBearer goes no further with a %s token', async (_token, mint, usual) => {
    const token = await mint()
    const response = await ask(`${gate.url}/mcp?late`, token, { headers: late('front') })
    expect([response.status, await response.text()]).toEqual([503, 'timeout'])
    // The same token is verified once for both: the first verdict is there before this answer.
    expect((await ask(`${gate.url}/mcp`, token)).status).toBe(usual)
    await turn()
    expect(handled).toEqual(usual === 200 ? ['/mcp'] : [])
    expect(failed).toEqual([])
  })

  it('at requireBearer does not hear of a store that fails late, but the operator does', async () => {
    gate.clock.advance(2)
    let release = () => {}
    gate.store.busy = new Promise<void>((_, reject) => {
      release = () => reject(new Error('connect ETIMEDOUT'))
    })
    const response = await ask(`${gate.url}/mcp?late`, own, { headers: late('front') })
    expect([response.status, await response.text()]).toEqual([503, 'timeout'])
    const usual = ask(`${gate.url}/mcp`, own)
    release()
    expect((await usual).status).toBe(503)
    gate.store.busy = undefined
    await turn()
    expect(gate.logs.map(({ reason }) => reason)).toEqual([
      'temporarily_unavailable',
      'temporarily_unavailable',
    ])
    expect([handled, failed]).toEqual([[], []])
  })

  it.each([
    ['that may pass', toolCall('list_notes'), 200],
    ['that lacks a scope', toolCall('add_note'), 403],
    ['that lacks a role', toolCall('assign'), 403],
    ['that is ambiguous', '{"__proto__":1}', 400],
    ['that is no JSON', '{', 400],
    ['that needs an exchange', toolCall('my_profile'), 200],
  ])('at scopeGuard and oboToken goes no further with a body %s', async (_body, body, usual) => {
    const token = await fresh()
    const response = await post(`${gate.url}/mcp?late`, token, body, late('guard'))
    expect([response.status, await response.text()]).toEqual([503, 'timeout'])
    expect((await post(`${gate.url}/mcp`, token, body)).status).toBe(usual)
    await turn()
    expect(handled).toEqual(usual === 200 ? ['/mcp'] : [])
    expect(failed).toEqual([])
  })

  it('at oboToken goes no further when Entra refuses the exchange', async () => {
    const remove = entra.fault({ at: 'token', grant: 'on_behalf_of', error: 50076 })
    const token = await fresh()
    const call = toolCall('my_profile')
    const response = await post(`${gate.url}/mcp?late`, token, call, late('guard'))
    expect([response.status, await response.text()]).toEqual([503, 'timeout'])
    expect((await post(`${gate.url}/mcp`, token, call)).status).toBe(401)
    remove()
    await turn()
    expect([handled, failed]).toEqual([[], []])
  })

  it.each<[string, string, string, string | undefined]>([
    ['POST', '/token', 'application/x-www-form-urlencoded', 'grant_type=x'],
    ['POST', '/revoke', 'application/x-www-form-urlencoded', 'token=x'],
    ['POST', '/consent', 'application/x-www-form-urlencoded', 'a=1'],
    ['POST', '/register', 'application/json', '{"redirect_uris":["http://127.0.0.1/cb"]}'],
    ['POST', '/register', 'application/json', '{'],
    ['GET', '/authorize?client_id=x', '', undefined],
    ['GET', '/auth/callback?code=x&state=y', '', undefined],
  ])('at %s %s does nothing more', async (method, path, type, body) => {
    const init = { method, ...(body !== undefined && { body }) }
    const headers = { 'content-type': type }
    const response = await fetch(gate.url + path, {
      ...init,
      headers: { ...headers, ...late('front') },
      redirect: 'manual',
    })
    // What is decided without waiting is faster than any timeout.
    if (response.status === 503) expect(await response.text()).toBe('timeout')
    await fetch(gate.url + path, { ...init, headers, redirect: 'manual' })
    await turn()
    expect(failed).toEqual([])
  })

  it('that fails as nobody has foreseen is reported, or handed on when there was no timeout', async () => {
    const token = await fresh()
    const register = (headers: Record<string, string>) =>
      post(
        `${gate.url}/register`,
        undefined,
        { redirect_uris: ['http://127.0.0.1/fails'] },
        headers,
      )
    const gated = (headers: Record<string, string>) => ask(`${gate.url}/broken`, token, { headers })
    for (const send of [gated, register]) {
      expect(await (await send(late('front'))).text()).toBe('timeout')
      expect((await send({})).status).toBe(500)
    }
    expect(failed).toEqual(['mcp-entra: something failed without an error', 'of allowRedirect'])
    expect(handled).toEqual([])
    const failure = { message: 'mcp-entra: failure', reason: 'server_error' }
    expect(gate.logs).toEqual([
      { ...failure, endpoint: 'gate', cause: 'route' },
      { ...failure, endpoint: '/register', cause: 'Error: of allowRedirect' },
    ])
  })

  it.each(['/mcp', '/token', '/.well-known/oauth-protected-resource', '/jwks'])(
    'before it came to %s is left alone',
    async (path) => {
      const token = await fresh()
      await (await ask(`${gate.url}/mcp`, token)).text()
      handled.length = 0
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        const response = await ask(gate.url + path, token, { method, headers: late('answered') })
        expect([response.status, await response.text()]).toEqual([200, 'answered'])
      }
      await turn()
      expect([handled, failed]).toEqual([[], []])
    },
  )

  it("that its client gave up in the middle of the body is nobody's error", async () => {
    const token = await fresh()
    expect((await ask(`${gate.url}/mcp`, token)).status).toBe(200)
    for (const path of ['/mcp', '/token', '/register']) {
      const req = request(gate.url + path, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type':
            path === '/token' ? 'application/x-www-form-urlencoded' : 'application/json',
          'content-length': 100,
          expect: '100-continue',
        },
      })
      req.on('error', () => undefined)
      req.flushHeaders()
      await once(req, 'continue')
      req.write('{"method":')
      req.destroy()
    }
    await (await post(`${gate.url}/mcp`, token, toolCall('list_notes'))).text()
    await turn()
    expect(failed).toEqual([])
  })
})

describe('a process', () => {
  const script = fileURLToPath(new URL('./late-verdicts.mjs', import.meta.url))
  const run = async (what: string) => {
    const child = spawn(process.execPath, [script, what], { stdio: ['ignore', 'pipe', 'pipe'] })
    const [out, err, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit'),
    ])
    return { code, out: out.trim(), err: err.trim() }
  }

  it('outlives a verdict of requireBearer that comes too late', async () => {
    const expected = { code: 0, out: 'answered: timeout,timeout, handled: 0', err: '' }
    expect(await run('timeout')).toEqual(expected)
  })

  it('sees what a hand-made next throws as it would without us, and the handler runs once', async () => {
    const expected = { code: 0, out: 'uncaughtException: of the handler, handled: 1', err: '' }
    expect(await run('throw')).toEqual(expected)
  })
})
