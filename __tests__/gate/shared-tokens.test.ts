/** Exchanged tokens that replicas share through the store. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import {
  clientSecret,
  entraAuth,
  entraScopes,
  type MemoryStorage,
  memoryStorage,
  type Storage,
} from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { EntraError } from '../../lib/entra/errors.js'
import { onBehalfOf, type SharedToken } from '../../lib/entra/on-behalf-of.js'
import { type DownstreamHost, get, startDownstreamHost } from '../support/downstream-host.js'
import { waitUntil } from '../support/entra.js'
import type { Entra } from '../support/host.js'
import { ada, bob } from '../support/oauth-client.js'

let entra: Entra
let storage: MemoryStorage
let replicas: DownstreamHost[]

beforeEach(async () => {
  entra = await startEntra()
  storage = memoryStorage()
  replicas = []
})
afterEach(async () => {
  await Promise.all(replicas.map((replica) => replica.close()))
  await entra.close()
})

async function start(store: Storage = storage, shareDownstreamTokens = true) {
  const options = { storage: store, shareDownstreamTokens }
  const replica = await startDownstreamHost({ entra, options })
  replicas.push(replica)
  return replica
}

const exchanges = () =>
  entra.requestsTo('token').filter(({ grantType }) => grantType === 'on_behalf_of')

async function exchanged(replica: DownstreamHost, token: string): Promise<string> {
  const response = await get(`${replica.url}/api/graph`, token)
  expect(response.status).toBe(200)
  return ((await response.json()) as { token: string }).token
}

describe('shareDownstreamTokens', () => {
  it('makes one exchange for two replicas', async () => {
    const [one, two] = [await start(), await start()]
    const token = await entra.mintAccessToken({ user: ada })
    const first = await exchanged(one, token)
    expect(await exchanged(two, token)).toBe(first)
    expect(exchanges()).toHaveLength(1)
  })

  it('is off when nobody asks for it: nothing is stored', async () => {
    const [one, two] = [await start(storage, false), await start(storage, false)]
    const token = await entra.mintAccessToken({ user: ada })
    expect(await exchanged(one, token)).not.toBe(await exchanged(two, token))
    expect(exchanges()).toHaveLength(2)
    expect(storage.size).toBe(0)
  })

  it('gives a token to nobody but its user, and not for another token of that user', async () => {
    const [one, two] = [await start(), await start()]
    const seen = new Set([
      await exchanged(one, await entra.mintAccessToken({ user: ada })),
      await exchanged(two, await entra.mintAccessToken({ user: bob })),
      await exchanged(two, await entra.mintAccessToken({ user: ada })),
    ])
    expect(seen.size).toBe(3)
  })

  it('stores nothing that shows the token, the assertion or the user', async () => {
    const written: string[] = []
    const watched: Storage = {
      ...pick(storage),
      set: (key, value, ttl) => {
        written.push(key, Buffer.from(value).toString('latin1'), String(ttl))
        return storage.set(key, value, ttl)
      },
    }
    const one = await start(watched)
    const assertion = await entra.mintAccessToken({ user: ada })
    const token = await exchanged(one, assertion)
    expect(written).toHaveLength(3)
    expect(written[0]).toMatch(/^downstream:[\w-]{43}$/)
    for (const secret of [token.slice(-40), assertion.slice(-40), ada, 'graph.microsoft.com']) {
      expect(written.join('\n')).not.toContain(secret)
    }
    // As long as the token, less what nobody would hand it out for.
    expect(Number(written[2])).toBeGreaterThan(3900)
    expect(Number(written[2])).toBeLessThanOrEqual(3970)
  })

  it('fails no exchange when the store fails, and tells the operator', async () => {
    const broken: Storage = {
      ...pick(storage),
      get: () => Promise.reject(new Error('store is down')),
      set: () => Promise.reject(new Error('store is down')),
    }
    const one = await start(broken)
    await exchanged(one, await entra.mintAccessToken({ user: ada }))
    const failures = () => one.logs.filter(({ reason }) => reason === 'sharing')
    await waitUntil(() => failures().length >= 2)
    expect(failures()).toHaveLength(2)
    expect(failures()[0]).toMatchObject({ message: 'mcp-entra: failure', endpoint: 'on-behalf-of' })
  })

  it('needs keys, and says so at creation', () => {
    const clientId = entra.app.clientId
    expect(() =>
      entraAuth({
        baseUrl: 'https://mcp.contoso.com',
        tenantId: entra.tenant.id,
        clientId,
        credential: clientSecret('secret'),
        scopes: entraScopes({ clientId, required: ['notes.read'] }),
        shareDownstreamTokens: true,
      }),
    ).toThrow(
      new TypeError(
        'entraAuth with shareDownstreamTokens: entraAuth needs the option `keys` for this',
      ),
    )
  })
})

describe('a shared token', () => {
  const input = { assertion: 'a', tid: 't', oid: 'o', scopes: ['api://x/y'] }
  let time = 1_000_000_000_000
  const shelf = new Map<string, SharedToken>()
  let asked = 0
  const shared = {
    read: async (secret: string) => shelf.get(secret),
    write: async (secret: string, token: SharedToken) => void shelf.set(secret, token),
  }
  const replica = () =>
    onBehalfOf({
      now: () => time,
      shared,
      endpoint: {
        onBehalfOf: async () => {
          asked += 1
          if (asked === 99) throw new EntraError('consent_required', 'no')
          return { accessToken: `token ${asked}`, expiresIn: 3600 }
        },
      },
    })
  beforeEach(() => {
    shelf.clear()
    asked = 0
  })

  it('that is due for renewal is renewed by one replica, and the others take what that one got', async () => {
    const [one, two] = [replica(), replica()]
    await one.token(input)
    await two.token(input)
    time += 3_400_000
    expect((await one.token(input)).token).toBe('token 1')
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect((await one.token(input)).token).toBe('token 2')
    await two.token(input)
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect((await two.token(input)).token).toBe('token 2')
    expect(asked).toBe(2)
  })

  it('that was issued for claims takes the place of the one without', async () => {
    const [one, two] = [replica(), replica()]
    expect((await one.token(input)).token).toBe('token 1')
    expect((await one.token({ ...input, claims: '{"x":1}' })).token).toBe('token 2')
    expect((await one.token(input)).token).toBe('token 2')
    expect((await two.token(input)).token).toBe('token 2')
    expect((await two.token({ ...input, claims: '{"x":1}' })).token).toBe('token 2')
    expect((await two.token({ ...input, claims: '{"x":2}' })).token).toBe('token 3')
    expect(asked).toBe(3)
  })

  it('is no refusal: those are kept by each process for itself', async () => {
    asked = 98
    await expect(replica().token(input)).rejects.toMatchObject({ kind: 'consent_required' })
    expect(shelf.size).toBe(0)
    expect((await replica().token(input)).token).toBe('token 100')
  })
})

function pick({ get: read, set, add, take }: Storage): Storage {
  return { get: read, set, add, take }
}
