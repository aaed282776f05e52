/** Ending access from the application's own code, on two replicas, through the admin routes of the reference host. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  authOf,
  downstreamToken,
  type EntraAuth,
  type EntraAuthOptions,
  listGrants,
  memoryStorage,
  oboToken,
  requireBearer,
  revokeUser,
} from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { aimAt, presentNew, startAssertionWorld } from '../support/assertion-flow.js'
import { userRead } from '../support/auth-options.js'
import { type Entra, startHost, type TestHost } from '../support/host.js'
import {
  ada,
  bob,
  callMcp,
  getNotes,
  type LoginOptions,
  login,
  postForm,
  redeem,
  refresh,
  register,
  type Tokens,
} from '../support/oauth-client.js'
import {
  clientAnswer,
  expectRefusal,
  jsonOf,
  signInAtEntra,
  startProxy,
  testClock,
} from '../support/proxy.js'

let entra: Entra
let hosts: TestHost[]
let url: string
let other: string
beforeAll(async () => {
  entra = await startEntra()
  const storage = memoryStorage()
  const first = await startHost(entra, { storage })
  const second = await startHost(entra, { storage, settings: { baseUrl: first.url } })
  hosts = [first, second]
  url = first.url
  other = second.url
})
afterAll(async () => {
  await Promise.all(hosts.map((host) => host.close()))
  await entra.close()
})

const tid = () => entra.tenant.id
const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
const administrator = (options: object = {}) =>
  entra.mintAccessToken({ user: ada, claims: { roles: ['Mcp.Admin'] }, ...options })

const end = async (path: string, token = administrator()) =>
  fetch(`${url}/admin/${path}`, { method: 'DELETE', ...bearer(await token) })
const apps = async (oid: string) => {
  const response = await fetch(
    `${url}/admin/users/${tid()}/${oid}/apps`,
    bearer(await administrator()),
  )
  expect(response.status).toBe(200)
  return ((await response.json()) as { apps: { id: string; name?: string; logins: number }[] }).apps
}
const second = () => new Promise((resolve) => setTimeout(resolve, 1000))

/** A login that both replicas have seen at work. */
async function busyLogin(options: LoginOptions = {}) {
  const tokens = await login(url, options)
  for (const host of [url, other])
    expect((await getNotes(host, tokens.access_token)).status).toBe(200)
  return tokens
}

type Login = Awaited<ReturnType<typeof busyLogin>>

async function expectEnded(tokens: Login): Promise<void> {
  for (const host of [url, other]) {
    const refused = await getNotes(host, tokens.access_token)
    expect(refused.status).toBe(401)
    expect(refused.headers.get('www-authenticate')).toContain('error="invalid_token"')
    expect(
      (await callMcp(host, tokens.access_token, 'tools/call', { name: 'my_profile' })).status,
    ).toBe(401)
    const answer = await refresh(host, tokens)
    expect([answer.status, ((await answer.json()) as { error: string }).error]).toEqual([
      400,
      'invalid_grant',
    ])
  }
}

async function expectGoesOn(tokens: Login): Promise<void> {
  for (const host of [url, other])
    expect((await getNotes(host, tokens.access_token)).status).toBe(200)
}

describe('ending the access of a user', () => {
  it('ends every login of the user on every replica within a second, and none of another user', async () => {
    const mine = [await busyLogin({ user: bob }), await busyLogin({ user: bob })]
    const theirs = await busyLogin({ user: ada })
    const before = await apps(bob)
    expect(before.length).toBeGreaterThan(0)
    expect((await end(`users/${tid()}/${bob}`)).status).toBe(204)
    await second()
    for (const tokens of mine) await expectEnded(tokens)
    await expectGoesOn(theirs)
    expect(await apps(bob)).toEqual([])
  })

  it('leaves alone what begins at once afterwards, and may be said again', async () => {
    expect((await end(`users/${tid()}/${bob}`)).status).toBe(204)
    const tokens = await busyLogin({ user: bob })
    await second()
    await expectGoesOn(tokens)
    expect((await refresh(other, tokens)).status).toBe(200)
    expect((await end(`users/${tid()}/${bob}`)).status).toBe(204)
    expect((await end(`users/${tid()}/${bob}`)).status).toBe(204)
    await second()
    await expectEnded(tokens)
  })

  it('reads the ids in any case, as the portal shows them', async () => {
    const tokens = await busyLogin({ user: bob })
    expect((await end(`users/${tid().toUpperCase()}/${bob.toUpperCase()}`)).status).toBe(204)
    await second()
    await expectEnded(tokens)
  })
})

describe('ending the access of a client', () => {
  it('ends its logins for all users; the client stays registered', async () => {
    const clientId = await register(url, { client_name: 'Lost laptop' })
    const ended = [
      await busyLogin({ clientId, user: ada }),
      await busyLogin({ clientId, user: bob }),
    ]
    const goesOn = await busyLogin({ user: ada })
    expect((await end(`clients/${encodeURIComponent(clientId)}`)).status).toBe(204)
    await second()
    for (const tokens of ended) await expectEnded(tokens)
    await expectGoesOn(goesOn)
    await expectGoesOn(await busyLogin({ clientId, user: ada }))
  })
})

describe('ending the access of a tenant', () => {
  it('ends the logins of all its users, and none of another tenant', async () => {
    const tokens = await busyLogin()
    const elsewhere = 'fab21ca0-0000-4000-8000-0000000fab21'
    expect((await end(`tenants/${elsewhere}`)).status).toBe(204)
    await second()
    await expectGoesOn(tokens)
    expect((await end(`tenants/${tid()}`)).status).toBe(204)
    await second()
    await expectEnded(tokens)
  })
})

describe('the admin routes', () => {
  it('take the role from a person and from an app, and from nobody else', async () => {
    const app = entra.mintAccessToken({
      user: null,
      client: entra.apps[1]?.clientId ?? '',
      claims: { roles: ['Mcp.Admin'] },
    })
    expect((await end(`users/${tid()}/${bob}`, app)).status).toBe(204)
    const without = await entra.mintAccessToken({ user: ada })
    for (const path of [`users/${tid()}/${bob}`, 'clients/x', `tenants/${tid()}`]) {
      expect((await end(path, Promise.resolve(without))).status).toBe(403)
      expect((await fetch(`${url}/admin/${path}`, { method: 'DELETE' })).status).toBe(401)
    }
    const list = `${url}/admin/users/${tid()}/${bob}/apps`
    expect((await fetch(list, bearer(without))).status).toBe(403)
  })

  it('say what is wrong with an id', async () => {
    const answer = await end('users/contoso.example/bob')
    expect(answer.status).toBe(400)
    expect(await answer.json()).toEqual({
      error: 'invalid_request',
      error_description: 'revokeUser: tid must be a GUID',
    })
    expect((await end('tenants/common')).status).toBe(400)
  })

  it('answer 503 while the store is away: nothing is certain to have ended', async () => {
    const away = async () => {
      throw new Error('ECONNREFUSED')
    }
    const storage = { get: away, set: away, add: away, take: away }
    const host = await startHost(entra, { storage })
    const headers = { authorization: `Bearer ${await administrator()}` }
    const requests = [
      ['DELETE', `users/${tid()}/${bob}`],
      ['DELETE', 'clients/x'],
      ['DELETE', `tenants/${tid()}`],
      ['GET', `users/${tid()}/${bob}/apps`],
    ]
    for (const [method = '', path] of requests) {
      const answer = await fetch(`${host.url}/admin/${path}`, { method, headers })
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
      expect(await answer.json()).toMatchObject({ error: 'temporarily_unavailable' })
    }
    await host.close()
  })

  it('list the apps of a user: name, host, scopes, uses, logins', async () => {
    const clientId = await register(url, { client_name: 'Two logins' })
    await login(url, { clientId, user: bob })
    await login(url, { clientId, user: bob })
    const listed = (await apps(bob)).find(({ name }) => name === 'Two logins')
    expect(listed).toMatchObject({
      logins: 2,
      verified: false,
      scopes: ['notes.read'],
      downstream: ['https://graph.microsoft.com/User.Read'],
    })
  })
})

async function startWith(options: Partial<EntraAuthOptions>) {
  let auth: EntraAuth | undefined
  const proxy = await startProxy(entra, {
    ...options,
    mount(_app, made) {
      auth = made
    },
  })
  if (!auth) throw new Error('nothing was mounted')
  return { auth, url: proxy.url }
}
const user = () => ({ tid: tid(), oid: bob })

describe('ending access while the login policy is being asked', () => {
  const clock = testClock()
  let whileAsked: (() => Promise<void>) | undefined
  const startSlow = () =>
    startWith({
      now: clock.now,
      storage: memoryStorage({ now: clock.now }),
      lifetimes: { grant: 7200, consent: 7200 },
      async allow() {
        const act = whileAsked
        whileAsked = undefined
        await act?.()
        return true
      },
    })

  it('ends the login: what was said of its user before no longer counts', async () => {
    const server = await startSlow()
    const params = { login_hint: bob }
    const signIn = await signInAtEntra(server.url, { params })
    whileAsked = async () => {
      clock.advance(0.1)
      await revokeUser(server.auth, user())
      clock.advance(0.1)
    }
    const { code = '' } = clientAnswer(await signIn.browser.fetchOnce(signIn.callback))
    await expectRefusal(await redeem(server.url, { ...signIn, code }), 'invalid_grant')
    const again = await login(server.url, { user: bob })
    expect((await getNotes(server.url, again.access_token)).status).toBe(200)
  })

  it('ends a login that an identity provider vouches for, whose clock is ahead', async () => {
    const world = await startAssertionWorld({ sub: 'bob' })
    let whileMapped = async () => {}
    const server = await startWith({
      now: clock.now,
      identityAssertions: [
        {
          issuer: world.idp.url,
          async mapUser() {
            await whileMapped()
            return user()
          },
        },
      ],
    })
    await aimAt(world, server.url)
    whileMapped = async () => {
      clock.advance(0.1)
      await revokeUser(server.auth, user())
      clock.advance(0.1)
    }
    const iat = Math.floor(clock.now() / 1000) + 10
    await expectRefusal(await presentNew(server.url, world, { claims: { iat } }), 'invalid_grant')
    whileMapped = async () => {}
    const again = await presentNew(server.url, world, { claims: { iat } })
    expect(again.status).toBe(200)
  })

  it('ends a login that is being refreshed, for as long as its record is kept', async () => {
    const server = await startSlow()
    const before = await login(server.url, { user: bob })
    whileAsked = async () => {
      clock.advance(0.1)
      await revokeUser(server.auth, user())
      clock.advance(30)
    }
    const answer = await jsonOf<Tokens>(await refresh(server.url, before))
    const after = { ...before, ...answer }
    expect((await getNotes(server.url, after.access_token)).status).toBe(401)
    // The record that the refresh has written back ends half a minute later than one from the cut-off would.
    clock.advance(7200 - 15)
    await expectRefusal(await refresh(server.url, after), 'invalid_grant')
  })
})

describe('ending access while a call is running', () => {
  it('ends the exchange on behalf of the user, on another replica within a second', async () => {
    const clock = testClock()
    const storage = memoryStorage({ now: clock.now })
    const events = { reached: () => {}, goOn: Promise.resolve(), done: (_seen: object) => {} }
    const first = await startProxy(entra, {
      now: clock.now,
      storage,
      mount(app, auth) {
        app.get(
          '/slow',
          requireBearer(auth),
          oboToken(auth, { graph: { scopes: [userRead] } }),
          (req, res) => {
            const answer = async () => {
              const had = await downstreamToken(authOf(req), 'graph')
              events.reached()
              await events.goOn
              const has = await downstreamToken(authOf(req), 'graph').catch((error) => error.code)
              events.done({ had: had !== '', has: has === had ? 'the same' : has })
              res.end()
            }
            answer().catch((error) => events.done({ error: String(error) }))
          },
        )
      },
    })
    let other: EntraAuth | undefined
    await startProxy(entra, {
      now: clock.now,
      storage,
      baseUrl: first.url,
      mount(_app, made) {
        other = made
      },
    })
    let tokens = await login(first.url, { user: bob })
    const callWhile = async (act: () => Promise<void>) => {
      const reached = new Promise<void>((resolve) => {
        events.reached = resolve
      })
      let goOn = () => {}
      events.goOn = new Promise((resolve) => {
        goOn = resolve
      })
      // Of the tool, not of the answer: where the machine is slow, that is cut off.
      const seen = new Promise((resolve) => {
        events.done = resolve
      })
      const answer = fetch(`${first.url}/slow`, bearer(tokens.access_token))
      await reached
      await act()
      goOn()
      await answer.catch(() => undefined)
      return seen
    }
    expect(await callWhile(async () => clock.advance(2))).toEqual({ had: true, has: 'the same' })
    const ended = await callWhile(async () => {
      if (other) await revokeUser(other, user())
      clock.advance(1)
    })
    expect(ended).toEqual({ had: true, has: 'invalid_token' })
    tokens = await login(first.url, { user: bob })
    const revoked = await callWhile(async () => {
      const { access_token: token, clientId: client_id } = tokens
      expect((await postForm(`${first.url}/revoke`, { token, client_id })).status).toBe(200)
    })
    expect(revoked).toEqual({ had: true, has: 'invalid_token' })
  })
})

describe('the list of apps without account routes', () => {
  it('is kept where the operator wants it', async () => {
    const server = await startWith({ connectedApps: true })
    const clientId = await register(server.url, { client_name: 'Kept' })
    await login(server.url, { clientId, user: bob })
    expect(await listGrants(server.auth, user())).toMatchObject([{ name: 'Kept', logins: 1 }])
  })

  it('is not kept otherwise, and says what to do; ending access works all the same', async () => {
    const server = await startWith({})
    await expect(listGrants(server.auth, user())).rejects.toThrow(
      'listGrants: no list of apps is kept: mount accountRoutes, or say connectedApps: true in entraAuth',
    )
    const tokens = await login(server.url, { user: bob })
    await revokeUser(server.auth, user())
    expect((await getNotes(server.url, tokens.access_token)).status).toBe(401)
    expect((await refresh(server.url, tokens)).status).toBe(400)
  })
})
