/**
 * A user for whom another identity provider has vouched, and a tool that needs Entra: the user can sign in there for the
 * login at hand, and it becomes no more than it was but for the downstream access.
 */
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import type { Express } from 'express'
import {
  authOf,
  type EntraAuth,
  entraScopes,
  listGrants,
  requireBearer,
  tokenClaim,
} from 'mcp-entra'
import {
  type AssertionWorld,
  aimAt,
  presentNew,
  startAssertionWorld,
} from '../support/assertion-flow.js'
import { userRead } from '../support/auth-options.js'
import { startGate, type TestGate } from '../support/gate.js'
import type { Entra } from '../support/host.js'
import {
  askedUrl,
  callProfile,
  initialize,
  modernMeta,
  mountProfile,
} from '../support/in-session.js'
import { ada, bob, login, newBrowser, register, type Tokens } from '../support/oauth-client.js'
import { jsonOf, startTestEntra } from '../support/proxy.js'

let entra: Entra
let world: AssertionWorld
let gate: TestGate
let allow: () => boolean = () => true
beforeAll(async () => {
  entra = await startTestEntra()
  world = await startAssertionWorld({ tid: entra.tenant.id, oid: ada })
  const mapUser = ({ tid, oid }: Record<string, unknown>) => ({
    tid: String(tid),
    oid: String(oid),
    roles: ['Notes.Mapped'],
  })
  gate = await startGate(entra, {
    mount: mountWithWho,
    options: {
      allow: () => allow(),
      scopes: entraScopes({
        clientId: entra.app.clientId,
        required: ['notes.read'],
        optional: ['notes.write'],
        additional: [userRead],
      }),
      connectedApps: true,
      identityAssertions: [{ issuer: world.idp.url, mapUser }],
    },
  })
  await aimAt(world, gate.url)
})
afterAll(() => gate.close())
afterEach(() => {
  allow = () => true
  entra.clearFaults()
})

function mountWithWho(app: Express, auth: EntraAuth): void {
  mountProfile(app, auth)
  app.get('/who', requireBearer(auth), (req, res) => {
    const { scopes, extra } = authOf(req)
    res.json({ scopes, roles: extra.user?.roles, iss: tokenClaim(authOf(req), 'iss') })
  })
}

/** A token on the provider's word, of a client that can show URLs. */
async function letIn(scope = 'notes.read'): Promise<string> {
  const response = await presentNew(gate.url, world, { claims: { scope } })
  const { access_token } = await jsonOf<Tokens>(response)
  await initialize(gate.url, access_token)
  return access_token
}

async function browserOf(user: string) {
  const browser = newBrowser()
  await login(gate.url, { user, browser })
  return browser
}

const who = async (token: string) =>
  jsonOf(await fetch(`${gate.url}/who`, { headers: { authorization: `Bearer ${token}` } }))

it('is asked to sign in, and then the same call works', async () => {
  const token = await letIn()
  const url = await askedUrl(gate, token)
  expect((await (await browserOf(ada)).open(url)).status).toBe(200)
  const called = await callProfile(gate.url, token)
  expect([called.status, await called.json()]).toMatchObject([200, { result: { called: {} } }])
})

it('is asked in the words of 2026-07-28 as well, and for a sign-in alone', async () => {
  const token = await letIn()
  const response = await callProfile(gate.url, token, modernMeta())
  expect(JSON.stringify(await response.json())).toContain('your own sign-in at Microsoft')
})

it('may do no more at this server afterwards than the provider has said', async () => {
  const token = await letIn()
  const before = await who(token)
  expect(before).toEqual({ scopes: ['notes.read'], roles: ['Notes.Mapped'], iss: world.idp.url })
  await (await browserOf(ada)).open(await askedUrl(gate, token))
  expect((await callProfile(gate.url, token)).status).toBe(200)
  expect(await who(token)).toEqual(before)
})

it('shows as downstream access among the connected apps from then on', async () => {
  world.clientId = await register(gate.url, { client_name: 'Vouched for' })
  const token = await letIn()
  const downstream = async () => {
    const apps = await listGrants(gate.auth, { tid: entra.tenant.id, oid: ada })
    return apps.find(({ name }) => name === 'Vouched for')?.downstream
  }
  expect(await downstream()).toEqual([])
  await (await browserOf(ada)).open(await askedUrl(gate, token))
  expect(await downstream()).toEqual([userRead])
})

it('cannot be signed in for by anybody else', async () => {
  const token = await letIn()
  const url = await askedUrl(gate, token)
  expect((await (await browserOf(bob)).open(url)).status).toBe(403)
  expect(await askedUrl(gate, token)).toContain('/auth/interaction')
})

it('loses the login when the policy refuses them at the sign-in', async () => {
  const token = await letIn()
  const url = await askedUrl(gate, token)
  const browser = await browserOf(ada)
  allow = () => false
  expect((await browser.open(url)).status).toBe(403)
  gate.clock.advance(2)
  expect((await callProfile(gate.url, token)).status).toBe(401)
})

it('hears it in words where the client cannot show a URL', async () => {
  const { access_token } = await jsonOf<Tokens>(await presentNew(gate.url, world))
  const refused = await callProfile(gate.url, access_token)
  expect([refused.status, await refused.json()]).toMatchObject([403, { error: 'access_denied' }])
})

it('is an outage while the store is away, and no refusal', async () => {
  const token = await letIn()
  await who(token)
  gate.store.down = true
  const response = await callProfile(gate.url, token)
  gate.store.down = false
  expect(response.status).toBe(503)
})
