/** Apps without a user: the same gate, roles in place of scopes, and nobody to act on behalf of. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type express from 'express'
import { authOf, downstreamCredential, requireBearer, scopeGuard, userOf } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import {
  type DownstreamHost,
  get,
  startDownstreamHost,
  userRead,
} from '../support/downstream-host.js'
import type { Entra } from '../support/host.js'
import { ada, bob, challengeParams, login, postForm, postJson } from '../support/oauth-client.js'

const readAll = 'Notes.Read.All'

let entra: Entra
beforeAll(async () => {
  entra = await startEntra()
})
afterAll(() => entra.close())

/** The daemon's token, as the daemon gets it: client credentials. */
async function fromEntra(): Promise<string> {
  const [, daemon] = entra.apps
  const response = await postForm(`${entra.url}/${entra.tenant.id}/oauth2/v2.0/token`, {
    grant_type: 'client_credentials',
    client_id: daemon?.clientId ?? '',
    client_secret: daemon?.secrets[0] ?? '',
    scope: `api://${entra.app.clientId}/.default`,
  })
  return ((await response.json()) as { access_token: string }).access_token
}

const minted = (options: object = {}) =>
  entra.mintAccessToken({ user: null, client: entra.apps[1]?.clientId ?? '', ...options })

/** `idtyp` is an optional claim: most registrations do not ask for it. */
const withoutIdtyp = () => minted({ claims: { idtyp: undefined } })

describe.each([
  { mode: 'in direct mode', direct: true },
  { mode: 'beside a proxy', direct: false },
])('an app $mode', ({ direct }) => {
  let host: DownstreamHost
  beforeAll(async () => {
    host = await startDownstreamHost({
      entra,
      direct,
      downstream: { graph: [userRead] },
      mount(app, auth) {
        const gate = requireBearer(auth)
        const done: express.RequestHandler = (req, res) => {
          const { tokenKind, user } = authOf(req).extra
          res.json({ tokenKind, user: user?.username ?? null, scopes: authOf(req).scopes })
        }
        app.get('/api/role', gate, scopeGuard({ roles: [readAll] }), done)
        app.get('/api/admin', gate, scopeGuard({ roles: 'Notes.Admin' }), done)
        app.get('/api/either', gate, scopeGuard({ scopes: 'notes.read', roles: [readAll] }), done)
        app.get('/api/scope', gate, scopeGuard('notes.read'), done)
        app.post(
          '/mcp',
          gate,
          scopeGuard({
            tools: {
              list_notes: { scopes: 'notes.read', roles: readAll },
              add_note: 'notes.write',
              audit: { roles: [readAll, 'Notes.Admin'] },
            },
          }),
          done,
        )
        app.get('/api/user', gate, (req, res) => {
          try {
            res.json(userOf(authOf(req)))
          } catch (error) {
            res.json({ thrown: String(error) })
          }
        })
        app.get('/api/credential', gate, (req, res) => {
          downstreamCredential(authOf(req))
            .getToken(userRead)
            .then(() => res.json({}))
            .catch((error: unknown) => res.json({ thrown: String(error) }))
        })
      },
    })
  })
  afterAll(() => host.close())

  const tool = (token: string, name: string) =>
    postJson(
      `${host.url}/mcp`,
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } },
      { authorization: `Bearer ${token}` },
    )

  it.each([
    ['issued by Entra, with idtyp', fromEntra],
    ['without idtyp', withoutIdtyp],
  ])('comes in by its role: a token %s', async (_which, tokenOf) => {
    const token = await tokenOf()
    for (const path of ['role', 'either']) {
      const response = await get(`${host.url}/api/${path}`, token)
      expect(response.status).toBe(200)
      expect(await response.json()).toEqual({ tokenKind: 'entra', user: null, scopes: [] })
    }
  })

  it('is refused where only a scope will do, and not challenged: no login brings an app a scope', async () => {
    const response = await get(`${host.url}/api/scope`, await fromEntra())
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toBeNull()
    expect(await response.json()).toEqual({
      error: 'access_denied',
      error_description: 'This needs the scope notes.read. An administrator assigns roles.',
    })
  })

  it('is refused another role than its own', async () => {
    const response = await get(`${host.url}/api/admin`, await fromEntra())
    expect(response.status).toBe(403)
    expect(await response.json()).toEqual({
      error: 'access_denied',
      error_description: 'This needs one of the roles Notes.Admin. An administrator assigns roles.',
    })
  })

  it('has a role for each tool, or has not', async () => {
    const token = await withoutIdtyp()
    expect((await tool(token, 'list_notes')).status).toBe(200)
    expect((await tool(token, 'audit')).status).toBe(200)
    expect((await tool(token, 'add_note')).status).toBe(403)
    expect((await tool(token, 'whatever')).status).toBe(200)
  })

  it('stays outside without any role: Entra issues such a token to every app of the tenant', async () => {
    for (const claims of [{}, { idtyp: 'app', roles: undefined }]) {
      const token = await minted({ roles: [], claims })
      const response = await get(`${host.url}/api/whoami`, token)
      expect(response.status).toBe(403)
      expect(await response.json()).toEqual({
        error: 'access_denied',
        error_description: 'The app has no role here.',
      })
    }
  })

  it('without role and without idtyp is nobody at all', async () => {
    const token = await minted({ roles: [], claims: { idtyp: undefined } })
    const response = await get(`${host.url}/api/whoami`, token)
    expect(response.status).toBe(401)
    expect(challengeParams(response)).toMatchObject({
      error: 'invalid_token',
      error_description:
        'The token grants no scope. Send an access token for a scope of this server, not an id token.',
    })
  })

  it('gets nothing on behalf of a user it has not, and hears why; Entra is not asked', async () => {
    const token = await fromEntra()
    entra.clearRequests()
    const response = await get(`${host.url}/api/graph`, token)
    expect(response.status).toBe(403)
    expect(await response.json()).toEqual({
      error: 'access_denied',
      error_description:
        'An app calls on its own behalf: there is no user to exchange a token for.',
    })
    expect(await (await get(`${host.url}/api/credential`, token)).json()).toEqual({
      thrown:
        'OAuthError: access_denied: An app calls on its own behalf: there is no user to exchange a token for.',
    })
    expect(await (await get(`${host.url}/api/user`, token)).json()).toEqual({
      thrown: 'TypeError: userOf: an app calls on its own behalf: there is no user',
    })
    expect(entra.requestsTo('token')).toEqual([])
  })

  it('leaves people their scopes and their roles', async () => {
    const [hers, his] = direct
      ? [await entra.mintAccessToken({ user: ada }), await entra.mintAccessToken({ user: bob })]
      : [
          (await login(host.url, { user: ada })).access_token,
          (await login(host.url, { user: bob })).access_token,
        ]
    expect((await get(`${host.url}/api/admin`, hers)).status).toBe(200)
    expect((await get(`${host.url}/api/either`, his)).status).toBe(200)
    expect((await tool(hers, 'audit')).status).toBe(200)
    // A role that a user lacks is no scope to step up to.
    for (const refused of [await get(`${host.url}/api/admin`, his), await tool(his, 'audit')]) {
      expect(refused.status).toBe(403)
      expect(challengeParams(refused)).toEqual({})
    }
  })
})

describe('a token that pretends', () => {
  it('to have the scope of a user is an app all the same when idtyp says so', async () => {
    const host = await startDownstreamHost({ entra, direct: true })
    try {
      const odd = await minted({ claims: { idtyp: 'app', scp: 'notes.read', roles: [readAll] } })
      const { user, tokenKind } = (await (await get(`${host.url}/api/whoami`, odd)).json()) as {
        user?: unknown
        tokenKind: string
      }
      expect([user, tokenKind]).toEqual([undefined, 'entra'])
      expect((await get(`${host.url}/api/graph`, odd)).status).toBe(403)
    } finally {
      await host.close()
    }
  })
})
