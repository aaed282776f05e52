/** `req.auth` as a tool sees it: what it tells, and what it keeps to itself. */
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Express } from 'express'
import {
  type AuthInfo,
  authOf,
  downstreamCredential,
  downstreamToken,
  type EntraAuth,
  oauthRoutes,
  oboToken,
  requireBearer,
  tokenClaim,
  userOf,
} from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { ada, ask, decode, startGate, type TestGate, userRead } from './support/gate.js'
import type { Entra } from './support/host.js'
import { login, refresh, type Tokens } from './support/oauth-client.js'

let entra: Entra
let gate: TestGate
let seen: object[] = []
/** A user through the proxy, a user with a token of Entra, an app. */
let proxied: AuthInfo
let direct: AuthInfo
let app: AuthInfo
/** Everything that Entra gave the server and nobody else may see. */
let upstream: string[]

function mount(server: Express, auth: EntraAuth): void {
  server.use(oauthRoutes(auth))
  server.all(
    '/mcp',
    requireBearer(auth),
    oboToken(auth, { graph: { scopes: [userRead], tools: [] } }),
    (req, res) => {
      seen.push(authOf(req))
      res.end()
    },
  )
}

async function authFor(token: string): Promise<AuthInfo> {
  seen = []
  expect((await ask(`${gate.url}/mcp`, token)).status).toBe(200)
  return seen[0] as AuthInfo
}

beforeAll(async () => {
  entra = await startEntra()
  gate = await startGate(entra, { mount })
  const own = await login(gate.url, { user: ada })
  const second = (await (await refresh(gate.url, own)).json()) as Tokens
  proxied = await authFor(second.access_token)
  direct = await authFor(await entra.mintAccessToken({ user: ada }))
  app = await authFor(
    await entra.mintAccessToken({ user: null, client: entra.apps[1]?.clientId ?? '' }),
  )
  const graphToken = await downstreamToken(proxied, 'graph')
  upstream = entra
    .requestsTo('token')
    .flatMap(({ params }) => [params.refresh_token, params.assertion, params.client_secret])
    .concat(graphToken)
    .filter((secret) => secret !== undefined)
})
afterAll(async () => {
  await gate.close()
  await entra.close()
})

describe('req.auth', () => {
  const shown: [string, (auth: AuthInfo) => string][] = [
    ['JSON.stringify', (auth) => JSON.stringify(auth)],
    ['util.inspect', (auth) => inspect(auth, { depth: 10, showHidden: true })],
    [
      'structuredClone',
      (auth) => inspect(structuredClone({ ...auth, resource: null }), { depth: 10 }),
    ],
    [
      'console.log of its parts',
      (auth) =>
        Object.entries(auth)
          .map((part) => inspect(part))
          .join(),
    ],
    ['a spread', (auth) => inspect({ ...auth, ...auth.extra }, { depth: 10 })],
  ]

  it.each(shown)('shows no token of Entra in %s', (_name, show) => {
    const text = show(proxied)
    expect(upstream.length).toBeGreaterThan(3)
    for (const secret of upstream) {
      expect(text).not.toContain(secret)
      expect(text).not.toContain(secret.split('.')[1] ?? secret)
    }
    expect(text).toContain(proxied.clientId)
    // One JWT is in it: the one that the client sent.
    expect(text.match(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g) ?? []).toEqual([proxied.token])
  })

  it('has own enumerable properties only, as SDK v2 copies them', () => {
    expect(Object.keys(proxied)).toEqual([
      'token',
      'clientId',
      'scopes',
      'expiresAt',
      'resource',
      'resourceMetadataUrl',
      'extra',
    ])
    expect(Object.getPrototypeOf(proxied)).toBe(Object.prototype)
    expect(proxied.resource).toEqual(new URL(`${gate.url}/mcp`))
  })
})

describe.each<[string, (auth: AuthInfo) => AuthInfo]>([
  ['as it is', (auth) => auth],
  ['copied, as SDK v2 does', (auth) => ({ ...auth })],
  ['copied with its extra', (auth) => ({ ...auth, extra: { ...auth.extra } })],
])('the accessors with req.auth %s', (_name, given) => {
  it('tell who the user is', () => {
    const { oid, tid } = entra.user(ada)
    expect(userOf(given(proxied))).toEqual({
      oid,
      tid,
      sub: decode(direct.token).claims.sub,
      name: 'Ada Lovelace',
      username: ada,
      roles: ['Notes.Admin'],
    })
    expect(userOf(given(direct))).toEqual(userOf(given(proxied)))
  })

  it('tell claims of the token of Entra, also where ours is at the door', () => {
    expect(tokenClaim(given(proxied), 'tid')).toBe(entra.tenant.id)
    expect(tokenClaim(given(proxied), 'azp')).toBe(entra.app.clientId)
    expect(tokenClaim(given(app), 'idtyp')).toBe('app')
  })

  it('get downstream tokens', async () => {
    expect(decode(await downstreamToken(given(proxied), 'graph')).claims.oid).toBe(
      entra.user(ada).oid,
    )
    const { token } = await downstreamCredential(given(direct)).getToken(userRead)
    expect(decode(token).claims.oid).toBe(entra.user(ada).oid)
  })
})

describe('the accessors and what is not there', () => {
  it('name the claims there are when one is missing, and show no value of one', () => {
    const names = Object.keys(decode(direct.token).claims).sort().join(', ')
    const message = `tokenClaim: the token has no claim "emial"; it has: ${names}`
    expect(() => tokenClaim(direct, 'emial')).toThrow(new RangeError(message))
    expect(() => tokenClaim(direct, 'toString')).toThrow(RangeError)
    expect(() => tokenClaim(direct, '__proto__')).toThrow(RangeError)
  })

  it('say that an app is no user', () => {
    expect(() => userOf(app)).toThrow(
      new TypeError('userOf: an app calls on its own behalf: there is no user'),
    )
  })

  it('refuse to exchange for an app', async () => {
    await expect(downstreamToken(app, 'graph')).rejects.toMatchObject({ code: 'access_denied' })
  })

  const advice =
    'no auth of requireBearer here: mount requireBearer before, and pass req.auth, extra.authInfo (SDK v1) or ctx.http.authInfo (SDK v2)'

  it.each<[string, (auth: undefined) => unknown]>([
    ['userOf', (auth) => userOf(auth)],
    ['tokenClaim', (auth) => tokenClaim(auth, 'oid')],
    ['downstreamCredential', (auth) => downstreamCredential(auth)],
  ])('%s says where auth comes from when there is none', (name, read) => {
    expect(() => read(undefined)).toThrow(new TypeError(`${name}: ${advice}`))
  })

  it('say so for a request without it, and for auth of another middleware or of JSON', async () => {
    expect(() => authOf({})).toThrow(new TypeError(`authOf: ${advice}`))
    expect(() => userOf({ extra: { user: { oid: 'x' } } })).toThrow(TypeError)
    expect(() => userOf(JSON.parse(JSON.stringify(proxied)))).toThrow(TypeError)
    await expect(downstreamToken(undefined, 'graph')).rejects.toThrow(
      new TypeError(`downstreamToken: ${advice}`),
    )
  })
})
