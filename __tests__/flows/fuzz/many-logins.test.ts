/**
 * Many logins of two users through three clients, on two replicas of one store that fails now and then. Access ends in
 * every way there is, in any order: what has ended works nowhere a second later, and whatever has not ended goes on.
 */
import { beforeAll, expect, it } from '@jest/globals'
import type { Express } from 'express'
import fc from 'fast-check'
import {
  type EntraAuth,
  memoryStorage,
  revokeClient,
  revokeTenant,
  revokeUser,
  type Storage,
} from 'mcp-entra'
import { accountRoutes } from 'mcp-entra/account'
import { formWith, openApps } from '../../support/account.js'
import { bounded } from '../../support/fuzz.js'
import type { Entra } from '../../support/host.js'
import { callProfile, mountProfileTool } from '../../support/in-session.js'
import {
  ada,
  bob,
  getCode,
  getNotes,
  postForm,
  redeem,
  refresh,
  register,
  type Tokens,
} from '../../support/oauth-client.js'
import {
  jsonOf,
  startProxy,
  startTestEntra,
  type TestClock,
  testClock,
} from '../../support/proxy.js'
import { around } from '../../support/replica.js'

interface Replica {
  readonly url: string
  readonly auth: EntraAuth
}

/** Whose access it is, and when it ended: milliseconds on the test's clock. */
interface Access {
  readonly user: string
  readonly client: number
  endedAt?: number
}

/** A code that has not been redeemed. */
interface Pending extends Access {
  readonly code: Awaited<ReturnType<typeof getCode>>
  readonly issuedAt: number
}

/** A login as its client knows it. */
interface Login extends Access {
  readonly accessTokens: string[]
  /** Access tokens that were revoked by themselves, and when. */
  readonly revoked: Map<string, number>
  refreshToken: string
  readonly used: string[]
}

const actions = {
  begin: 3,
  finish: 5,
  use: 6,
  renew: 4,
  replay: 1,
  endLogin: 1,
  endToken: 1,
  endApps: 1,
  endMeanwhile: 1,
  endUser: 1,
  endClient: 1,
  endTenant: 1,
  wait: 3,
  fail: 2,
} as const

/** What is done next; each action has a use for some of the members. */
const step = fc.record({
  action: fc.oneof(
    ...Object.entries(actions).map(([name, weight]) => ({
      weight,
      arbitrary: fc.constant(name as keyof typeof actions),
    })),
  ),
  user: fc.constantFrom(ada, bob),
  client: fc.nat(2),
  /** Which of the logins, or codes. */
  which: fc.nat(50),
  replica: fc.nat(1),
  seconds: fc.constantFrom(1, 2, 30),
  operations: fc.integer({ min: 1, max: 6 }),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

let entra: Entra
let clock: TestClock
let clients: readonly string[]
const replicas: Replica[] = []
/** How many operations of the store fail from now on. */
let failing = 0

beforeAll(async () => {
  clock = testClock()
  entra = await startTestEntra()
  const auths: EntraAuth[] = []
  const mount = (app: Express, auth: EntraAuth) => {
    auths.push(auth)
    app.use(accountRoutes(auth))
    mountProfileTool(app, auth)
  }
  const options = { storage: failingStorage(), now: clock.now, mount }
  const first = await startProxy(entra, options)
  const second = await startProxy(entra, { ...options, baseUrl: first.url })
  for (const [number, { address }] of [first, second].entries())
    replicas.push({ url: address, auth: auths[number] as EntraAuth })
  clients = await Promise.all([0, 1, 2].map(() => register(first.url)))
})

function failingStorage(): Storage {
  return around(memoryStorage({ now: clock.now }), async (_name, operation) => {
    if (failing === 0) return operation()
    failing -= 1
    throw new Error('connect ECONNREFUSED')
  })
}

/** Asks until the store answers: an outage is said to be one. */
async function persist(ask: () => Promise<Response>): Promise<Response> {
  const answer = await ask()
  if (answer.status !== 503) return answer
  await answer.arrayBuffer()
  return persist(ask)
}

/** The same for calls of the application's own. */
async function persistently(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    expect(error).toMatchObject({ status: 503 })
    await persistently(work)
  }
}

/** Both clocks go on by themselves, too. */
function advance(seconds: number): void {
  clock.advance(seconds)
  entra.advance(seconds)
}

const replicaOf = ({ replica }: Step) => replicas[replica] as Replica
const clientOf = ({ client }: Pick<Access, 'client'>) => clients[client] as string
const userId = (oid: string) => ({ tid: entra.tenant.id, oid })

/** What has happened, and what must be so now. */
class Journey {
  private readonly logins: Login[] = []
  private readonly pending: Pending[] = []

  /** Nothing is left of earlier ones. */
  async start(): Promise<void> {
    failing = 0
    await revokeTenant((replicas[0] as Replica).auth, entra.tenant.id)
    advance(1)
  }

  async take(next: Step): Promise<void> {
    await this[next.action](next)
    // What happens in the same millisecond has no order.
    advance(0.01)
  }

  async begin(next: Step): Promise<void> {
    failing = 0
    const { user, client } = next
    const clientId = clientOf({ client })
    const code = await getCode(replicaOf(next).url, { user, clientId })
    this.pending.push({ user, client, code, issuedAt: clock.now() })
  }

  async finish(next: Step): Promise<void> {
    const [pending] = this.pending.splice(next.which % (this.pending.length || 1), 1)
    if (!pending) return
    const { user, client, code, issuedAt, endedAt } = pending
    const answer = await persist(() => redeem(replicaOf(next).url, code))
    // A code is good for 120 seconds: from half of them on, either is right.
    const mayBeOld = clock.now() - issuedAt > 60_000
    if (answer.status === 400 && mayBeOld) return
    expect(answer.status).toBe(endedAt === undefined ? 200 : 400)
    if (endedAt !== undefined) return
    const { access_token, refresh_token } = await jsonOf<Tokens>(answer)
    this.logins.push({
      ...{ user, client, used: [], revoked: new Map() },
      accessTokens: [access_token],
      refreshToken: refresh_token,
    })
  }

  async use(next: Step): Promise<void> {
    const login = this.loginOf(next)
    if (login) await this.check(login, replicaOf(next).url)
  }

  async renew(next: Step): Promise<void> {
    const login = this.loginOf(next)
    if (!login) return
    const answer = await this.refresh(next, login, login.refreshToken)
    const body = await jsonOf<Tokens & { error?: string }>(answer)
    if (login.endedAt !== undefined)
      return void expect([answer.status, body.error]).toEqual([400, 'invalid_grant'])
    expect({ ...body, status: answer.status }).toMatchObject({ status: 200 })
    login.used.push(login.refreshToken)
    login.accessTokens.push(body.access_token)
    login.refreshToken = body.refresh_token
  }

  /** After the grace of 60 seconds this is a theft. */
  async replay(next: Step): Promise<void> {
    const login = this.loginOf(next)
    const [used] = login?.used ?? []
    if (!login || used === undefined) return
    advance(61)
    expect((await this.refresh(next, login, used)).status).toBe(400)
    this.end((each) => each === login)
  }

  async endLogin(next: Step): Promise<void> {
    const login = this.loginOf(next)
    if (!login) return
    await this.revoke(next, login, login.refreshToken)
    this.end((each) => each === login)
  }

  async endToken(next: Step): Promise<void> {
    const login = this.loginOf(next)
    const token = login?.accessTokens.shift()
    if (!login || token === undefined) return
    await this.revoke(next, login, token)
    login.revoked.set(token, clock.now())
  }

  /** On the page, which lists what the user still has. */
  async endApps(next: Step): Promise<void> {
    failing = 0
    const { user } = next
    const { browser, page } = await openApps(replicaOf(next).url, user)
    const ids = [...page.html.matchAll(/name="app" value="([^"]*)"/g)].map(([, id]) => id)
    const live = this.logins.filter((each) => each.user === user && each.endedAt === undefined)
    const apps = new Set(live.map(({ client }) => client))
    expect(ids.filter((id) => id !== 'all')).toHaveLength(apps.size)
    if (apps.size === 0) return
    expect((await browser.fetchOnce(...formWith(page, 'app', 'all'))).status).toBe(303)
    this.end((each) => each.user === user)
  }

  /** Whatever becomes of what goes on meanwhile, nothing of it outlives the end. */
  async endMeanwhile(next: Step): Promise<void> {
    const login = this.loginOf(next)
    if (!login) return
    const { user, refreshToken } = login
    const params = { refresh_token: refreshToken, clientId: clientOf(login) }
    const code = this.pending.find((each) => each.user === user)?.code
    const [answers] = await Promise.all([
      Promise.all([
        ...replicas.map(({ url }) => refresh(url, params)),
        ...(code ? [redeem(replicaOf(next).url, code)] : []),
      ]),
      persistently(() => revokeUser(replicaOf(next).auth, userId(user))),
    ])
    for (const answer of answers) {
      const { access_token } = await jsonOf<Partial<Tokens>>(answer)
      if (access_token !== undefined) login.accessTokens.push(access_token)
    }
    this.end((each) => each.user === user)
  }

  async endUser(next: Step): Promise<void> {
    await persistently(() => revokeUser(replicaOf(next).auth, userId(next.user)))
    this.end(({ user }) => user === next.user)
  }

  async endClient(next: Step): Promise<void> {
    await persistently(() => revokeClient(replicaOf(next).auth, clientOf(next)))
    this.end(({ client }) => client === next.client)
  }

  async endTenant(next: Step): Promise<void> {
    await persistently(() => revokeTenant(replicaOf(next).auth, entra.tenant.id))
    this.end(() => true)
  }

  async wait({ seconds }: Step): Promise<void> {
    advance(seconds)
  }

  async fail({ operations }: Step): Promise<void> {
    failing = operations
  }

  /** A second later every replica knows. */
  async finally(): Promise<void> {
    failing = 0
    advance(1)
    for (const login of this.logins) for (const { url } of replicas) await this.check(login, url)
  }

  private loginOf({ which }: Step): Login | undefined {
    return this.logins[which % (this.logins.length || 1)]
  }

  private end(isEnded: (access: Access) => boolean): void {
    for (const each of [...this.logins, ...this.pending])
      if (isEnded(each)) each.endedAt ??= clock.now()
  }

  private refresh(next: Step, login: Login, refresh_token: string): Promise<Response> {
    return persist(() => refresh(replicaOf(next).url, { refresh_token, clientId: clientOf(login) }))
  }

  private async revoke(next: Step, login: Login, token: string): Promise<void> {
    const params = { token, client_id: clientOf(login) }
    const answer = await persist(() => postForm(`${replicaOf(next).url}/revoke`, params))
    expect(answer.status).toBe(200)
  }

  /** Within the second after the end, either is right. */
  private async check({ accessTokens, revoked, endedAt }: Login, url: string): Promise<void> {
    const tokens = [...accessTokens.map((token) => [token, endedAt] as const), ...revoked]
    for (const [token, end] of tokens) {
      const isNews = end !== undefined && clock.now() - end < 1000
      for (const ask of [getNotes, callProfile]) {
        const answer = await persist(() => ask(url, token))
        await answer.arrayBuffer()
        if (!isNews) expect(answer.status).toBe(end === undefined ? 200 : 401)
      }
    }
  }
}

it('ends what is ended on every replica, and nothing else', async () => {
  const journeys = fc.array(step, { minLength: 10, maxLength: 50 })
  // FUZZ_JOURNEYS=2000 takes about a minute.
  await fc.assert(
    fc.asyncProperty(journeys, async (steps) => {
      const journey = new Journey()
      await journey.start()
      for (const next of steps) await journey.take(next)
      await journey.finally()
    }),
    { seed: bounded.seed, numRuns: Number(process.env.FUZZ_JOURNEYS ?? 30) },
  )
}, 120_000)
