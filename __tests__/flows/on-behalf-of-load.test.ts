/** On-behalf-of under load, through real HTTP: one exchange per user and resource, and nobody's but one's own. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type EntraUserOptions, startEntra } from 'mcp-entra/testing'
import { onBehalfOf } from '../../lib/entra/on-behalf-of.js'
import {
  claimsOf,
  type DownstreamHost,
  get,
  startDownstreamHost,
} from '../support/downstream-host.js'
import { type Entra, startWorld } from '../support/host.js'
import { callMcp, toolText } from '../support/oauth-client.js'

const contoso = 'c0a70500-0000-4000-8000-00000000c050'
const notes = 'a9900001-0000-4000-8000-0000000000e5'
const billing = 'b1111111-0000-4000-8000-0000000000b1'

const graph = 'https://graph.microsoft.com'
const invoices = `api://${billing}/invoices.read`

/** A tenant with a crowd in it, and two APIs behind the one that people call. */
async function startCrowd(size: number): Promise<Entra> {
  const users = Array.from({ length: size }, (_item, index): EntraUserOptions => {
    const digits = String(index).padStart(12, '0')
    return {
      oid: `0000c40d-0000-4000-8000-${digits}`,
      username: `user${index}@contoso.example`,
      name: `User ${index}`,
    }
  })
  return startEntra({
    tenants: [{ id: contoso, domain: 'contoso.example', users }],
    apps: [
      {
        clientId: notes,
        name: 'Notes MCP',
        tenantId: contoso,
        secrets: ['notes-mcp-secret'],
        scopes: ['notes.read', 'notes.write'],
        consented: [`${graph}/User.Read`, invoices],
      },
      { clientId: billing, name: 'Billing', tenantId: contoso, scopes: ['invoices.read'] },
    ],
  })
}

/** Runs the jobs, so many at once, in an order nobody planned. */
async function inParallel(width: number, jobs: readonly (() => Promise<void>)[]): Promise<void> {
  const waiting = [...jobs].sort(() => Math.random() - 0.5)
  const worker = async () => {
    for (let job = waiting.pop(); job; job = waiting.pop()) await job()
  }
  await Promise.all(Array.from({ length: width }, worker))
}

const size = 500
let entra: Entra
let host: DownstreamHost
const tokens = new Map<string, string>()

beforeAll(async () => {
  entra = await startCrowd(size)
  host = await startDownstreamHost({
    entra,
    direct: true,
    downstream: {
      graph: [`${graph}/User.Read`],
      billing: [invoices],
      everything: [`${graph}/.default`],
    },
  })
  for (const { oid } of entra.users) tokens.set(oid, await entra.mintAccessToken({ user: oid }))
}, 60_000)
afterAll(async () => {
  await host.close()
  await entra.close()
})
beforeEach(() => {
  entra.clearFaults()
  entra.clearRequests()
})

const exchanges = () =>
  entra.requestsTo('token').filter(({ grantType }) => grantType === 'on_behalf_of')

async function exchangedFor(oid: string, name: string): Promise<Record<string, unknown>> {
  const response = await get(`${host.url}/api/${name}`, tokens.get(oid) ?? '')
  expect(response.status).toBe(200)
  return claimsOf(((await response.json()) as { token: string }).token)
}

describe('on-behalf-of under load', () => {
  it('is one exchange for each of 500 users and no token crossed, with 20 calls of each in parallel', async () => {
    entra.fault({ at: 'token', grant: 'on_behalf_of', delay: 0.05 })
    const wrong: unknown[] = []
    const jobs = entra.users.flatMap(({ oid }) =>
      Array.from({ length: 20 }, () => async () => {
        const claims = await exchangedFor(oid, 'graph')
        if (claims.oid !== oid || claims.aud !== graph) wrong.push(claims)
      }),
    )
    await inParallel(200, jobs)
    expect(wrong).toEqual([])
    expect(exchanges()).toHaveLength(size)
    expect(new Set(exchanges().map(({ user }) => user)).size).toBe(size)
  }, 120_000)

  it('is one exchange per resource, side by side, with named scopes and .default', async () => {
    const crowd = entra.users.slice(0, 40)
    const wrong: unknown[] = []
    const audiences = { graph, billing, everything: graph }
    const jobs = crowd.flatMap(({ oid }) =>
      Object.entries(audiences).flatMap(([name, audience]) =>
        Array.from({ length: 5 }, () => async () => {
          const claims = await exchangedFor(oid, name)
          if (claims.oid !== oid || claims.aud !== audience) wrong.push({ name, ...claims })
        }),
      ),
    )
    await inParallel(60, jobs)
    expect(wrong).toEqual([])
    // Those for graph are at hand from the test before.
    const asked = exchanges().map(({ user, params }) => `${user} ${params.scope?.split(' ')[0]}`)
    expect(asked.sort()).toEqual(
      crowd
        .flatMap(({ username }) => [`${username} ${invoices}`, `${username} ${graph}/.default`])
        .sort(),
    )
  }, 60_000)

  it('lets the trouble of one user trouble nobody else', async () => {
    const [throttled, challenged, fired, ...others] = entra.users.slice(100, 140)
    if (!throttled || !challenged || !fired) throw new Error('too small a crowd')
    const fault = { at: 'token', grant: 'on_behalf_of' } as const
    entra.fault({ ...fault, user: throttled.username, retryAfter: 30 })
    entra.fault({ ...fault, user: challenged.username, error: 50076 })
    entra.fault({ ...fault, user: fired.username, error: 50105 })
    const statuses = new Map<string, Set<string>>()
    const jobs = [throttled, challenged, fired, ...others].flatMap(({ oid }) =>
      Array.from({ length: 5 }, () => async () => {
        const { status, headers } = await get(`${host.url}/api/billing`, tokens.get(oid) ?? '')
        const seen = `${status} ${headers.get('retry-after')}`
        statuses.set(oid, (statuses.get(oid) ?? new Set()).add(seen))
      }),
    )
    await inParallel(60, jobs)
    expect([...(statuses.get(throttled.oid) ?? [])]).toEqual(['503 30'])
    expect([...(statuses.get(challenged.oid) ?? [])]).toEqual(['401 null'])
    expect([...(statuses.get(fired.oid) ?? [])]).toEqual(['403 null'])
    for (const { oid } of others) expect([...(statuses.get(oid) ?? [])]).toEqual(['200 null'])
    // Entra was asked once for each, those it refused included.
    expect(exchanges()).toHaveLength(others.length + 3)
    entra.clearFaults()
    host.advance(31)
    expect((await exchangedFor(throttled.oid, 'billing')).oid).toBe(throttled.oid)
  }, 60_000)

  it('renews ahead of time with nobody waiting: Entra may be slow, or away', async () => {
    const [{ oid } = { oid: '' }] = entra.users.slice(200)
    const before = await exchangedFor(oid, 'billing')
    // A fifth of its life is left; the token that is exchanged still lives.
    host.advance(Number(before.exp) - Number(before.iat) - 299)
    entra.clearRequests()
    const outage = entra.fault({ at: 'token', grant: 'on_behalf_of', reset: true })
    expect((await exchangedFor(oid, 'billing')).uti).toBe(before.uti)
    await until(() => exchanges().length > 0)
    outage()
    host.advance(6)
    entra.fault({ at: 'token', grant: 'on_behalf_of', delay: 0.3 })
    expect((await exchangedFor(oid, 'billing')).uti).toBe(before.uti)
    await until(async () => (await exchangedFor(oid, 'billing')).uti !== before.uti)
    expect((await exchangedFor(oid, 'billing')).oid).toBe(oid)
  }, 30_000)
})

describe('the reference host', () => {
  it('shows each of 50 users their own profile, 20 times in parallel, with one exchange each', async () => {
    entra.setTime(new Date())
    const world = await startWorld({
      settings: {
        authorityHost: entra.url,
        graphUrl: entra.graphUrl,
        tenantId: contoso,
        clientId: notes,
        clientSecret: 'notes-mcp-secret',
      },
    })
    try {
      const crowd = entra.users.slice(300, 350)
      const fresh = new Map<string, string>()
      for (const { oid } of crowd) fresh.set(oid, await entra.mintAccessToken({ user: oid }))
      entra.fault({ at: 'token', grant: 'on_behalf_of', delay: 0.05 })
      const wrong: unknown[] = []
      const jobs = crowd.flatMap(({ oid, username }) =>
        Array.from({ length: 20 }, () => async () => {
          const params = { name: 'my_profile', arguments: {} }
          const response = await callMcp(world.url, fresh.get(oid) ?? '', 'tools/call', params)
          const profile = (await toolText(response)) as { id: string; userPrincipalName: string }
          if (profile.id !== oid || profile.userPrincipalName !== username) wrong.push(profile)
        }),
      )
      await inParallel(50, jobs)
      expect(wrong).toEqual([])
      expect(exchanges()).toHaveLength(crowd.length)
    } finally {
      await world.close()
    }
  }, 120_000)
})

describe('the cache', () => {
  // What they leave in memory is measured by `npm run bench`.
  it('holds no more users than it was told, and asks again for those who had to go', async () => {
    const asked: string[] = []
    const exchange = onBehalfOf({
      endpoint: {
        onBehalfOf: async ({ assertion }) => {
          asked.push(assertion)
          return { accessToken: `${assertion} out`, expiresIn: 4000 }
        },
      },
      maxEntries: 500,
    })
    const come = async (user: number) => {
      const input = { assertion: `${user}.x`, oid: `oid ${user}`, tid: contoso }
      const { token } = await exchange.token({ ...input, scopes: [`${graph}/User.Read`] })
      expect(token).toBe(`${user}.x out`)
      expect(exchange.size).toBeLessThanOrEqual(500)
    }
    for (let user = 0; user < 3000; user++) await come(user)
    expect(exchange.size).toBe(500)
    expect(asked).toHaveLength(3000)
    for (const user of [2999, 2500, 0]) await come(user)
    expect(asked.slice(3000)).toEqual(['0.x'])
  })
})

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('it did not happen')
}
