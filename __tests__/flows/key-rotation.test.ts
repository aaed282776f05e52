/** A new key comes in two steps, and nobody's login notices: two replicas, restarted one after the other. */
import { afterEach, describe, expect, it } from '@jest/globals'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { memoryStorage, type Storage } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { redisStorage } from '../../lib/storage/redis.js'
import { formWith, openApps, signInAtAccount } from '../support/account.js'
import { get, startDownstreamHost } from '../support/downstream-host.js'
import { testKeys } from '../support/host.js'
import {
  bob,
  callMcp,
  getCode,
  getNotes,
  login,
  postJson,
  redeem,
  redirectUri,
  refresh,
  type Tokens,
  toolText,
} from '../support/oauth-client.js'
import { approve, openConsent, signInAtEntra } from '../support/proxy.js'
import { describeWithRedis, redisForTests } from '../support/redis-server.js'
import { type Replicas, startReplicas } from '../support/replicas.js'

const [oldKey, newKey] = testKeys as [string, string]

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** Two replicas, and the one that then takes the place of one of them, restarted with other keys. */
interface Moment {
  readonly running: readonly [number, number]
  readonly next: number
}

const moments: readonly Moment[] = [
  { running: [0, 1], next: 2 },
  // Appended on the first, then on both.
  { running: [2, 1], next: 3 },
  { running: [2, 3], next: 4 },
  // In front on the first, then on both.
  { running: [4, 3], next: 5 },
  { running: [4, 5], next: 5 },
]

const keysOf = [[oldKey], [oldKey], [oldKey, newKey], [oldKey, newKey], [newKey, oldKey]]

async function startRotation(storages: readonly Storage[]): Promise<Replicas> {
  const world = await startReplicas([])
  closing.push(() => world.close())
  for (const number of [0, 1, 2, 3, 4, 5]) {
    const storage = storages[number % storages.length] as Storage
    await world.add(storage, { keys: keysOf[number] ?? [newKey, oldKey] })
  }
  return world
}

/** Everything a client or a browser may hold that this replica has sealed or signed. */
async function begin(world: Replicas, replica: number) {
  world.route(() => replica)
  const { url } = world
  const confidential = await registerWithSecret(url)
  const [consent, atEntra, atCallback, code, tokens] = await Promise.all([
    openConsent(url),
    approve(url),
    signInAtEntra(url),
    getCode(url, { clientId: confidential.client_id }),
    login(url),
  ])
  const { client_secret } = confidential
  return { consent, atEntra, atCallback, code, client_secret, tokens }
}

/** Bob's connected apps: a sign-in under way in one browser, the page with its forms in another. */
async function beginAccount(url: string) {
  const { access_token } = await login(url, { user: bob })
  return {
    token: access_token,
    underWay: await signInAtAccount(url, bob),
    seen: await openApps(url, bob),
  }
}

/** The sign-in ends at another replica, and the page's form is sent there. */
async function finishAccount(
  url: string,
  { token, underWay, seen }: Awaited<ReturnType<typeof beginAccount>>,
) {
  const { html } = await underWay.browser.open(underWay.callback)
  expect(html).toContain('Bob')
  expect(html).toContain('Test client')
  expect((await seen.browser.open(`${url}/auth/apps`)).html).toContain('Test client')
  expect((await getNotes(url, token)).status).toBe(200)
  const page = await seen.browser.open(...formWith(seen.page, 'app', 'all'))
  expect(page.url).toBe(`${url}/auth/apps`)
  expect(page.html).not.toContain('Test client')
  expect((await getNotes(url, token)).status).toBe(401)
}

async function registerWithSecret(url: string) {
  const answer = await postJson(`${url}/register`, {
    redirect_uris: [redirectUri],
    token_endpoint_auth_method: 'client_secret_post',
  })
  return (await answer.json()) as { client_id: string; client_secret: string }
}

/** All of it goes on at another replica. @returns the tokens that came of it */
async function finish(
  world: Replicas,
  replica: number,
  begun: Awaited<ReturnType<typeof begin>>,
): Promise<Tokens[]> {
  world.route(() => replica)
  const { url } = world
  const { consent, atEntra, atCallback, code, client_secret, tokens } = begun
  const { browser } = consent
  const [approved, returned, called] = await Promise.all([
    browser.press(consent.page, 'approve').then((page) => codeIn(page.url)),
    atEntra.browser.open(atEntra.upstream.href).then((page) => codeIn(page.url)),
    atCallback.browser.open(atCallback.callback).then((page) => codeIn(page.url)),
  ])
  const answers = await Promise.all([
    redeem(url, { ...consent, code: approved }),
    redeem(url, { ...atEntra, code: returned }),
    redeem(url, { ...atCallback, code: called }),
    redeem(url, code, { client_secret }),
    refresh(url, tokens),
  ])
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
  return Promise.all(answers.map(async (answer) => (await answer.json()) as Tokens))
}

function loginAt(world: Replicas, replica: number) {
  world.route(() => replica)
  return login(world.url)
}

function codeIn(address: string): string {
  return new URL(address).searchParams.get('code') ?? ''
}

async function expectGatesOpen(world: Replicas, replicas: readonly number[], token: string) {
  for (const number of replicas) {
    const { url } = at(world, number)
    expect((await getNotes(url, token)).status).toBe(200)
    const profile = { name: 'my_profile', arguments: {} }
    const answer = await callMcp(url, token, 'tools/call', profile)
    expect(await toolText(answer)).toHaveProperty('userPrincipalName')
  }
}

function at(world: Replicas, number: number) {
  const replica = world.all[number]
  if (!replica) throw new Error(`no replica ${number}`)
  return replica
}

/** What began on either replica of a moment goes on, now or in the next moment, on every other one. */
async function rotate(world: Replicas, during: readonly Moment[] = moments): Promise<void> {
  const { clientId, ...first } = await loginAt(world, 0)
  let oldest: Tokens = first
  for (const { running, next } of during) {
    for (const one of running) {
      for (const other of new Set([...running, next])) {
        if (other === one) continue
        const begun = await begin(world, one)
        const [, , , code, refreshed] = await finish(world, other, begun)
        for (const tokens of [begun.tokens, code, refreshed]) {
          await expectGatesOpen(world, [other], tokens?.access_token ?? '')
        }
      }
      const answer = await refresh(at(world, one).url, { ...oldest, clientId })
      expect(answer.status).toBe(200)
      oldest = (await answer.json()) as Tokens
      await expectGatesOpen(world, running, oldest.access_token)
    }
  }
}

const kid = (token: string): unknown =>
  JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid

describe('a key that is appended everywhere, and then moved to the front everywhere', () => {
  it('costs nobody a login, wherever it began and wherever it goes on', async () => {
    await rotate(await startRotation([memoryStorage()]))
  })

  it('costs nobody a sign-in to the account pages, nor a page that is open', async () => {
    const world = await startRotation([memoryStorage()])
    const { url } = world
    for (const { running, next } of moments) {
      for (const [one, other] of [running, running.toReversed(), [running[0], next]]) {
        world.route(() => one)
        const begun = await beginAccount(url)
        world.route(() => other)
        await finishAccount(url, begun)
      }
    }
  })

  it('is known to whoever verifies by /jwks before it signs anything', async () => {
    const world = await startRotation([memoryStorage()])
    const keySet = async (number: number) =>
      (await (await fetch(`${at(world, number).url}/jwks`)).json()) as JSONWebKeySet
    const appended = await keySet(2)
    expect(appended.keys).toHaveLength(2)
    const [before, after] = [await loginAt(world, 2), await loginAt(world, 4)]
    expect(kid(after.access_token)).not.toBe(kid(before.access_token))
    for (const { access_token } of [before, after]) {
      for (const keys of [appended, await keySet(4)]) {
        const { payload } = await jwtVerify(access_token, createLocalJWKSet(keys))
        expect(payload.iss).toBe(world.url)
      }
    }
  })

  it('leaves replicas the downstream tokens that they share', async () => {
    const entra = await startEntra()
    closing.push(() => entra.close())
    const storage = memoryStorage()
    const start = async (keys: readonly string[]) => {
      const options = { storage, keys, shareDownstreamTokens: true }
      const host = await startDownstreamHost({ entra, options })
      closing.push(() => host.close())
      return async (token: string) =>
        ((await (await get(`${host.url}/api/graph`, token)).json()) as { token: string }).token
    }
    const [appended, moved] = [await start([oldKey, newKey]), await start([newKey, oldKey])]
    for (const [one, other] of [
      [appended, moved],
      [moved, appended],
    ] as const) {
      const token = await entra.mintAccessToken()
      expect(await other(token)).toBe(await one(token))
    }
    const exchanges = entra
      .requestsTo('token')
      .filter(({ grantType }) => grantType === 'on_behalf_of')
    expect(exchanges).toHaveLength(2)
  })
})

describe('a key that is put in front where the next replica does not know it', () => {
  it('is refused there in everything it has sealed or signed: hence the two steps', async () => {
    const world = await startRotation([memoryStorage()])
    const begun = await begin(world, 4)
    world.route(() => 1)
    const { url } = world
    const { consent, atEntra, atCallback, code, client_secret, tokens } = begun
    expect((await consent.browser.press(consent.page, 'approve')).status).toBe(403)
    expect((await atEntra.browser.open(atEntra.upstream.href)).status).toBe(403)
    expect((await atCallback.browser.open(atCallback.callback)).status).toBe(403)
    const refused = [await redeem(url, code, { client_secret }), await refresh(url, tokens)]
    expect(refused.map(({ status }) => status)).toEqual([401, 401])
    expect((await getNotes(url, tokens.access_token)).status).toBe(401)
    // Nothing is lost by it: on a replica that knows the key all goes on.
    expect(await finish(world, 5, begun)).toHaveLength(5)
  })
})

describe('an old key that is dropped', () => {
  it('takes with it the client ids it sealed, and the logins not refreshed since the new one moved to the front', async () => {
    const storage = memoryStorage()
    const world = await startRotation([storage])
    const [renewed, left] = [await loginAt(world, 3), await loginAt(world, 3)]
    const answer = (await (await refresh(at(world, 5).url, renewed)).json()) as Tokens
    const since = await loginAt(world, 5)
    const { url } = await world.add(storage, { keys: [newKey] })
    world.route(() => 6)
    expect((await getNotes(url, left.access_token)).status).toBe(401)
    expect((await getNotes(url, answer.access_token)).status).toBe(200)
    const dead = await refresh(url, { ...answer, clientId: renewed.clientId })
    expect([dead.status, await dead.json()]).toEqual([
      401,
      expect.objectContaining({ error: 'invalid_client' }),
    ])
    expect((await refresh(url, since)).status).toBe(200)
    await login(url, { clientId: since.clientId })
  })

  it('takes with it the browser sessions of before: who comes back signs in once more', async () => {
    const storage = memoryStorage()
    const world = await startRotation([storage])
    world.route(() => 3)
    const { url } = world
    const { underWay, seen } = await beginAccount(url)
    await world.add(storage, { keys: [newKey] })
    world.route(() => 6)
    expect((await underWay.browser.open(underWay.callback)).status).toBe(403)
    const [target, form] = formWith(seen.page, 'app', 'all')
    expect((await seen.browser.fetchOnce(target, form)).status).toBe(403)
    const away = await seen.browser.fetchOnce(`${url}/auth/apps`)
    expect(away.status).toBe(302)
    const { page } = await openApps(url, bob, seen.browser)
    expect(page.status).toBe(200)
    expect(page.html).toContain('Bob')
    // An entry that can no longer be read costs nobody the page, nor the next entry.
    await login(url, { user: bob })
    const { html } = await seen.browser.open(`${url}/auth/apps`)
    expect(html).toContain('Test client')
  })
})

describeWithRedis('a key that is rotated in two steps, on two connections to one Redis', () => {
  it('costs nobody a login either', async () => {
    const redis = await redisForTests()
    closing.push(() => redis.close())
    const prefix = `rotation-${process.pid}:`
    const storages = [1, 2].map(() => redisStorage({ url: redis.url }, { prefix, deadline: 5 }))
    closing.push(() => Promise.all(storages.map((storage) => storage.close())))
    await rotate(await startRotation(storages), moments.slice(3, 4))
  })
})
