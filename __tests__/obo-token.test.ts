/** Tokens for downstream APIs: when they are exchanged, for whom, and what a client hears when they are not. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import express, { type Express } from 'express'
import {
  authOf,
  type Downstream,
  downstreamCredential,
  downstreamToken,
  type EntraAuth,
  OAuthError,
  oauthRoutes,
  oboToken,
  requireBearer,
} from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { defaultApps, defaultTenants } from '../lib/testing/defaults.js'
import {
  ada,
  ask,
  bob,
  decode,
  post,
  startGate,
  type TestGate,
  toolCall,
  userRead,
} from './support/gate.js'
import type { Entra } from './support/host.js'
import { login } from './support/oauth-client.js'
import { withShortDeadlines } from './support/short-deadlines.js'

const mailRead = 'https://graph.microsoft.com/Mail.Read'
const crowd = Array.from({ length: 20 }, (_, index) => ({
  oid: `00000000-0000-4000-8000-0000000001${String(index).padStart(2, '0')}`,
  username: `user${index}@contoso.test`,
  name: `User ${index}`,
}))

let entra: Entra
let gate: TestGate

function mount(app: Express, auth: EntraAuth): void {
  const gated = requireBearer(auth)
  const apis = {
    graph: { scopes: [userRead], tools: ['my_profile', 'both'] },
    mail: { scopes: [mailRead], tools: ['inbox', 'both'] },
  }
  app.use(oauthRoutes(auth))
  app.all('/mcp', gated, oboToken(auth, apis), (_req, res) => void res.json({ ran: true }))
  app.get('/route', gated, oboToken(auth, { graph: { scopes: [userRead] } }), async (req, res) => {
    res.json({ token: await downstreamToken(authOf(req), 'graph') })
  })
  app.get('/lazy/:api', gated, oboToken(auth, apis), async (req, res) => {
    res.json({ token: await downstreamToken(authOf(req), String(req.params.api)) })
  })
  app.get(
    '/stacked',
    gated,
    oboToken(auth, { graph: { scopes: [userRead] } }),
    oboToken(auth, { mail: { scopes: [mailRead], tools: [] } }),
    async (req, res) => {
      res.json({ token: await downstreamToken(authOf(req), 'graph') })
    },
  )
  app.get('/without', gated, async (req, res) => {
    res.json({ token: await downstreamToken(authOf(req), 'graph') })
  })
  app.post('/credential', gated, express.json(), async (req, res) => {
    const { scopes, options } = req.body as { scopes: string[]; options?: object }
    res.json(await downstreamCredential(authOf(req)).getToken(scopes, options))
  })
  app.get('/open', oboToken(auth, { graph: { scopes: [userRead] } }))
  app.use(((error: Error, _req, res, _next) => {
    const code = error instanceof OAuthError ? { code: error.code } : {}
    res.status(500).json({ name: error.name, message: error.message, ...code })
  }) satisfies express.ErrorRequestHandler)
}

beforeAll(async () => {
  const [contoso, ...others] = defaultTenants
  if (!contoso) throw new Error('no default tenant')
  entra = await startEntra({
    tenants: [{ ...contoso, users: [...contoso.users, ...crowd] }, ...others],
    apps: defaultApps,
  })
})
afterAll(() => entra.close())
beforeEach(async () => {
  gate = await startGate(entra, { mount })
  entra.clearRequests()
})
afterEach(async () => {
  entra.clearFaults()
  await gate.close()
})

const exchanges = () =>
  entra.requestsTo('token').filter(({ grantType }) => grantType === 'on_behalf_of')
const tokenOf = async (response: Response) => {
  const { token } = (await response.json()) as { token: string }
  return { token, ...decode(token) }
}
const lazy = (token: string, api = 'graph') => ask(`${gate.url}/lazy/${api}`, token)

describe('oboToken and when it asks Entra', () => {
  it('exchanges before a tool that needs it, for the API it needs and no other', async () => {
    const token = await entra.mintAccessToken({ user: ada })
    expect((await post(`${gate.url}/mcp`, token, toolCall('my_profile'))).status).toBe(200)
    expect(exchanges().map(({ params }) => [params.assertion, params.scope])).toEqual([
      [token, expect.stringContaining(userRead)],
    ])
  })

  it('exchanges for two APIs when a tool, or a batch, needs both', async () => {
    entra.consent(bob, mailRead)
    const token = await entra.mintAccessToken({ user: bob })
    expect((await post(`${gate.url}/mcp`, token, toolCall('both'))).status).toBe(200)
    expect(exchanges()).toHaveLength(2)
    const batch = [toolCall('my_profile'), toolCall('inbox', 2)]
    const other = await entra.mintAccessToken({ user: bob })
    expect((await post(`${gate.url}/mcp`, other, batch)).status).toBe(200)
    expect(exchanges()).toHaveLength(4)
    entra.withdrawConsent(bob, mailRead)
  })

  it('leaves Entra alone for other tools, other methods and a GET', async () => {
    const token = await entra.mintAccessToken({ user: ada })
    const listing = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
    expect((await post(`${gate.url}/mcp`, token, toolCall('whoami'))).status).toBe(200)
    expect((await post(`${gate.url}/mcp`, token, listing)).status).toBe(200)
    expect((await ask(`${gate.url}/mcp`, token)).status).toBe(200)
    expect(exchanges()).toHaveLength(0)
  })

  it('exchanges before every request of a route that names no tools', async () => {
    const { claims } = await tokenOf(
      await ask(`${gate.url}/route`, await entra.mintAccessToken({ user: ada })),
    )
    expect(claims).toMatchObject({
      oid: entra.user(ada).oid,
      scp: expect.stringMatching(/^User\.Read\b/),
    })
  })

  it('exchanges at the first downstreamToken otherwise', async () => {
    const token = await entra.mintAccessToken({ user: ada })
    expect((await tokenOf(await lazy(token))).claims.oid).toBe(entra.user(ada).oid)
    expect(exchanges()).toHaveLength(1)
  })

  it('adds up when it is mounted twice', async () => {
    const response = await ask(`${gate.url}/stacked`, await entra.mintAccessToken({ user: ada }))
    expect((await tokenOf(response)).claims.scp).toMatch(/^User\.Read\b/)
  })

  it('works for who came through the proxy: the token of Entra behind ours is exchanged', async () => {
    const own = await login(gate.url, { user: ada })
    const { token, claims } = await tokenOf(await ask(`${gate.url}/route`, own.access_token))
    expect(claims.oid).toBe(entra.user(ada).oid)
    expect(exchanges()[0]?.params.assertion).not.toBe(own.access_token)
    const me = await ask(`${entra.graphUrl}/me`, token)
    expect(await me.json()).toMatchObject({ userPrincipalName: ada })
  })

  it('answers a body it cannot read like scopeGuard does', async () => {
    const response = await post(`${gate.url}/mcp`, await entra.mintAccessToken(), '{')
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({
      jsonrpc: '2.0',
      error: { code: -32700, message: 'Parse error: The body is not JSON.' },
      id: null,
    })
  })
})

describe('oboToken and its cache', () => {
  it('exchanges once for fifty at once, and not again afterwards', async () => {
    const token = await entra.mintAccessToken({ user: ada })
    const responses = await Promise.all(Array.from({ length: 50 }, () => lazy(token)))
    const tokens = await Promise.all(responses.map(tokenOf))
    expect(new Set(tokens.map((one) => one.token)).size).toBe(1)
    await tokenOf(await lazy(token))
    await tokenOf(await ask(`${gate.url}/route`, token))
    expect(exchanges()).toHaveLength(1)
  })

  it('never gives one user the token of another', async () => {
    const callers = await Promise.all(
      crowd.map(async ({ oid }) => ({ oid, token: await entra.mintAccessToken({ user: oid }) })),
    )
    const calls = Array.from({ length: 10 }, () => callers).flat()
    const answers = await Promise.all(
      calls.map(async ({ oid, token }) => ({
        oid,
        given: (await tokenOf(await lazy(token))).claims.oid,
      })),
    )
    expect(answers).toHaveLength(200)
    for (const { oid, given } of answers) expect(given).toBe(oid)
    expect(exchanges()).toHaveLength(crowd.length)
  })

  it('exchanges anew when the token is about to end', async () => {
    const token = await entra.mintAccessToken({ user: ada, expiresIn: 20_000 })
    const first = await tokenOf(await lazy(token))
    gate.clock.advance(4000)
    const second = await tokenOf(await lazy(token))
    expect(second.token).not.toBe(first.token)
    expect(exchanges()).toHaveLength(2)
  })
})

describe('oboToken and what can go wrong', () => {
  it('asks for a stronger sign-in with the claims of Entra in the challenge', async () => {
    entra.requireMfa(bob, true)
    const token = await entra.mintAccessToken({ user: bob })
    const response = await post(`${gate.url}/mcp`, token, toolCall('my_profile'))
    const description = 'Microsoft Entra wants the user to sign in again, with more proof.'
    expect(response.status).toBe(401)
    const header = response.headers.get('www-authenticate') ?? ''
    const claims = /claims="([^"]*)"/.exec(header)?.[1] ?? ''
    expect(header).toBe(
      `Bearer error="insufficient_claims", error_description="${description}", claims="${claims}", authorization_uri="${entra.url}/${entra.tenant.id}/oauth2/v2.0/authorize", resource_metadata="${gate.url}/.well-known/oauth-protected-resource/mcp"`,
    )
    expect(JSON.parse(Buffer.from(claims, 'base64').toString())).toHaveProperty('access_token')
    expect(await response.json()).toEqual({
      error: 'insufficient_claims',
      error_description: description,
    })
    expect((await lazy(await entra.mintAccessToken({ user: ada }))).status).toBe(200)
    entra.requireMfa(bob, false)
  })

  it('says 403 when nobody has consented, and tells the operator which code and trace', async () => {
    gate.logs.length = 0
    const token = await entra.mintAccessToken({ user: bob })
    const response = await post(`${gate.url}/mcp`, token, toolCall('inbox'))
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toBeNull()
    expect(await response.json()).toEqual({
      error: 'access_denied',
      error_description: `Nobody has consented to this server using the downstream API. An administrator can: ${entra.url}/${entra.tenant.id}/adminconsent?client_id=${entra.app.clientId}`,
    })
    expect(gate.logs).toEqual([
      expect.objectContaining({
        message: 'mcp-entra: exchange',
        endpoint: 'on-behalf-of',
        reason: 'consent_required',
        codes: [65001],
        correlationId: expect.any(String),
        traceId: expect.any(String),
      }),
    ])
    expect(JSON.stringify(gate.logs)).not.toMatch(/eyJ|contoso|secret/i)
  })

  it('says 403 to an app: there is no user to act for', async () => {
    const token = await entra.mintAccessToken({
      user: null,
      client: entra.apps[1]?.clientId ?? '',
    })
    const response = await ask(`${gate.url}/route`, token)
    expect(response.status).toBe(403)
    expect(await response.json()).toEqual({
      error: 'access_denied',
      error_description:
        'An app calls on its own behalf: there is no user to exchange a token for.',
    })
    expect(exchanges()).toHaveLength(0)
  })

  it.each([
    ['answers 503', { status: 503 }],
    ['answers HTML', { html: true }],
    ['tears the connection down', { reset: true }],
    ['does not know our secret any more', { error: 7000215 }],
  ])('is a 503 while Entra %s, and works afterwards', async (_name, fault) => {
    const token = await entra.mintAccessToken({ user: ada })
    entra.fault({ at: 'token', ...fault })
    const response = await ask(`${gate.url}/route`, token)
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
    expect(response.headers.get('www-authenticate')).toBeNull()
    expect(await response.json()).toEqual({
      error: 'temporarily_unavailable',
      error_description: 'The downstream token cannot be had right now. Try again shortly.',
    })
    expect(gate.logs.at(-1)).toMatchObject({ message: 'mcp-entra: failure' })
    entra.clearFaults()
    gate.clock.advance(6)
    expect((await ask(`${gate.url}/route`, token)).status).toBe(200)
  })

  it('is a 503 within its deadline while Entra hangs', async () => {
    const token = await entra.mintAccessToken({ user: ada })
    entra.fault({ at: 'token', hang: true })
    const { result, deadlines } = await withShortDeadlines(() => ask(`${gate.url}/route`, token))
    expect(result.status).toBe(503)
    // Entra's keys have 5 seconds, the exchange and its second try share 8.
    expect(deadlines[0]).toBe(5)
    expect(Math.max(...deadlines)).toBeGreaterThan(7)
    expect(Math.max(...deadlines)).toBeLessThanOrEqual(8)
  })

  it('waits as long as Entra asks one user to, and nobody else with them', async () => {
    entra.fault({ at: 'token', grant: 'on_behalf_of', user: bob, retryAfter: 30 })
    const throttled = await entra.mintAccessToken({ user: bob })
    for (let round = 0; round < 3; round++) {
      const response = await ask(`${gate.url}/route`, throttled)
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '30'])
      const free = await entra.mintAccessToken({ user: ada })
      expect((await ask(`${gate.url}/route`, free)).status).toBe(200)
    }
    expect(exchanges().filter(({ user }) => user === bob)).toHaveLength(1)
    entra.clearFaults()
    gate.clock.advance(31)
    expect((await ask(`${gate.url}/route`, throttled)).status).toBe(200)
  })

  it('says invalid_token when Entra no longer takes the assertion', async () => {
    entra.fault({ at: 'token', error: 500133 })
    const token = await entra.mintAccessToken({ user: ada })
    const response = await ask(`${gate.url}/route`, token)
    const description = 'Microsoft Entra no longer accepts the login. Sign in again.'
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer error="invalid_token", error_description="${description}", resource_metadata="${gate.url}/.well-known/oauth-protected-resource/mcp"`,
    )
  })

  it('says 403 when the user may not use the downstream API', async () => {
    entra.fault({ at: 'token', error: 50105 })
    const response = await ask(`${gate.url}/route`, await entra.mintAccessToken({ user: ada }))
    expect(response.status).toBe(403)
    expect(await response.json()).toEqual({
      error: 'access_denied',
      error_description: 'Microsoft Entra does not allow this on behalf of the caller.',
    })
  })

  it('throws at downstreamToken for a name that was not mounted, with those that were', async () => {
    const token = await entra.mintAccessToken({ user: ada })
    for (const name of ['grpah', 'constructor', '__proto__']) {
      expect(await (await lazy(token, name)).json()).toEqual({
        name: 'RangeError',
        message: `downstreamToken: no downstream API "${name}"; there is: graph, mail`,
      })
    }
    expect(await (await ask(`${gate.url}/without`, token)).json()).toEqual({
      name: 'RangeError',
      message: 'downstreamToken: no downstream API "graph"; there is: none: mount oboToken',
    })
  })

  it('hands a TypeError on when no gate is in front of it', async () => {
    const response = await ask(`${gate.url}/open`, await entra.mintAccessToken())
    expect(await response.json()).toMatchObject({
      name: 'TypeError',
      message: expect.stringContaining('oboToken: no auth of requireBearer here'),
    })
  })
})

describe('downstreamCredential', () => {
  const getToken = async (scopes: string | string[], options?: object) =>
    post(`${gate.url}/credential`, await entra.mintAccessToken({ user: ada }), { scopes, options })

  it.each([
    ['one scope', userRead],
    ['a list', [userRead]],
  ])('has the shape of a TokenCredential for %s', async (_name, scopes) => {
    const answer = (await (await getToken(scopes)).json()) as {
      token: string
      expiresOnTimestamp: number
    }
    expect(Object.keys(answer).sort()).toEqual(['expiresOnTimestamp', 'token', 'tokenType'])
    expect(answer).toMatchObject({ tokenType: 'Bearer' })
    const { exp, oid } = decode(answer.token).claims
    expect(oid).toBe(entra.user(ada).oid)
    expect(Math.abs(answer.expiresOnTimestamp - Number(exp) * 1000)).toBeLessThanOrEqual(2000)
  })

  it('needs no oboToken in front of it, and brings the claims of a challenge to Entra', async () => {
    const claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
    const answer = await (await getToken(userRead, { claims })).json()
    expect(answer).toMatchObject({ name: 'OAuthError', code: 'insufficient_claims' })
    expect(exchanges()).toHaveLength(1)
    expect(JSON.parse(exchanges()[0]?.params.claims ?? '')).toMatchObject(JSON.parse(claims))
  })

  it('asks another tenant when it is told to', async () => {
    const tenantId = entra.tenants[1]?.id ?? ''
    await getToken(userRead, { tenantId })
    expect(exchanges()[0]?.tenant).toBe(tenantId)
  })

  it('does not begin when it has been aborted', async () => {
    const answer = await (await getToken(userRead, { abortSignal: { aborted: true } })).json()
    expect(answer).toMatchObject({ name: 'AbortError' })
    expect(exchanges()).toHaveLength(0)
  })
})

describe('oboToken at creation', () => {
  const make = (graph: Partial<Downstream>) => () =>
    oboToken(gate.auth, { graph } as Record<string, Downstream>)

  it.each<[string, Partial<Downstream>, string]>([
    [
      'a bare scope, which Entra would take for one of Graph',
      { scopes: ['User.Read'] },
      'oboToken: graph.scopes: "User.Read" names no API: write "https://graph.microsoft.com/User.Read"',
    ],
    [
      'an OIDC scope',
      { scopes: ['openid'] },
      'oboToken: graph.scopes: "openid" names no API: write "https://graph.microsoft.com/openid"',
    ],
    [
      'scopes of two APIs (AADSTS28000)',
      { scopes: [userRead, 'https://storage.azure.com/user_impersonation'] },
      'oboToken: graph.scopes are of two APIs: give each its own name in oboToken',
    ],
    [
      '.default beside others',
      { scopes: ['https://graph.microsoft.com/.default', userRead] },
      'oboToken: graph.scopes mixes .default with named scopes: AADSTS70011',
    ],
    [
      'an API without a scope',
      { scopes: ['https://graph.microsoft.com'] },
      'oboToken: graph.scopes: "https://graph.microsoft.com" names an API and no scope: write "https://graph.microsoft.com/.default", or one of its scopes',
    ],
    [
      'an App ID URI without a scope',
      { scopes: ['api://other-app/'] },
      'oboToken: graph.scopes: "api://other-app/" names an API and no scope: write "api://other-app/.default", or one of its scopes',
    ],
    ['no scope', { scopes: [] }, 'oboToken: graph.scopes must name a scope'],
    ['no scopes', {}, 'oboToken: graph.scopes must name a scope'],
    [
      'one string for a list',
      { scopes: userRead as unknown as string[] },
      'oboToken: graph.scopes must name a scope',
    ],
  ])('throws a TypeError for %s', (_name, api, message) => {
    expect(make(api)).toThrow(new TypeError(message))
  })

  it('throws a TypeError for no API at all', () => {
    expect(() => oboToken(gate.auth, {})).toThrow(
      new TypeError(
        "oboToken: name at least one downstream API: oboToken(auth, { graph: { scopes: ['https://graph.microsoft.com/User.Read'] } })",
      ),
    )
  })

  it('throws a TypeError without a credential, and says where it goes', async () => {
    const direct = await startGate(entra, {
      without: ['credential', 'keys'],
      mount: (app, auth) => void app.use(requireBearer(auth)),
    })
    expect(() => oboToken(direct.auth, { graph: { scopes: [userRead] } })).toThrow(
      new TypeError('oboToken: entraAuth needs the option `credential` for this'),
    )
    await direct.close()
  })

  it('takes the forms that Azure has', () => {
    expect(make({ scopes: ['https://graph.microsoft.com/.default'] })).not.toThrow()
    expect(make({ scopes: ['api://other-app/read', 'api://other-app/write'] })).not.toThrow()
    expect(make({ scopes: ['https://storage.azure.com//.default'] })).not.toThrow()
    expect(make({ scopes: [`${crowd[0]?.oid}/read`] })).not.toThrow()
  })
})
