/** An assertion that has died under a login that lives: renewed once, kept for all, and never in a race. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { memoryStorage } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { type DownstreamHost, get, startDownstreamHost } from '../support/downstream-host.js'
import type { Entra } from '../support/host.js'
import { ada, login, refresh } from '../support/oauth-client.js'

let entra: Entra
let host: DownstreamHost
let replica: DownstreamHost

beforeAll(async () => {
  entra = await startEntra()
  const storage = memoryStorage()
  const first = await startDownstreamHost({ entra, options: { storage } })
  host = first
  // The same server for its clients: the other replica behind one load balancer.
  replica = await startDownstreamHost({ entra, options: { storage, baseUrl: first.url } })
})
afterAll(async () => {
  await Promise.all([host.close(), replica.close()])
  await entra.close()
})
afterEach(() => entra.clearFaults())

const asked = (grant: string) =>
  entra
    .requestsTo('token')
    .filter(({ grantType }) => grantType === grant)
    .map(({ params, error }) => ({ assertion: params.assertion, error }))

/** Entra takes nothing of what it issued before: its clock runs ahead of ours. */
const expired = (times?: number) =>
  entra.fault({ at: 'token', grant: 'on_behalf_of', error: 500133, ...(times && { times }) })

const call = ({ access_token }: { access_token: string }, at = host) =>
  get(`${at.url}/api/graph`, access_token)

describe('an expired assertion', () => {
  it('is renewed at Entra once, and the exchange made once more', async () => {
    const tokens = await login(host.url, { user: ada })
    entra.clearRequests()
    expired(1)
    expect((await call(tokens)).status).toBe(200)
    expect(asked('refresh_token')).toHaveLength(1)
    const [dead, fresh, ...more] = asked('on_behalf_of')
    expect(more).toEqual([])
    expect(dead?.error).toBe(500133)
    expect(fresh?.assertion).not.toBe(dead?.assertion)
    // The login goes on with the new tokens: nothing was used up behind its back.
    expect((await refresh(host.url, tokens)).status).toBe(200)
  })

  it('is renewed once for twenty calls at once, on two replicas', async () => {
    const tokens = await login(host.url, { user: ada })
    entra.clearRequests()
    const alive = expired()
    entra.fault({ at: 'token', grant: 'refresh_token', delay: 0.3 })
    const calls = Array.from({ length: 20 }, (_item, index) =>
      call(tokens, index % 2 === 0 ? host : replica),
    )
    await until(() => asked('on_behalf_of').length === 2 && asked('refresh_token').length === 1)
    alive()
    const statuses = (await Promise.all(calls)).map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200]))
    expect(asked('refresh_token')).toHaveLength(1)
    const assertions = asked('on_behalf_of').map(({ assertion }) => assertion)
    expect(assertions).toHaveLength(4)
    expect(new Set(assertions).size).toBe(2)
  })

  it('races no refresh of the client: whoever comes second uses what the first has got', async () => {
    const tokens = await login(host.url, { user: ada })
    entra.clearRequests()
    expired(1)
    entra.fault({ at: 'token', grant: 'refresh_token', delay: 0.2 })
    const [answer, renewed] = await Promise.all([call(tokens), refresh(host.url, tokens)])
    expect([answer.status, renewed.status]).toEqual([200, 200])
    const next = (await renewed.json()) as { access_token: string; refresh_token: string }
    expect((await call(next)).status).toBe(200)
    expect((await refresh(host.url, { ...next, clientId: tokens.clientId })).status).toBe(200)
  })

  it('is known by our own clock: nobody asks Entra to take it', async () => {
    // Ours is forty seconds ahead of Entra's, and our token lives as long as Entra's by our clock.
    const behind = await startEntra({ accessTokenLifetime: 60 })
    behind.advance(-40)
    const world = await startDownstreamHost({ entra: behind })
    try {
      const tokens = await login(world.url, { user: ada })
      behind.clearRequests()
      world.advance(30)
      expect((await call(tokens, world)).status).toBe(200)
      const [first, ...exchanges] = behind.requestsTo('token')
      expect(first?.grantType).toBe('refresh_token')
      expect(exchanges.map(({ grantType }) => grantType)).not.toContain('refresh_token')
      expect(new Set(exchanges.map(({ status }) => status))).toEqual(new Set([200]))
    } finally {
      await world.close()
      await behind.close()
    }
  })

  it('is a 401 when the new one is refused as well: one retry, no more', async () => {
    const tokens = await login(host.url, { user: ada })
    entra.clearRequests()
    expired()
    const response = await call(tokens)
    expect(response.status).toBe(401)
    expect(await response.json()).toEqual({
      error: 'invalid_token',
      error_description: 'Microsoft Entra no longer accepts the login. Sign in again.',
    })
    expect(asked('on_behalf_of')).toHaveLength(2)
    expect(asked('refresh_token')).toHaveLength(1)
  })

  it('is a 401 when Entra has ended the login, and a 503 when Entra is away', async () => {
    const [unlucky, ended] = [await login(host.url), await login(host.url)]
    expired(1)
    const outage = entra.fault({ at: 'token', grant: 'refresh_token', retryAfter: 7 })
    const away = await call(unlucky)
    expect([away.status, away.headers.get('retry-after')]).toEqual([503, '7'])
    outage()
    entra.revokeUser(ada)
    expired(1)
    expect((await call(ended)).status).toBe(401)
  })

  it('is a 401 in direct mode: there is nothing to renew it with', async () => {
    entra.clearRequests()
    expired(1)
    const token = await entra.mintAccessToken({ user: ada })
    expect((await call({ access_token: token })).status).toBe(401)
    expect(asked('refresh_token')).toEqual([])
  })

  it('does not come back to life with a login that was revoked meanwhile', async () => {
    const tokens = await login(host.url, { user: ada })
    expired(1)
    entra.fault({ at: 'token', grant: 'refresh_token', delay: 0.3 })
    const pending = call(tokens)
    await until(() => asked('refresh_token').length > 0)
    const body = new URLSearchParams({ token: tokens.refresh_token, client_id: tokens.clientId })
    expect((await fetch(`${host.url}/revoke`, { method: 'POST', body })).status).toBe(200)
    expect((await pending).status).toBe(401)
    expect((await refresh(host.url, tokens)).status).toBe(400)
  })
})

describe('a login that has been refreshed', () => {
  it('exchanges its newest assertion within a minute, whichever access token the call brings', async () => {
    const tokens = await login(host.url, { user: ada })
    entra.clearRequests()
    expect((await call(tokens)).status).toBe(200)
    expect((await refresh(replica.url, tokens)).status).toBe(200)
    host.advance(60)
    expect((await call(tokens)).status).toBe(200)
    const assertions = asked('on_behalf_of').map(({ assertion }) => assertion)
    expect(assertions).toHaveLength(2)
    expect(new Set(assertions).size).toBe(2)
  })
})

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (condition()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('it did not happen')
}
