/** The same middlewares in Express 5, Express 4 and Connect. */
import type { RequestListener } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import connect from 'connect'
import express5, { type Express } from 'express'
import express4 from 'express4'
import {
  authOf,
  type EntraAuth,
  type Middleware,
  oauthRoutes,
  oboToken,
  requireBearer,
  scopeGuard,
  userOf,
} from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import {
  ada,
  alsoDpop,
  ask,
  bob,
  challenge,
  post,
  startGate,
  type TestGate,
  toolCall,
  userRead,
} from '../support/gate.js'
import type { Entra } from '../support/host.js'
import { login } from '../support/oauth-client.js'

/** Plain `node:http`, so that it runs everywhere. */
const answer: Middleware = (req, res) => {
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON.stringify({ user: userOf(authOf(req)).username, body: req.body ?? null }))
}

const guards = (auth: EntraAuth): Middleware[] => [
  requireBearer(auth),
  scopeGuard({ tools: { add_note: 'notes.write' } }),
  oboToken(auth, { graph: { scopes: [userRead], tools: ['my_profile'] } }),
  answer,
]

function inExpress(make: () => Express, parse?: (app: Express) => void) {
  return (auth: EntraAuth): RequestListener => {
    const app = make()
    parse?.(app)
    app.use(oauthRoutes(auth))
    app.all('/mcp', ...guards(auth))
    app.get('/open', scopeGuard('notes.read'))
    return app
  }
}

function inConnect(auth: EntraAuth): RequestListener {
  const app = connect()
  app.use(oauthRoutes(auth))
  for (const guard of guards(auth)) app.use('/mcp', guard)
  app.use('/open', scopeGuard('notes.read'))
  return app
}

describe.each<[string, (auth: EntraAuth) => RequestListener]>([
  ['Express 5', inExpress(express5)],
  ['Express 5 with express.json in front', inExpress(express5, (app) => app.use(express5.json()))],
  ['Express 4', inExpress(express4)],
  ['Express 4 with express.json in front', inExpress(express4, (app) => app.use(express4.json()))],
  ['Connect', inConnect],
])('the middlewares in %s', (_name, app) => {
  let entra: Entra
  let gate: TestGate
  let own: string
  beforeAll(async () => {
    entra = await startEntra()
    gate = await startGate(entra, { app })
    own = (await login(gate.url, { user: ada })).access_token
  })
  afterAll(async () => {
    await gate.close()
    await entra.close()
  })

  it('challenge who brings no token', async () => {
    const response = await post(`${gate.url}/mcp`, undefined, toolCall('whoami'))
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer resource_metadata="${gate.url}/.well-known/oauth-protected-resource/mcp", scope="notes.read"${alsoDpop}`,
    )
  })

  it('let both kinds of token pass, the body on req.body', async () => {
    const call = toolCall('whoami')
    const proxied = await post(`${gate.url}/mcp`, own, call)
    expect(await proxied.json()).toEqual({ user: ada, body: call })
    const direct = await post(`${gate.url}/mcp`, await entra.mintAccessToken({ user: bob }), call)
    expect(await direct.json()).toEqual({ user: bob, body: call })
  })

  it('refuse a tool for want of a scope', async () => {
    const response = await post(`${gate.url}/mcp`, own, toolCall('add_note'))
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toBe(
      challenge(
        gate.url,
        'insufficient_scope',
        'This needs the scope notes.write.',
        'notes.read notes.write',
      ),
    )
  })

  it('judge a body that the parser in front left alone', async () => {
    const headers = { 'content-type': 'application/json-rpc' }
    const response = await post(`${gate.url}/mcp`, own, toolCall('add_note'), headers)
    expect(response.status).toBe(415)
  })

  it('exchange tokens', async () => {
    const response = await post(`${gate.url}/mcp`, own, toolCall('my_profile'))
    expect(response.status).toBe(200)
    expect(entra.requestsTo('token').at(-1)?.grantType).toBe('on_behalf_of')
  })

  it('refuse a bad token', async () => {
    const response = await ask(`${gate.url}/mcp`, 'bad')
    expect(response.status).toBe(401)
    expect(await response.json()).toMatchObject({ error: 'invalid_token' })
  })

  it('hand programming errors on to the framework', async () => {
    const response = await ask(`${gate.url}/open`, own)
    expect(response.status).toBe(500)
  })
})
