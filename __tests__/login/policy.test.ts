/** `requiredRoles` and `allow` after the login: at every refresh, and when a gate renews an assertion. */
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  jest,
} from '@jest/globals'
import { memoryStorage, type User } from 'mcp-entra'
import type { MintAccessTokenOptions } from 'mcp-entra/testing'
import type { EntraClaims } from '../../lib/entra/verify.js'
import { checkPolicy, recheckPolicy } from '../../lib/login/policy.js'
import { type DownstreamHost, get, startDownstreamHost } from '../support/downstream-host.js'
import type { Entra } from '../support/host.js'
import { ada, getNotes, login, refresh, type Tokens } from '../support/oauth-client.js'
import {
  hear,
  jsonOf,
  startProxy,
  startTestEntra,
  type TestProxy,
  testClock,
} from '../support/proxy.js'

type Session = Tokens & { clientId: string }
type Allow = (user: User, claims: EntraClaims) => boolean | Promise<boolean>

const clock = testClock()
const yes: Allow = () => true
let allow: Allow = yes
let entra: Entra
let proxy: TestProxy
let session: Session

beforeAll(async () => {
  entra = await startTestEntra()
  proxy = await startProxy(entra, {
    now: clock.now,
    storage: memoryStorage({ now: clock.now }),
    requiredRoles: ['Notes.Admin', 'Notes.Other'],
    allow: (user, claims) => allow(user, claims),
  })
})
beforeEach(async () => {
  session = await login(proxy.url, { user: ada })
})
afterEach(() => {
  allow = yes
  entra.clearFaults()
})

async function expectEnded(response: Response): Promise<void> {
  expect(response.status).toBe(400)
  expect((await jsonOf(response)).error).toBe('invalid_grant')
}

async function expectOutage(response: Response): Promise<void> {
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('5')
  expect(response.headers.get('www-authenticate')).toBeNull()
  expect(await response.json()).toEqual({
    error: 'temporarily_unavailable',
    error_description:
      'This server cannot check right now whether the user may use it. Try again shortly.',
  })
}

/** The access token stops working within a second, and the refresh token is refused. */
async function expectLoginGone(from = proxy.url): Promise<void> {
  clock.advance(1)
  expect((await getNotes(from, session.access_token)).status).toBe(401)
  await expectEnded(await refresh(from, session))
}

/** Sets what Entra answers to refreshes from now on. */
async function answerRefreshWith(options: MintAccessTokenOptions): Promise<void> {
  const access_token = await entra.mintAccessToken({ user: ada, ...options })
  const body = { token_type: 'Bearer', expires_in: 3600, access_token, refresh_token: 'next' }
  entra.fault({ at: 'token', grant: 'refresh_token', body: JSON.stringify(body) })
}

describe('a refresh', () => {
  it('succeeds as long as the user has one of the required roles', async () => {
    await answerRefreshWith({ roles: ['Notes.Other'] })
    expect((await refresh(proxy.url, session)).status).toBe(200)
  })

  it('ends the login, everywhere, when Entra has taken the required role away', async () => {
    expect((await getNotes(proxy.url, session.access_token)).status).toBe(200)
    await answerRefreshWith({ roles: [] })
    const revocations = hear('mcp-entra:revocation')
    await expectEnded(await refresh(proxy.url, session))
    expect(revocations).toEqual([
      expect.objectContaining({
        reason: 'login_policy',
        detail: 'The user lacks a role that this server requires.',
        user: { tid: entra.tenant.id, oid: ada },
        grant: expect.any(String),
      }),
    ])
    entra.clearFaults()
    await expectLoginGone()
  })

  it("ends the login when allow says no, and allow has seen Entra's new claims", async () => {
    const seen: unknown[] = []
    allow = (user, claims) => {
      seen.push([user.oid, user.roles, claims.department])
      return false
    }
    await answerRefreshWith({
      roles: ['Notes.Other', 'Notes.New'],
      claims: { department: 'Sales' },
    })
    await expectEnded(await refresh(proxy.url, session))
    expect(seen).toEqual([[ada, ['Notes.Other', 'Notes.New'], 'Sales']])
    allow = yes
    entra.clearFaults()
    await expectLoginGone()
  })

  it.each<[string, Allow]>([
    [
      'throws',
      () => {
        throw new Error('directory down')
      },
    ],
    ['rejects', () => Promise.reject(new Error('directory down'))],
  ])('is a 503 and loses nothing when allow %s', async (_how, failing) => {
    allow = failing
    proxy.logs.length = 0
    await expectOutage(await refresh(proxy.url, session))
    expect(proxy.logs).toContainEqual(
      expect.objectContaining({ cause: 'Error: directory down', message: 'mcp-entra: failure' }),
    )
    allow = yes
    expect((await getNotes(proxy.url, session.access_token)).status).toBe(200)
    expect((await refresh(proxy.url, session)).status).toBe(200)
  })

  it('asks allow once for twenty callers at once, and all get the same answer', async () => {
    let asked = 0
    allow = () => {
      asked += 1
      return asked > 1
    }
    const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(proxy.url, session)))
    for (const answer of answers) await expectEnded(answer)
    expect(asked).toBe(1)
  })

  it('that is repeated within the grace does not ask allow again', async () => {
    const first = await (await refresh(proxy.url, session)).text()
    allow = () => false
    expect(await (await refresh(proxy.url, session)).text()).toBe(first)
  })
})

describe('a renewed assertion', () => {
  let host: DownstreamHost
  let tokens: Session
  beforeAll(async () => {
    host = await startDownstreamHost({
      entra,
      options: {
        requiredRoles: ['Notes.Admin'],
        allow: (user, claims) => allow(user, claims),
      },
    })
  })
  beforeEach(async () => {
    tokens = await login(host.url, { user: ada })
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 500133, times: 1 })
  })
  afterAll(() => host.close())

  const call = () => get(`${host.url}/api/graph`, tokens.access_token)

  it.each<[string, () => void | Promise<void>]>([
    [
      'allow says no',
      () => {
        allow = () => false
      },
    ],
    ['the required role is gone', () => answerRefreshWith({ roles: ['Notes.Other'] })],
  ])('ends the login when %s', async (_why, change) => {
    await change()
    const response = await call()
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toContain('error="invalid_token"')
    expect(host.logs).toContainEqual(expect.objectContaining({ reason: 'login_policy' }))
    allow = yes
    entra.clearFaults()
    host.advance(1)
    expect((await call()).status).toBe(401)
    await expectEnded(await refresh(host.url, tokens))
    host.logs.length = 0
  })

  it('is a 503 when allow fails, and the login goes on', async () => {
    allow = () => Promise.reject(new Error('directory down'))
    await expectOutage(await call())
    allow = yes
    expect((await call()).status).toBe(200)
    expect((await refresh(host.url, tokens)).status).toBe(200)
  })
})

describe('allow that never answers', () => {
  const user: User = { oid: ada, tid: 't', sub: 's', roles: [] }
  const claims = { oid: ada } as unknown as EntraClaims
  const policy = { requiredRoles: [], allow: () => new Promise<boolean>(() => undefined) }

  afterEach(() => void jest.useRealTimers())

  it.each([
    ['at login is an error', checkPolicy, { message: 'allow did not answer within 10 seconds' }],
    ['afterwards is a 503', recheckPolicy, { status: 503, retryAfter: 5 }],
  ])('%s after ten seconds', async (_when, ask, error) => {
    jest.useFakeTimers({ doNotFake: ['setImmediate'] })
    const outcome = expect(ask(policy, user, claims)).rejects.toMatchObject(error)
    await jest.advanceTimersByTimeAsync(10_000)
    await outcome
  })

  it('is asked for its answer also where its promise is not one of the language itself', async () => {
    // biome-ignore lint/suspicious/noThenProperty: that is what it is about
    const no = { then: (resolve: (answer: boolean) => void) => resolve(false) }
    const policy = { requiredRoles: [], allow: () => no as unknown as Promise<boolean> }
    const user = { tid: 't', oid: 'o', sub: 's', roles: [] }
    const refused = checkPolicy(policy, user, {} as EntraClaims)
    await expect(refused).rejects.toMatchObject({ code: 'access_denied' })
  })

  it('leaves no timer behind when it does answer', async () => {
    jest.useFakeTimers()
    await checkPolicy({ ...policy, allow: yes }, user, claims)
    expect(jest.getTimerCount()).toBe(0)
  })
})
