/** Refreshing: Entra is asked once, all callers get the same answer, and reuse revokes the login. */
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { memoryStorage, type Storage } from 'mcp-entra'
import type { MintAccessTokenOptions } from 'mcp-entra/testing'
import { type Entra, testKeys } from '../support/host.js'
import {
  ada,
  addNote,
  bob,
  getNotes,
  login,
  postForm,
  refresh,
  register,
  type Tokens,
} from '../support/oauth-client.js'
import {
  expectRefusal,
  hear,
  jsonOf,
  startProxy,
  startTestEntra,
  type TestProxy,
  testClock,
} from '../support/proxy.js'

let entra: Entra
let proxy: TestProxy
const clock = testClock()
beforeAll(async () => {
  entra = await startTestEntra()
  proxy = await startProxy(entra, {
    now: clock.now,
    storage: memoryStorage({ now: clock.now }),
    resources: ['/mcp', '/other'],
  })
})
afterEach(() => entra.clearFaults())

type Session = Tokens & { clientId: string }

async function refreshed(
  session: Session,
  more: Record<string, string> = {},
  url = proxy.url,
): Promise<Session> {
  const response = await refresh(url, session, more)
  const body = await jsonOf<Tokens>(response)
  if (response.status !== 200) throw new Error(JSON.stringify(body))
  return { ...body, clientId: session.clientId }
}

const upstreamRefreshes = () =>
  entra.requestsTo('token').filter(({ grantType }) => grantType === 'refresh_token')

describe('a refresh', () => {
  it('rotates both tokens, and the old access token stays valid until it expires', async () => {
    const session = await login(proxy.url, { scope: 'notes.read notes.write' })
    const next = await refreshed(session)
    expect({ ...next, clientId: '' }).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'notes.read notes.write',
      refresh_token: expect.stringMatching(/^[\w-]{80,200}$/),
      clientId: '',
    })
    expect(next.access_token).not.toBe(session.access_token)
    expect(next.refresh_token).not.toBe(session.refresh_token)
    for (const { access_token } of [session, next]) {
      expect((await getNotes(proxy.url, access_token)).status).toBe(200)
    }
  })

  it('asks Entra each time for what was requested at login', async () => {
    let session = await login(proxy.url)
    entra.clearRequests()
    for (let i = 0; i < 5; i++) session = await refreshed(session)
    const scopes = upstreamRefreshes().map(({ params }) => params.scope?.split(' ').sort())
    expect(scopes).toEqual(
      Array.from({ length: 5 }, () => [
        `api://${entra.app.clientId}/notes.read`,
        'offline_access',
        'openid',
        'profile',
      ]),
    )
    for (const { params } of upstreamRefreshes()) expect(params).not.toHaveProperty('resource')
    expect(session.scope).toBe('notes.read')
  })

  it('keeps the sub of a user, and gives each user another one', async () => {
    const sub = ({ access_token }: Tokens) =>
      JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString()).sub
    const session = await login(proxy.url)
    expect(sub(await refreshed(session))).toBe(sub(session))
    expect(sub(await login(proxy.url, { user: bob }))).not.toBe(sub(session))
  })
})

describe('many at once', () => {
  it('20 callers with one token get one identical answer, and Entra is asked once', async () => {
    const session = await login(proxy.url)
    entra.clearRequests()
    const remove = entra.fault({ at: 'token', delay: 0.2 })
    const responses = await Promise.all(
      Array.from({ length: 20 }, () => refresh(proxy.url, session)),
    )
    remove()
    const bodies = await Promise.all(responses.map((response) => response.text()))
    expect(responses.map(({ status }) => status)).toEqual(bodies.map(() => 200))
    expect(new Set(bodies).size).toBe(1)
    expect(entra.requestsTo('token')).toHaveLength(1)
    const next = JSON.parse(bodies[0] ?? '') as Tokens
    expect((await getNotes(proxy.url, next.access_token)).status).toBe(200)
    await refreshed({ ...next, clientId: session.clientId })
  })

  it('the same over two replicas that share a store', async () => {
    const storage = memoryStorage()
    const one = await startProxy(entra, { storage })
    const two = await startProxy(entra, { storage, baseUrl: one.url })
    const session = await login(one.url)
    entra.clearRequests()
    // While one replica waits for Entra, the other has to wait for that replica.
    const remove = entra.fault({ at: 'token', delay: 0.2 })
    const responses = await Promise.all(
      Array.from({ length: 20 }, (_, i) => refresh(i % 2 ? one.address : two.address, session)),
    )
    remove()
    const bodies = await Promise.all(responses.map((response) => response.text()))
    expect(responses.map(({ status }) => status)).toEqual(bodies.map(() => 200))
    expect(new Set(bodies).size).toBe(1)
    expect(entra.requestsTo('token')).toHaveLength(1)
    const next = { ...(JSON.parse(bodies[0] ?? '') as Tokens), clientId: session.clientId }
    expect((await getNotes(two.address, next.access_token)).status).toBe(200)
    await refreshed(next, {}, two.address)
  })

  it('when Entra is out of reach all 20 get 503, and the token still works afterwards', async () => {
    const session = await login(proxy.url)
    const remove = entra.fault({ at: 'token', grant: 'refresh_token', status: 503, delay: 0.2 })
    entra.clearRequests()
    const responses = await Promise.all(
      Array.from({ length: 20 }, () => refresh(proxy.url, session)),
    )
    remove()
    // One request for all 20 callers, and its one retry.
    expect(upstreamRefreshes()).toHaveLength(2)
    for (const response of responses) {
      expect(response.headers.get('retry-after')).toMatch(/^\d+$/)
      await expectRefusal(response, 'temporarily_unavailable', 503)
    }
    await refreshed(session)
  })
})

describe('the same token again', () => {
  it('within the grace gets the same answer, byte for byte, without asking Entra', async () => {
    const session = await login(proxy.url)
    const first = await (await refresh(proxy.url, session)).text()
    entra.clearRequests()
    clock.advance(40)
    expect(await (await refresh(proxy.url, session)).text()).toBe(first)
    expect(entra.requests).toEqual([])
  })

  it('after the grace ends the grant, everywhere, and the operator hears of it', async () => {
    const session = await login(proxy.url)
    const next = await refreshed(session)
    expect((await getNotes(proxy.url, next.access_token)).status).toBe(200)
    clock.advance(61)
    const revocations = hear('mcp-entra:revocation')
    await expectRefusal(await refresh(proxy.url, session), 'invalid_grant')
    expect(revocations).toMatchObject([{ reason: 'refresh_token_reused', user: { oid: ada } }])
    clock.advance(1)
    expect((await getNotes(proxy.url, next.access_token)).status).toBe(401)
    await expectRefusal(await refresh(proxy.url, next), 'invalid_grant')
  })

  it('with a grace of 0 ends the grant at once', async () => {
    const strict = await startProxy(entra, { lifetimes: { refreshGrace: 0 } })
    const session = await login(strict.url)
    const next = await refreshed(session, {}, strict.url)
    await expectRefusal(await refresh(strict.url, session), 'invalid_grant')
    await expectRefusal(await refresh(strict.url, next), 'invalid_grant')
  })

  it('after many rotations still ends the grant: a stolen old token is useless', async () => {
    const first = await login(proxy.url)
    let session = await refreshed(first)
    session = await refreshed(session)
    clock.advance(61)
    await expectRefusal(await refresh(proxy.url, first), 'invalid_grant')
    await expectRefusal(await refresh(proxy.url, session), 'invalid_grant')
  })
})

describe('a refresh that is refused', () => {
  it.each<[string, Record<string, string>, string]>([
    ['an unknown token', { refresh_token: 'unknown' }, 'invalid_grant'],
    ['no token', { refresh_token: '' }, 'invalid_request'],
    ['more scopes', { scope: 'notes.read notes.write' }, 'invalid_scope'],
    ['unknown scopes', { scope: 'notes.delete' }, 'invalid_scope'],
    ['a foreign resource', { resource: 'https://other.example/mcp' }, 'invalid_target'],
    ['another resource of ours', { resource: '/other' }, 'invalid_target'],
  ])('for %s leaves the token valid', async (_what, more, error) => {
    const session = await login(proxy.url)
    entra.clearRequests()
    const given = more.resource?.startsWith('/') ? { resource: proxy.url + more.resource } : more
    await expectRefusal(await refresh(proxy.url, session, given), error)
    expect(entra.requests).toEqual([])
    await refreshed(session, { resource: `${proxy.url}/mcp/` })
  })

  it('for another client, or with an access token instead, leaves it valid too', async () => {
    const session = await login(proxy.url)
    const clientId = await register(proxy.url)
    await expectRefusal(await refresh(proxy.url, { ...session, clientId }), 'invalid_grant')
    const confused = { ...session, refresh_token: session.access_token }
    await expectRefusal(await refresh(proxy.url, confused), 'invalid_grant')
    await refreshed(session)
  })

  it('for an unknown client is 401 before the token is checked', async () => {
    const { refresh_token } = await login(proxy.url)
    const response = await refresh(proxy.url, { refresh_token, clientId: 'unknown' })
    await expectRefusal(response, 'invalid_client', 401)
  })

  it("once Entra has ended the login ends ours, and shows none of Entra's words", async () => {
    const session = await login(proxy.url, { user: bob })
    entra.revokeUser(bob)
    proxy.logs.length = 0
    const response = await refresh(proxy.url, session)
    expect(response.status).toBe(400)
    expect(await response.text()).not.toMatch(/AADSTS|50173|Trace/)
    expect(proxy.logs).toContainEqual(
      expect.objectContaining({ codes: [50173], correlationId: expect.any(String) }),
    )
    clock.advance(1)
    expect((await getNotes(proxy.url, session.access_token)).status).toBe(401)
  })

  it('for a wrong credential of ours is 503, an error in the log, and leaves the token valid', async () => {
    const session = await login(proxy.url)
    const remove = entra.fault({ at: 'token', grant: 'refresh_token', error: 7000222 })
    proxy.logs.length = 0
    await expectRefusal(await refresh(proxy.url, session), 'temporarily_unavailable', 503)
    remove()
    expect(proxy.logs).toContainEqual(
      expect.objectContaining({
        message: 'mcp-entra: failure',
        codes: [7000222],
        hint: expect.stringContaining('expired'),
      }),
    )
    await refreshed(session)
  })

  it.each([
    ['signed by somebody else', { key: 'foreign' as const }, 'signature'],
    ['of version 1', { version: 1 as const }, 'requestedAccessTokenVersion'],
    ['of an app', { user: null }, 'server_error'],
  ])("for a token of Entra's %s is 503: the login is not lost", async (_what, options, logged) => {
    const session = await login(proxy.url)
    const remove = await answerRefreshWith(options)
    proxy.logs.length = 0
    const response = await refresh(proxy.url, session)
    remove()
    await expectRefusal(response, 'temporarily_unavailable', 503)
    expect(JSON.stringify(proxy.logs)).toContain(logged)
    await refreshed(session)
  })

  it("for a token of another user's ends the login", async () => {
    const session = await login(proxy.url)
    const remove = await answerRefreshWith({ user: bob })
    await expectRefusal(await refresh(proxy.url, session), 'invalid_grant')
    remove()
  })

  async function answerRefreshWith(options: MintAccessTokenOptions): Promise<() => void> {
    const body = JSON.stringify({
      token_type: 'Bearer',
      expires_in: 3600,
      access_token: await entra.mintAccessToken(options),
      refresh_token: 'next',
    })
    return entra.fault({ at: 'token', grant: 'refresh_token', body })
  }
})

describe('fewer scopes', () => {
  it('are for one access token only', async () => {
    const session = await login(proxy.url, { scope: 'notes.read notes.write' })
    const narrow = await refreshed(session, { scope: 'notes.read' })
    expect(narrow.scope).toBe('notes.read')
    expect((await getNotes(proxy.url, narrow.access_token)).status).toBe(200)
    // Another client writes, so that its 403 does not mark this login.
    const wide = await refreshed(narrow)
    expect(wide.scope).toBe('notes.read notes.write')
    expect((await addNote(proxy.url, wide.access_token, 'x')).status).toBe(201)
    expect((await addNote(proxy.url, narrow.access_token, 'x')).status).toBe(403)
  })

  it('narrow a repeated answer in the same way, with the same refresh token', async () => {
    const session = await login(proxy.url, { scope: 'notes.read notes.write' })
    const narrow = await refreshed(session, { scope: 'notes.read' })
    const wide = await refreshed(session)
    expect(wide.refresh_token).toBe(narrow.refresh_token)
    expect([narrow.scope, wide.scope]).toEqual(['notes.read', 'notes.read notes.write'])
  })

  it('may be named though only implied', async () => {
    const session = await login(proxy.url, { scope: 'notes.write' })
    const narrow = await refreshed(session, { scope: 'notes.read' })
    expect(narrow.scope).toBe('notes.read')
    expect((await getNotes(proxy.url, narrow.access_token)).status).toBe(200)
  })

  it('tolerate the scopes of OpenID Connect', async () => {
    const session = await login(proxy.url)
    const next = await refreshed(session, { scope: 'openid notes.read offline_access' })
    expect(next.scope).toBe('notes.read')
  })
})

describe('after a 403', () => {
  it('a refresh without scope is refused for a minute, and the grant stays good', async () => {
    const session = await login(proxy.url)
    const refusal = await addNote(proxy.url, session.access_token, 'x')
    expect(refusal.status).toBe(403)
    await expectRefusal(await refresh(proxy.url, session), 'interaction_required')
    expect((await getNotes(proxy.url, session.access_token)).status).toBe(200)
    const next = await refreshed(session, { scope: 'notes.read' })
    await expectRefusal(await refresh(proxy.url, next), 'interaction_required')
    clock.advance(61)
    await refreshed(next)
  })

  it('does not affect another login of the same client', async () => {
    const clientId = await register(proxy.url)
    const one = await login(proxy.url, { clientId })
    const two = await login(proxy.url, { clientId })
    expect((await addNote(proxy.url, one.access_token, 'x')).status).toBe(403)
    await refreshed(two)
  })

  it('nothing changes when the option is off', async () => {
    const plain = await startProxy(entra, { stepUpByLogin: false })
    const session = await login(plain.url)
    expect((await addNote(plain.url, session.access_token, 'x')).status).toBe(403)
    await refreshed(session, {}, plain.url)
  })
})

describe('time', () => {
  it('a login not refreshed for 90 days is over, one refreshed in time is not', async () => {
    const day = 24 * 3600
    const later = testClock()
    const old = await startProxy(entra, {
      now: later.now,
      storage: memoryStorage({ now: later.now }),
    })
    const idle = await login(old.url)
    let busy = await login(old.url)
    // Only our clock has been moved on: Entra's tokens are issued at the machine's time.
    for (let i = 0; i < 3; i++) {
      later.advance(45 * day)
      const fresh = await freshTokens(later.now)
      busy = await refreshed(busy, {}, old.url)
      fresh()
    }
    await expectRefusal(await refresh(old.url, idle), 'invalid_grant')
  })

  it('grantMaxAge ends a login however often it is refreshed', async () => {
    const later = testClock()
    const capped = await startProxy(entra, {
      now: later.now,
      storage: memoryStorage({ now: later.now }),
      lifetimes: { grantMaxAge: 1000 },
    })
    let session = await login(capped.url)
    later.advance(500)
    session = await refreshed(session, {}, capped.url)
    later.advance(510)
    await expectRefusal(await refresh(capped.url, session), 'invalid_grant')
  })

  /** Makes Entra answer refreshes with tokens issued at our clock's time. */
  async function freshTokens(now: () => number): Promise<() => void> {
    entra.setTime(now() / 1000)
    return () => entra.setTime(Date.now() / 1000)
  }
})

describe('a revoked token', () => {
  it('and its concurrent refresh: nothing of it survives', async () => {
    const session = await login(proxy.url)
    const remove = entra.fault({ at: 'token', grant: 'refresh_token', delay: 0.2 })
    const [refreshing] = await Promise.all([
      refresh(proxy.url, session),
      wait(80).then(() =>
        postForm(`${proxy.url}/revoke`, {
          token: session.refresh_token,
          client_id: session.clientId,
        }),
      ),
    ])
    remove()
    await expectRefusal(refreshing, 'invalid_grant')
    clock.advance(1)
    expect((await getNotes(proxy.url, session.access_token)).status).toBe(401)
  })
})

describe('a restart', () => {
  it('with the same store and a new first key goes on with every session', async () => {
    const storage = memoryStorage()
    const [first = ''] = testKeys
    const newest = 'test key three: 0123456789abcdef'
    const restarted = await startProxy(entra, { storage, keys: [first] })
    const session = await login(restarted.url)
    restarted.restart({ storage, keys: [newest, first] })
    expect((await getNotes(restarted.url, session.access_token)).status).toBe(200)
    const next = await refreshed(session, {}, restarted.url)
    const kid = ({ access_token }: Tokens) =>
      JSON.parse(Buffer.from(access_token.split('.')[0] ?? '', 'base64url').toString()).kid
    expect(kid(next)).not.toBe(kid(session))
    // The client id needs the old key for ever; tokens issued under the new key do not.
    restarted.restart({ storage, keys: [newest] })
    expect((await getNotes(restarted.url, next.access_token)).status).toBe(200)
    expect((await getNotes(restarted.url, session.access_token)).status).toBe(401)
    const response = await refresh(restarted.url, next)
    await expectRefusal(response, 'invalid_client', 401)
  })

  it('with an empty store makes clients log in again, never register again', async () => {
    const restarted = await startProxy(entra)
    const session = await login(restarted.url)
    restarted.restart({})
    const call = await getNotes(restarted.url, session.access_token)
    expect(call.status).toBe(401)
    expect(call.headers.get('www-authenticate')).toContain('error="invalid_token"')
    await expectRefusal(await refresh(restarted.url, session), 'invalid_grant')
    await login(restarted.url, { clientId: session.clientId })
  })
})

describe('a grant that is lost on the way', () => {
  it('is invalid_grant for the refresh token, at whatever point it is missed', async () => {
    const memory = memoryStorage()
    let readsLeft = Number.POSITIVE_INFINITY
    const storage: Storage = {
      ...memory,
      get: async (key) =>
        key.startsWith('grant:') && --readsLeft < 0 ? undefined : memory.get(key),
    }
    const forgetful = await startProxy(entra, { storage })
    const session = await login(forgetful.url)
    for (const reads of [0, 1]) {
      readsLeft = reads
      await expectRefusal(await refresh(forgetful.url, session), 'invalid_grant')
    }
    readsLeft = Number.POSITIVE_INFINITY
    const wide = await login(forgetful.url, { scope: 'notes.read notes.write' })
    readsLeft = 2
    const narrow = await refresh(forgetful.url, wide, { scope: 'notes.read' })
    await expectRefusal(narrow, 'invalid_grant')
  })
})
