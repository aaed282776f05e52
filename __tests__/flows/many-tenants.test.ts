/** One server for several tenants: whose users may come in, and that nobody is taken for their twin in another tenant. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { decodeJwt } from 'jose'
import {
  authOf,
  downstreamToken,
  type EntraAuth,
  type LoginEvent,
  listGrants,
  memoryStorage,
  oboToken,
  requireBearer,
  revokeTenant,
  revokeUser,
} from 'mcp-entra'
import { Browser } from '../../examples/demo/browser.js'
import { formWith, openApps, signInAtAccount, startAccountProxy } from '../support/account.js'
import { userRead } from '../support/auth-options.js'
import type { Entra } from '../support/host.js'
import { navigate } from '../support/navigation.js'
import {
  authorizeUrl,
  getNotes,
  login,
  pkce,
  refresh,
  register,
  type Tokens,
} from '../support/oauth-client.js'
import {
  clientAnswer,
  expectRefusal,
  hear,
  jsonOf,
  signInAtEntra,
  startTestEntra,
  testClock,
} from '../support/proxy.js'

const contoso = 'c0a70500-0000-4000-8000-00000000c050'
const fabrikam = 'fab21ca0-0000-4000-8000-0000000fab21'
const stranger = '57a06e20-0000-4000-8000-000000000bad'
/** Object ids are unique in a tenant only. */
const oid = '0000ada0-0000-4000-8000-000000000001'
const ada = 'ada@contoso.example'
const frida = 'frida@fabrikam.example'
const mallory = 'mallory@stranger.example'

let entra: Entra
let url: string
let auth: EntraAuth
const clock = testClock()

beforeAll(async () => {
  entra = await startTestEntra({
    tenants: [
      { id: contoso, domain: 'contoso.example', users: [{ oid, username: ada, name: 'Ada' }] },
      {
        id: fabrikam,
        domain: 'fabrikam.example',
        users: [{ oid, username: frida, name: 'Frida' }],
      },
      { id: stranger, users: [{ oid, username: mallory, name: 'Mallory' }] },
    ],
    apps: [
      {
        clientId: 'a9900001-0000-4000-8000-0000000000e5',
        tenantId: contoso,
        multiTenant: true,
        secrets: ['notes-mcp-secret'],
        redirectUris: ['http://localhost/auth/callback'],
        scopes: ['notes.read', 'notes.write'],
        consented: [userRead],
      },
    ],
  })
  const proxy = await startAccountProxy(entra, {
    tenantId: 'organizations',
    allowedTenants: [contoso, fabrikam],
    rememberUnverified: true,
    storage: memoryStorage({ now: clock.now }),
    now: clock.now,
    mount(app, made) {
      auth = made
      app.get(
        '/graph-token',
        requireBearer(made),
        oboToken(made, { graph: { scopes: [userRead] } }),
        (req, res, next) => {
          const token = downstreamToken(authOf(req), 'graph')
          token.then((jwt) => res.json(decodeJwt(jwt))).catch(next)
        },
      )
    },
  })
  url = proxy.url
})

async function downstream({ access_token }: Tokens): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${access_token}` }
  return jsonOf(await fetch(`${url}/graph-token`, { headers }))
}

const statusOf = async ({ access_token }: Tokens) => (await getNotes(url, access_token)).status
const names = async (tid: string) => (await listGrants(auth, { tid, oid })).map(({ name }) => name)

async function connectClient(user: string, name: string) {
  const clientId = await register(url, { client_name: name })
  return login(url, { user, clientId })
}

describe('a server for two tenants', () => {
  it('serves the users of both, and acts for each in their own tenant', async () => {
    for (const [user, tid] of [
      [ada, contoso],
      [frida, fabrikam],
    ] as const) {
      const first = await connectClient(user, `Client of ${user}`)
      expect(await downstream(first)).toMatchObject({ tid, oid, upn: user })
      const answer = await refresh(url, first)
      expect(answer.status).toBe(200)
      const next = await jsonOf<Tokens>(answer)
      expect(await downstream(next)).toMatchObject({ tid, oid, upn: user })
    }
  })

  it('tells the client of a user of a third tenant that they may not, and begins nothing', async () => {
    const { browser, callback } = await signInAtEntra(url, { params: { login_hint: mallory } })
    const answer = clientAnswer(await browser.fetchOnce(callback))
    expect(answer).toMatchObject({ error: 'access_denied' })
    expect(answer).not.toHaveProperty('code')
    const signIn = await signInAtAccount(url, mallory)
    const page = await signIn.browser.fetchOnce(signIn.callback)
    expect([page.status, page.headers.get('location')]).toEqual([403, null])
    expect(await names(stranger)).toEqual([])
  })
})

describe('two users with one object id', () => {
  it('see their own apps, and end nothing of the other', async () => {
    const ofAda = await connectClient(ada, 'Ada’s editor')
    const ofFrida = await connectClient(frida, 'Frida’s editor')
    const { page } = await openApps(url, ada)
    expect(page.html).toContain('Ada’s editor')
    expect(page.html).not.toContain('Frida')
    const { browser, page: other } = await openApps(url, frida)
    expect(other.html).toContain('Frida’s editor')
    expect(other.html).not.toContain('Ada')
    // Nor with the id of the other's app in a form of their own.
    const [, entry] = formWith(page, 'app')
    const [target, form] = formWith(other, 'app')
    const foreign = new URLSearchParams(String(form.body))
    foreign.set('app', new URLSearchParams(String(entry.body)).get('app') ?? '')
    expect((await browser.fetchOnce(target, { ...form, body: foreign })).status).toBe(303)
    await browser.fetchOnce(...formWith(other, 'app', 'all'))
    clock.advance(1)
    expect(await statusOf(ofFrida)).toBe(401)
    expect(await statusOf(ofAda)).toBe(200)
    await expectRefusal(await refresh(url, ofFrida), 'invalid_grant')
    expect((await refresh(url, ofAda)).status).toBe(200)
  })

  it('lose access each for themselves, and with their tenant', async () => {
    const ends = [
      () => revokeUser(auth, { tid: fabrikam, oid }),
      () => revokeTenant(auth, fabrikam),
      () => revokeUser(auth, { tid: fabrikam.toUpperCase(), oid: oid.toUpperCase() }),
    ]
    for (const end of ends) {
      const ofAda = await connectClient(ada, 'Editor')
      const ofFrida = await connectClient(frida, 'Editor')
      await end()
      clock.advance(1)
      expect([await statusOf(ofAda), await statusOf(ofFrida)]).toEqual([200, 401])
      expect(await names(contoso)).toContain('Editor')
      expect(await names(fabrikam)).toEqual([])
      clock.advance(1)
    }
  })

  it('do not spare each other the consent page', async () => {
    const web = 'https://client.example/cb'
    const clientId = await register(url, { client_name: 'Web', redirect_uris: [web] })
    const browser = new Browser({ stopAt: (to) => to.startsWith(web) })
    const ask = async (user: string) => {
      const params = { redirect_uri: web, login_hint: user }
      return navigate(browser, authorizeUrl(url, clientId, pkce().challenge, params))
    }
    const logins = hear('mcp-entra:login') as LoginEvent[]
    const page = await ask(ada)
    expect(page.html).toContain('value="approve"')
    const upstream = await browser.press(page, 'approve')
    expect(upstream.url).toMatch(/^https:\/\/client\.example\/cb\?code=/)
    // Ada's browser, her session and her consent; at Entra, Frida takes over.
    const spared = await ask(frida)
    expect(spared.status).toBe(302)
    const shown = await browser.open(spared.headers.get('location') ?? '')
    expect(shown.html).toContain('value="approve"')
    expect(logins.map(({ outcome }) => outcome)).toEqual(['success', 'consent_required'])
  })
})
