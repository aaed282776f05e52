/** Entra or the store out of order: bounded, said as what it is, and nothing lost afterwards. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { memoryStorage, type Storage } from 'mcp-entra'
import type { EntraFault } from 'mcp-entra/testing'
import { type Entra, startWorld, type World } from '../support/host.js'
import {
  callMcp,
  getNotes,
  login,
  postForm,
  redeem,
  refresh,
  register,
  type Tokens,
  toolText,
} from '../support/oauth-client.js'
import {
  clientAnswer,
  entraWords,
  jsonOf,
  openConsent,
  signInAtEntra,
  startProxy,
  startTestEntra,
  type TestProxy,
  testClock,
} from '../support/proxy.js'
import { withShortDeadlines } from '../support/short-deadlines.js'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterEach(() => world.entra.clearFaults())
afterAll(() => world.close())

/** Seconds within which anything must be answered. */
const patience = 11.5

async function bounded<T>(work: Promise<T>): Promise<T> {
  const started = performance.now()
  const result = await work
  expect((performance.now() - started) / 1000).toBeLessThan(patience)
  return result
}

async function expect503(response: Response, retryAfter?: string): Promise<void> {
  expect(response.status).toBe(503)
  if (retryAfter) expect(response.headers.get('retry-after')).toBe(retryAfter)
  else expect(response.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(response.headers.get('www-authenticate')).toBeNull()
  const body = await jsonOf<Record<string, string>>(response)
  expect(body).toEqual({
    error: 'temporarily_unavailable',
    error_description: expect.any(String),
  })
  expect(body.error_description).not.toMatch(entraWords)
}

const profile = (token: string) =>
  callMcp(world.url, token, 'tools/call', { name: 'my_profile', arguments: {} })

/** What Entra may do to a request, and the Retry-After it leads to, when it names one. */
const troubles: [string, Partial<EntraFault>, string | undefined][] = [
  ['resets the connection', { reset: true }, undefined],
  ['throttles', { status: 429, retryAfter: 17 }, '17'],
  ['throttles without a time', { status: 429 }, undefined],
  ['sends the HTML of a gateway', { html: true }, undefined],
  ['sends HTML with status 200', { html: true, status: 200 }, undefined],
  ['sends an empty object', { body: '{}' }, undefined],
  ['sends broken JSON', { body: '{"access_token":' }, undefined],
  ['is down for maintenance', { error: 90033, status: 503 }, undefined],
]

describe.each(troubles)('Entra %s', (_what, fault, retryAfter) => {
  const at = 'token'

  it('at the callback: the client hears temporarily_unavailable', async () => {
    const { browser, callback } = await signInAtEntra(world.url)
    const remove = world.entra.fault({ at, grant: 'authorization_code', ...fault })
    const page = await bounded(browser.fetchOnce(callback))
    remove()
    const answer = clientAnswer(page)
    expect(answer).toEqual({
      error: 'temporarily_unavailable',
      error_description: expect.any(String),
      state: 'client-state',
      iss: world.url,
    })
  })

  it('at a refresh: 503, and the same refresh token works afterwards', async () => {
    const session = await login(world.url)
    const remove = world.entra.fault({ at, grant: 'refresh_token', ...fault })
    const response = await bounded(refresh(world.url, session))
    remove()
    await expect503(response, retryAfter)
    const again = await refresh(world.url, session)
    expect(again.status).toBe(200)
    const { access_token } = await jsonOf<Tokens>(again)
    expect((await getNotes(world.url, access_token)).status).toBe(200)
  })

  it('at an exchange: 503, and the tool works afterwards', async () => {
    const session = await login(world.url)
    const remove = world.entra.fault({ at, grant: 'on_behalf_of', ...fault })
    const response = await bounded(profile(session.access_token))
    remove()
    await expect503(response, retryAfter)
    // Other tools, and other users, are none the worse meanwhile.
    const who = await callMcp(world.url, session.access_token, 'tools/call', { name: 'whoami' })
    expect(who.status).toBe(200)
    const next = await login(world.url)
    expect(await toolText(await profile(next.access_token))).toHaveProperty('userPrincipalName')
  })
})

describe('Entra hangs', () => {
  it('at callback, refresh and exchange at once: all answered in time, nothing lost', async () => {
    const { entra, url } = world
    const [coming, session] = await Promise.all([signInAtEntra(url), login(url)])
    const remove = entra.fault({ at: 'token', hang: true })
    const { result, deadlines } = await withShortDeadlines(() =>
      Promise.all([
        coming.browser.fetchOnce(coming.callback),
        refresh(url, session),
        profile(session.access_token),
      ]),
    )
    const [page, refreshing, exchanging] = result
    remove()
    // Three requests, two of which may be tried again within the same time.
    expect(deadlines.length).toBeGreaterThanOrEqual(3)
    expect(Math.max(...deadlines)).toBeLessThanOrEqual(8)
    expect(clientAnswer(page)).toMatchObject({ error: 'temporarily_unavailable', iss: url })
    await expect503(refreshing)
    await expect503(exchanging)
    expect((await refresh(url, session)).status).toBe(200)
    expect((await profile(session.access_token)).status).toBe(200)
  }, 30_000)
})

describe('the keys of a host that has just started', () => {
  it.each<[string, Partial<EntraFault>]>([
    ['cannot be fetched', { reset: true }],
    ['are throttled', { status: 429, retryAfter: 9 }],
    ['are a page', { html: true }],
    ['are an empty set', { body: '{"keys":[]}' }],
    ['never come', { hang: true }],
  ])('%s: 503 and no 401, and the same token is good afterwards', async (_what, fault) => {
    const clock = testClock()
    const cold = await startProxy(world.entra, { now: clock.now })
    const token = await world.entra.mintAccessToken()
    const remove = world.entra.fault({ at: 'keys', ...fault })
    const asked = () => bounded(getNotes(cold.url, token))
    await expect503(
      await (fault.hang ? withShortDeadlines(asked).then(({ result }) => result) : asked()),
    )
    const { browser, callback } = await signInAtEntra(cold.url)
    const page = await bounded(browser.fetchOnce(callback))
    remove()
    expect(clientAnswer(page)).toMatchObject({ error: 'temporarily_unavailable' })
    expect(cold.logs).toContainEqual(
      expect.objectContaining({ message: 'mcp-entra: failure', endpoint: 'callback' }),
    )
    clock.advance(60)
    expect((await getNotes(cold.url, token)).status).toBe(200)
    await login(cold.url)
  })
})

describe('Entra is gone', () => {
  it('connections are refused: everything that needs no Entra goes on', async () => {
    const entra: Entra = await startTestEntra()
    const proxy = await startProxy(entra)
    const session = await login(proxy.url)
    const coming = await signInAtEntra(proxy.url)
    await entra.close()
    await expect503(await bounded(refresh(proxy.url, session)))
    const page = await bounded(coming.browser.fetchOnce(coming.callback))
    expect(clientAnswer(page)).toMatchObject({ error: 'temporarily_unavailable' })
    expect((await getNotes(proxy.url, session.access_token)).status).toBe(200)
    const { page: consent } = await openConsent(proxy.url)
    expect(consent.status).toBe(200)
    const revoked = await postForm(`${proxy.url}/revoke`, {
      token: session.refresh_token,
      client_id: session.clientId,
    })
    expect(revoked.status).toBe(200)
  })
})

describe('the store is out of order', () => {
  /** A store that can be broken: by a rejection, or by an exception before there is a promise. */
  function brittle() {
    const memory = memoryStorage()
    const clock = testClock()
    let broken: 'rejects' | 'throws' | undefined
    let failed: () => void = () => undefined
    const secret = 'redis://:password@10.0.0.1'
    const guarded =
      <A extends unknown[], T>(operation: (...args: A) => Promise<T>) =>
      (...args: A): Promise<T> => {
        if (broken) {
          // As if each failure had taken a second.
          clock.advance(1)
          failed()
        }
        if (broken === 'throws') throw new Error(`connection lost to ${secret}`)
        if (broken === 'rejects') return Promise.reject(new Error('connection lost'))
        return operation(...args)
      }
    const storage: Storage = {
      get: guarded(memory.get),
      set: guarded(memory.set),
      add: guarded(memory.add),
      take: guarded(memory.take),
    }
    return {
      storage,
      now: clock.now,
      secret,
      break: (how: 'rejects' | 'throws' | undefined) => {
        broken = how
      },
      /** Settles with the next operation that fails. */
      failure: () =>
        new Promise<void>((resolve) => {
          failed = resolve
        }),
    }
  }

  describe.each(['rejects', 'throws'] as const)('it %s', (how) => {
    const store = brittle()
    let proxy: TestProxy
    beforeAll(async () => {
      proxy = await startProxy(world.entra, { storage: store.storage, now: store.now })
    })

    it('every endpoint that needs it answers 503, and goes on afterwards', async () => {
      const session = await login(proxy.url)
      const coming = await signInAtEntra(proxy.url)
      const finishing = await signInAtEntra(proxy.url)
      const code = clientAnswer(await finishing.browser.fetchOnce(finishing.callback)).code ?? ''
      store.break(how)
      proxy.logs.length = 0
      const { clientId, refresh_token, access_token } = session
      for (const response of [
        await redeem(proxy.url, { ...finishing, code }),
        await refresh(proxy.url, session),
        await postForm(`${proxy.url}/revoke`, { token: refresh_token, client_id: clientId }),
        await postForm(`${proxy.url}/revoke`, { token: access_token, client_id: clientId }),
        await getNotes(proxy.url, access_token),
      ]) {
        const text = await response.clone().text()
        expect(text).not.toMatch(/connection|password|redis/)
        await expect503(response)
      }
      const page = await coming.browser.fetchOnce(coming.callback)
      expect(clientAnswer(page)).toMatchObject({ error: 'temporarily_unavailable' })
      expect(proxy.logs.length).toBeGreaterThanOrEqual(6)
      for (const line of proxy.logs) {
        expect(line.message).toBe('mcp-entra: failure')
        expect(String(line.cause)).toContain('connection lost')
      }
      store.break(undefined)
      expect((await refresh(proxy.url, session)).status).toBe(200)
      expect((await redeem(proxy.url, { ...finishing, code })).status).toBe(200)
      expect((await getNotes(proxy.url, access_token)).status).toBe(200)
    })

    it('for less than five seconds at the callback: the client gets its code, though Entra gives one only once', async () => {
      const { browser, callback, ...coming } = await signInAtEntra(proxy.url)
      store.break(how)
      const failure = store.failure()
      const page = browser.fetchOnce(callback)
      await failure
      store.break(undefined)
      const { code = '' } = clientAnswer(await page)
      const answer = await redeem(proxy.url, { ...coming, code })
      expect(answer.status).toBe(200)
      const { access_token } = await jsonOf<Tokens>(answer)
      expect((await getNotes(proxy.url, access_token)).status).toBe(200)
    })

    it('registration, consent and discovery never notice', async () => {
      store.break(how)
      await register(proxy.url)
      expect((await openConsent(proxy.url)).page.status).toBe(200)
      expect((await fetch(`${proxy.url}/jwks`)).status).toBe(200)
      store.break(undefined)
    })
  })

  it('right after a code was redeemed: the client gets its tokens, though the code is gone', async () => {
    const memory = memoryStorage()
    const failing = { grant: 0, 'spent-code': 0 }
    const storage: Storage = {
      ...memory,
      async set(key, value, ttlSeconds) {
        const kind = key.split(':')[0] as keyof typeof failing
        await memory.set(key, value, ttlSeconds)
        if (!failing[kind]) return
        failing[kind] -= 1
        throw new Error('down')
      },
    }
    const proxy = await startProxy(world.entra, { storage })
    const { browser, callback, ...coming } = await signInAtEntra(proxy.url)
    const { code = '' } = clientAnswer(await browser.fetchOnce(callback))
    Object.assign(failing, { grant: 1, 'spent-code': 2 })
    const answer = await redeem(proxy.url, { ...coming, code })
    expect(failing).toEqual({ grant: 0, 'spent-code': 0 })
    expect(answer.status).toBe(200)
    const tokens = await jsonOf<Tokens>(answer)
    expect((await getNotes(proxy.url, tokens.access_token)).status).toBe(200)
    expect((await refresh(proxy.url, { ...tokens, clientId: coming.clientId })).status).toBe(200)
  })

  it('half way through a refresh leaves the client a token that works', async () => {
    const memory = memoryStorage()
    let countdown = Number.POSITIVE_INFINITY
    const writing =
      <A extends unknown[], T>(operation: (...args: A) => Promise<T>) =>
      (...args: A): Promise<T> =>
        --countdown < 0 ? Promise.reject(new Error('crash')) : operation(...args)
    const storage: Storage = {
      get: memory.get,
      set: writing(memory.set),
      add: memory.add,
      take: memory.take,
    }
    const proxy = await startProxy(world.entra, { storage })
    for (let crashAt = 0; crashAt < 6; crashAt++) {
      const session = await login(proxy.url)
      countdown = crashAt
      const response = await refresh(proxy.url, session)
      countdown = Number.POSITIVE_INFINITY
      expect([200, 503]).toContain(response.status)
      const again = await refresh(proxy.url, session)
      expect(again.status).toBe(200)
      const next = await jsonOf<Tokens>(again)
      expect((await getNotes(proxy.url, next.access_token)).status).toBe(200)
      const third = await refresh(proxy.url, { ...next, clientId: session.clientId })
      expect(third.status).toBe(200)
    }
  })
})
