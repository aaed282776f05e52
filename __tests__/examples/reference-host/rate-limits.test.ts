/** The reference host's rate limits: what is counted, for which sender, and how a flood is answered. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { createHost, type HostOptions } from '../../../examples/reference-host/host.js'
import { redisCounts } from '../../../examples/reference-host/redis-counts.js'
import { type Entra, type Listening, listen, settingsFor } from '../../support/host.js'
import { send, startTestEntra } from '../../support/proxy.js'
import { describeWithOwnRedis } from '../../support/redis-server.js'

let entra: Entra
let hosts: Listening[] = []
beforeAll(async () => {
  entra = await startTestEntra()
})
afterEach(async () => {
  await Promise.all(hosts.map((host) => host.close()))
  hosts = []
})

async function startHost(options: HostOptions): Promise<string> {
  const host = await listen((url) => createHost(settingsFor(entra, url), options))
  hosts.push(host)
  return host.url
}

const limits = {
  perMinute: {
    register: 2,
    authorize: 2,
    consent: 2,
    token: 2,
    revoke: 2,
    'auth/apps': 2,
    'auth/signout': 2,
  },
}

/** A request as a reverse proxy passes it on. */
const from = (address: string) => ({ 'x-forwarded-for': address })

async function statuses(count: number, request: () => Promise<{ status: number }>) {
  const seen: number[] = []
  for (let i = 0; i < count; i++) seen.push((await request()).status)
  return seen
}

const postToken = (url: string, headers: Record<string, string>) =>
  send(`${url}/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: 'grant_type=refresh_token&client_id=nobody',
  })

describe('rate limits', () => {
  it.each([
    ['register', 'POST'],
    ['authorize', 'GET'],
    ['consent', 'POST'],
    ['token', 'POST'],
    ['revoke', 'POST'],
    ['auth/apps', 'GET'],
    ['auth/apps/revoke', 'POST'],
    ['auth/signout', 'POST'],
  ])('end a flood on /%s with 429, Retry-After and an OAuth error', async (endpoint, method) => {
    const url = await startHost({ limits })
    const request = () =>
      send(`${url}/${endpoint}`, { method, headers: from('203.0.113.7'), body: '' })
    expect((await statuses(2, request)).filter((status) => status === 429)).toEqual([])
    const { status, headers, body } = await request()
    expect({ status, body: JSON.parse(body) }).toEqual({
      status: 429,
      body: {
        error: 'temporarily_unavailable',
        error_description: 'Too many requests from this address. Try again later.',
      },
    })
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    expect(Number(headers['retry-after'])).toBeLessThanOrEqual(60)
    expect(headers['cache-control']).toBe('no-store')
    expect(headers['access-control-allow-origin']).toBe('*')
  })

  it('count each address and each endpoint separately', async () => {
    const url = await startHost({ limits })
    expect(await statuses(3, () => postToken(url, from('203.0.113.7')))).toEqual([401, 401, 429])
    expect((await postToken(url, from('203.0.113.8'))).status).toBe(401)
    const revoke = await send(`${url}/revoke`, { method: 'POST', headers: from('203.0.113.7') })
    expect(revoke.status).not.toBe(429)
  })

  it('count the address that the nearest proxy names, not one that a sender invents', async () => {
    const url = await startHost({ limits })
    let invented = 0
    const flood = () => postToken(url, from(`198.51.100.${invented++}, 203.0.113.7`))
    expect(await statuses(3, flood)).toEqual([401, 401, 429])
  })

  it('ignore X-Forwarded-For with trustProxy: false', async () => {
    const url = await startHost({ limits, trustProxy: false })
    let invented = 0
    const flood = () => postToken(url, from(`203.0.113.${invented++}`))
    expect(await statuses(3, flood)).toEqual([401, 401, 429])
  })

  it('count all ports of an address (Azure App Service) and a /56 of IPv6 as one sender', async () => {
    const url = await startHost({ limits })
    let port = 40_000
    expect(await statuses(3, () => postToken(url, from(`203.0.113.9:${port++}`)))).toEqual([
      401, 401, 429,
    ])
    let host = 1
    expect(await statuses(3, () => postToken(url, from(`2001:db8:0:1::${host++}`)))).toEqual([
      401, 401, 429,
    ])
  })

  it('count neither this machine nor preflights', async () => {
    const url = await startHost({ limits })
    expect(new Set(await statuses(20, () => postToken(url, {})))).toEqual(new Set([401]))
    const preflight = () =>
      send(`${url}/token`, { method: 'OPTIONS', headers: from('203.0.113.7') })
    expect(new Set(await statuses(5, preflight))).toEqual(new Set([204]))
  })

  it('do not count this machine behind its own proxy, and count all other senders behind it', async () => {
    const url = await startHost({ limits })
    for (const own of ['127.0.0.1', '::1', '127.0.0.1, ::ffff:127.0.0.1']) {
      expect(await statuses(3, () => postToken(url, from(own)))).toEqual([401, 401, 401])
    }
    const stranger = () => postToken(url, from('127.0.0.1, 203.0.113.9'))
    expect(await statuses(3, stranger)).toEqual([401, 401, 429])
  })

  it('can be higher, and can be off', async () => {
    const high = await startHost({ limits: { perMinute: { token: 10_000 } } })
    const off = await startHost({ limits: false })
    for (const url of [high, off]) {
      const answers = await Promise.all(
        Array.from({ length: 700 }, () => postToken(url, from('203.0.113.7'))),
      )
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]))
    }
  })

  it('by default let an office share one address, and still end a flood', async () => {
    const url = await startHost({})
    const answers = await Promise.all(
      Array.from({ length: 650 }, () => postToken(url, from('203.0.113.7'))),
    )
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused).toHaveLength(50)
  })
})

describeWithOwnRedis('rate limits in Redis', () => {
  let redis: ChildProcess | undefined
  let port = 0
  const counts: { close(): void }[] = []

  beforeAll(async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    port = (server.address() as { port: number }).port
    server.close()
    await once(server, 'close')
  })
  afterAll(async () => {
    for (const one of counts) one.close()
    // A stopped process reacts to no other signal.
    redis?.kill('SIGKILL')
  })

  async function startRedis(): Promise<void> {
    redis = spawn('redis-server', ['--port', String(port), '--save', '', '--appendonly', 'no'])
    let printed = ''
    for await (const chunk of redis.stdout ?? []) {
      printed += chunk
      if (printed.includes('Ready to accept connections')) return
    }
    throw new Error(printed)
  }

  async function replica(): Promise<string> {
    const { store, close } = redisCounts(`redis://127.0.0.1:${port}`)
    counts.push({ close })
    return startHost({ limits: { ...limits, store } })
  }

  it('let everybody pass while Redis is away, and count together once it is there', async () => {
    const [one, two] = [await replica(), await replica()]
    const flood = (url: string) => () => postToken(url, from('203.0.113.7'))
    expect(await statuses(5, flood(one))).toEqual([401, 401, 401, 401, 401])
    await startRedis()
    // Until the client has reconnected nobody is refused.
    const deadline = Date.now() + 10_000
    while ((await flood(one)()).status !== 429) {
      if (Date.now() > deadline) throw new Error('the limiter never found its Redis')
    }
    let status = 0
    while (status !== 429 && Date.now() < deadline) ({ status } = await flood(two)())
    expect(status).toBe(429)
    expect((await postToken(two, from('203.0.113.8'))).status).toBe(401)
  })

  it('let everybody pass within seconds when Redis stops answering', async () => {
    const url = await replica()
    const silent = () => postToken(url, from('203.0.113.20'))
    const deadline = Date.now() + 10_000
    while ((await silent()).status !== 429 && Date.now() < deadline);
    redis?.kill('SIGSTOP')
    const began = Date.now()
    expect((await silent()).status).toBe(401)
    expect(Date.now() - began).toBeLessThan(6000)
    redis?.kill('SIGCONT')
  })
})
