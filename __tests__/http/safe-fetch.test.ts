/** Fetching what strangers name, on real sockets. */
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import type { Duplex } from 'node:stream'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import {
  FetchFailure,
  type SafeFetch,
  type SafeFetchOptions,
  type SafeRequest,
  safeFetch,
} from '../../lib/http/safe-fetch.js'
import { type DocumentServer, held, startDocumentServer } from '../support/client-documents.js'

let documents: DocumentServer
const servers: Server[] = []
const sockets = new Set<Duplex>()
beforeAll(async () => {
  documents = await startDocumentServer()
})
afterAll(async () => {
  for (const socket of sockets) socket.destroy()
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
})

const small: SafeRequest = { maxBytes: 1000, timeout: 2 }

function fetchOf(options: SafeFetchOptions = {}) {
  const fetch = safeFetch({ ...documents.options, ...options })
  return (url: string, request = small) => fetch(new URL(url), request)
}

async function failureOf(attempt: Promise<unknown>): Promise<{ kind: string; message: string }> {
  try {
    await attempt
  } catch (error) {
    if (error instanceof FetchFailure) return { kind: error.kind, message: error.message }
    throw error
  }
  throw new Error('it did not fail')
}

const notPublic = { kind: 'outage', message: 'the host has no public address' }
/** By the text of the URL: no look-up will ever change it. */
const neverPublic = { ...notPublic, kind: 'refused' }

describe('a safe fetch', () => {
  it('connects to the address it was given, with the name in SNI and Host, looked up once', async () => {
    const before = documents.lookups.length
    const url = documents.serve('/plain', { headers: { etag: '"one"' }, body: { a: 1 } })
    const answer = await fetchOf()(url)
    expect({ status: answer.status, etag: answer.headers.etag, body: String(answer.body) }).toEqual(
      {
        status: 200,
        etag: '"one"',
        body: '{"a":1}',
      },
    )
    const { headers, servername } = documents.arrived.at(-1) ?? {}
    expect({ host: headers?.host, servername }).toEqual({
      host: `client.example:${documents.port}`,
      servername: 'client.example',
    })
    expect(documents.lookups.slice(before)).toEqual(['client.example'])
  })

  it('sends nothing about itself but what a GET needs', async () => {
    await fetchOf()(documents.serve('/headers', { body: {} }))
    expect(documents.arrived.at(-1)?.headers).toEqual({
      host: `client.example:${documents.port}`,
      connection: expect.any(String),
      accept: 'application/json',
      'accept-encoding': 'identity',
    })
  })

  it('looks the host up anew each time: no connection outlives the check of its address', async () => {
    const url = documents.serve('/again', { body: {} })
    const answers = [['127.0.0.1'], ['10.0.0.1']]
    const fetch = fetchOf({ resolve: async () => answers.shift() ?? [] })
    expect((await fetch(url)).status).toBe(200)
    expect(await failureOf(fetch(url))).toEqual(notPublic)
  })

  it.each([
    ['only private ones', ['10.0.0.5']],
    ['the metadata service of a cloud', ['169.254.169.254']],
    ['one private among public ones', ['127.0.0.1', '8.8.8.8', '192.168.1.1']],
    ['an IPv4-mapped private one', ['::ffff:10.0.0.1']],
    ['a NAT64 disguise', ['64:ff9b::a00:1']],
    ['a 6to4 disguise', ['2002:a00:1::1']],
    ['an ISATAP disguise', ['2a00:1450::5efe:a00:1']],
    ['what is no address', ['client.example']],
    ['none', []],
  ])('refuses a host whose addresses are %s, before any connection', async (_what, addresses) => {
    const before = documents.arrived.length
    const url = documents.serve('/inside', { body: {} })
    expect(await failureOf(fetchOf({ resolve: async () => addresses })(url))).toEqual(notPublic)
    expect(documents.arrived).toHaveLength(before)
  })

  it.each(['10.0.0.5', '[fd00::1]', '169.254.169.254', '[::ffff:a9fe:a9fe]', '0.0.0.0'])(
    'refuses the literal address %s without a look-up',
    async (address) => {
      const before = documents.lookups.length
      expect(await failureOf(fetchOf()(`https://${address}:8443/x`))).toEqual(neverPublic)
      expect(documents.lookups).toHaveLength(before)
    },
  )

  it('does not take loopback for public unless it is told to', async () => {
    const url = `https://client.example/x`
    const fetch = fetchOf({ dangerouslyAllowLoopback: false })
    expect(await failureOf(fetch(url))).toEqual(notPublic)
    expect(await failureOf(fetch('https://127.0.0.1/x'))).toEqual(neverPublic)
    expect(await failureOf(fetch('https://[::1]/x'))).toEqual(neverPublic)
  })

  it('says the same of a host without an address as of one inside: no oracle of internal names', async () => {
    const without = await failureOf(fetchOf({ resolve: async () => [] })('https://a.example/x'))
    const inside = await failureOf(
      fetchOf({ resolve: async () => ['10.0.0.1'] })('https://a.example/x'),
    )
    expect(without).toEqual(inside)
  })

  it('connects to port 443 alone, and to others when they are named', async () => {
    const public8 = { resolve: async () => ['10.0.0.1'], dangerouslyAllowLoopback: false }
    expect(await failureOf(fetchOf(public8)('https://client.example:8443/x'))).toEqual({
      kind: 'refused',
      message: 'port 8443 is not one this server connects to',
    })
    for (const url of ['https://client.example/x', 'https://client.example:8443/x']) {
      expect(await failureOf(fetchOf({ ...public8, ports: [443, 8443] })(url))).toEqual(notPublic)
    }
  })

  it.each(['http://client.example/x', 'ftp://client.example/x', 'file:///etc/passwd', 'data:,x'])(
    'refuses %s',
    async (url) => {
      expect(await failureOf(fetchOf()(url))).toEqual({
        kind: 'refused',
        message: 'the URL is not https',
      })
    },
  )

  it('refuses userinfo', async () => {
    expect(await failureOf(fetchOf()('https://user@client.example/x'))).toMatchObject({
      message: 'the URL has userinfo',
    })
  })

  it('does not follow a redirect', async () => {
    const target = documents.serve('/target', { body: {} })
    const url = documents.serve('/moved', { status: 302, headers: { location: target }, body: {} })
    expect((await fetchOf()(url)).status).toBe(302)
    expect(documents.fetches(target)).toBe(0)
  })

  it('stops reading at its cap: told by Content-Length, or while reading', async () => {
    const long = 'x'.repeat(1001)
    const tooLong = { kind: 'refused', message: 'the answer is longer than 1000 bytes' }
    const told = documents.serve('/told', { headers: { 'content-length': '1001' }, body: long })
    expect(await failureOf(fetchOf()(told))).toEqual(tooLong)
    const chunked = documents.serve('/chunked', {
      headers: { 'transfer-encoding': 'chunked' },
      body: long,
    })
    expect(await failureOf(fetchOf()(chunked))).toEqual(tooLong)
    const fits = documents.serve('/fits', { body: 'x'.repeat(1000) })
    expect((await fetchOf()(fits)).body).toHaveLength(1000)
  })

  it('refuses a compressed answer: its cap is on what is read', async () => {
    const url = documents.serve('/zip', { headers: { 'content-encoding': 'gzip' }, body: 'x' })
    expect(await failureOf(fetchOf()(url))).toMatchObject({ kind: 'refused' })
  })

  it('ends at its deadline: a server that says nothing, and a look-up that never ends', async () => {
    const never = held<{ body: string }>()
    const silent = documents.serve('/silent', () => never.promise)
    const late = { kind: 'outage', message: 'no answer within 0.1 seconds' }
    expect(await failureOf(fetchOf()(silent, { maxBytes: 10, timeout: 0.1 }))).toEqual(late)
    never.release({ body: '' })
    const fetch = fetchOf({ resolve: () => new Promise<never>(() => {}) })
    expect(await failureOf(fetch('https://a.example/', { maxBytes: 10, timeout: 0.1 }))).toEqual(
      late,
    )
  })

  it('holds no socket beyond its deadline when the handshake never ends', async () => {
    const closed = held<void>()
    const server = createServer((socket) => {
      socket.on('error', () => {}).on('close', () => closed.release())
      socket.resume()
    })
    servers.push(server)
    const url = `https://client.example:${await listening(server)}/x`
    expect(await failureOf(fetchOf()(url, { maxBytes: 10, timeout: 0.2 }))).toMatchObject({
      kind: 'outage',
    })
    await closed.promise
  })

  it('ends at its deadline in the middle of a body that drips', async () => {
    const url = documents.serve('/drip', { headers: { 'content-length': '9' }, body: 'x' })
    expect(await failureOf(fetchOf()(url, { maxBytes: 10, timeout: 0.2 }))).toMatchObject({
      kind: 'outage',
    })
  })

  it('does not trust a certificate of another name, or of nobody', async () => {
    const url = documents.serve('/tls', { body: {} })
    const other = url.replace('client.example', 'other.example')
    expect(await failureOf(fetchOf()(other))).toMatchObject({ kind: 'outage' })
    expect(await failureOf(fetchOf({ ca: undefined })(url))).toMatchObject({ kind: 'outage' })
    expect((await fetchOf()(url)).status).toBe(200)
  })

  it('goes on to the next address when one cannot be reached', async () => {
    const url = documents.serve('/second', { body: {} })
    const fetch = fetchOf({ resolve: async () => ['127.0.0.2', '127.0.0.1'] })
    expect((await fetch(url)).status).toBe(200)
  })

  it('calls a resolver that fails an outage', async () => {
    const fetch = fetchOf({ resolve: () => Promise.reject(new Error('ESERVFAIL')) })
    expect(await failureOf(fetch('https://client.example/x'))).toEqual({
      kind: 'outage',
      message: 'the host cannot be looked up',
    })
  })

  it('asks DNS itself when it is told no resolver: a name that never exists is an outage (RFC 6761)', async () => {
    const failure = await failureOf(fetchOf({ resolve: undefined })('https://nowhere.invalid/x'))
    expect(failure.kind).toBe('outage')
    expect(failure.message).toMatch(
      /^(?:the host has no public address|the host cannot be looked up|no answer within 2 seconds)$/,
    )
  })

  it('keeps of a cause a short text: errors of TLS hold certificates, and all names in them', async () => {
    const cause = Object.assign(new Error(`${'x'.repeat(5000)}`), { code: 'ETLS', cert: {} })
    expect(new FetchFailure('outage', 'no', cause).cause).toHaveLength(200)
    expect(new FetchFailure('outage', 'no', new AggregateError([cause])).cause).toMatch(/^ETLS x+$/)
    expect(new FetchFailure('outage', 'no', 'because').cause).toBe('because')
    expect(new FetchFailure('outage', 'no').cause).toBeUndefined()
    const other = documents.serve('/cause', {}).replace('client.example', 'other.example')
    const failure = await fetchOf()(other).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      cause: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID'),
    })
  })
})

describe('many safe fetches at once', () => {
  const gaveWay = { kind: 'busy', message: 'this server has too many documents to fetch' }
  const slow = { maxBytes: 10, timeout: 20 }

  const ends: (() => void)[] = []
  afterEach(() => {
    for (const end of ends.splice(0)) end()
  })

  /** A fetch that finds our server at once, and no other host until the test is over. */
  function fetchOurs(now?: () => number): SafeFetch {
    const over = held<readonly string[]>()
    ends.push(() => over.release([]))
    const resolve = async (host: string) =>
      host === 'client.example' ? ['127.0.0.1'] : over.promise
    return safeFetch({ ...documents.options, resolve }, now)
  }

  /** So many fetches of silent hosts, under way. */
  function silent(
    count: number,
    fetch: SafeFetch,
    parties: (index: number) => { host: string; sender?: string },
  ) {
    return Array.from({ length: count }, (_, index) => {
      const { host, sender } = parties(index)
      return failureOf(fetch(new URL(`https://${host}/x`), { ...slow, sender }))
    })
  }

  /** A path of our server that does not answer until the test is over. */
  function muteUrl(path: string): URL {
    const over = held<{ body: string }>()
    ends.push(() => over.release({ body: '{}' }))
    return new URL(documents.serve(path, () => over.promise))
  }

  const goodUrl = (path: string) => new URL(documents.serve(path, {}))

  it('of 96 silent hosts do not stand in the way of 20 good ones', async () => {
    const fetch = fetchOurs()
    silent(96, fetch, (index) => ({ host: `silent${index}.example` }))
    const urls = Array.from({ length: 20 }, (_, index) => goodUrl(`/good/${index}`))
    const answers = await Promise.all(urls.map((url) => fetch(url, small)))
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(200))
  })

  it('end for a newcomer when there are too many: the one that has waited longest', async () => {
    const fetch = fetchOurs()
    const running = silent(192, fetch, (index) => ({
      host: `silent${index}.example`,
      sender: `sender ${index % 8}`,
    }))
    expect(await firstOf(running)).toBe('none')
    expect((await fetch(goodUrl('/newcomer'), small)).status).toBe(200)
    expect(await running[0]).toEqual(gaveWay)
    expect(await firstOf(running.slice(1))).toBe('none')
  })

  it("of one sender end his own and nobody else's, however many there are", async () => {
    const fetch = fetchOurs()
    const others = silent(20, fetch, (index) => ({
      host: `other${index}.example`,
      sender: `sender ${index}`,
    }))
    const his = silent(500, fetch, (index) => ({ host: `his${index}.example`, sender: 'one' }))
    expect(await Promise.all(his.slice(0, 372))).toEqual(Array(372).fill(gaveWay))
    expect(await firstOf([...others, ...his.slice(372)])).toBe('none')
  })

  it('of one host leave room for all others', async () => {
    const fetch = fetchOurs()
    const others = silent(20, fetch, (index) => ({ host: `other${index}.example` }))
    const one = silent(200, fetch, () => ({ host: 'one.example' }))
    expect(await Promise.all(one.slice(0, 168))).toEqual(Array(168).fill(gaveWay))
    expect(await firstOf([...others, ...one.slice(168)])).toBe('none')
  })

  it('of strangers never end those of a host that has answered before', async () => {
    const fetch = fetchOurs()
    await fetch(goodUrl('/known'), small)
    const known = failureOf(fetch(muteUrl('/known/slow'), slow))
    const running = silent(400, fetch, (index) => ({
      host: `silent${index}.example`,
      sender: `sender ${index}`,
    }))
    expect(await running[0]).toEqual(gaveWay)
    expect(await firstOf([known])).toBe('none')
  })

  it('of a host that falls silent are those of a stranger again, and so they are after a day', async () => {
    let time = 0
    const fetch = fetchOurs(() => time)
    const [good, mute] = [goodUrl('/fallen'), muteUrl('/fallen/mute')]
    const inTheCrowd = async () => {
      const waiting = failureOf(fetch(mute, slow))
      const crowd = silent(200, fetch, (index) => ({
        host: `silent${index}.example`,
        sender: `sender ${index}`,
      }))
      await crowd[0]
      return firstOf([waiting])
    }
    await fetch(good, small)
    expect(await inTheCrowd()).toBe('none')
    await failureOf(fetch(mute, { maxBytes: 10, timeout: 0.05 }))
    expect(await inTheCrowd()).toEqual(gaveWay)
    await fetch(good, small)
    time += 24 * 3600 * 1000
    expect(await inTheCrowd()).toEqual(gaveWay)
  })
})

/** The first of them that has settled by now, if any has. */
async function firstOf<T>(promises: readonly Promise<T>[]): Promise<T | 'none'> {
  await new Promise((resolve) => setImmediate(resolve))
  return Promise.race([...promises, 'none' as const])
}

describe('a safe fetch through a proxy', () => {
  it('goes through it only when told so: the proxy looks the host up, TLS ends at the host', async () => {
    const proxy = await startProxy(documents.port)
    const before = documents.lookups.length
    const url = documents.serve('/through', { body: {} })
    const answer = await fetchOf({ proxy: proxy.url })(url)
    expect(answer.status).toBe(200)
    expect(proxy.asked).toEqual([`client.example:${documents.port}`])
    expect(documents.lookups).toHaveLength(before)
    expect(documents.arrived.at(-1)?.servername).toBe('client.example')
  })

  it('ignores the proxy of the environment', async () => {
    const proxy = await startProxy(documents.port)
    const names = ['HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy']
    const before = names.map((name) => [name, process.env[name]] as const)
    for (const name of names) process.env[name] = proxy.url
    try {
      await fetchOf()(documents.serve('/direct', { body: {} }))
    } finally {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
    }
    expect(proxy.asked).toEqual([])
  })

  it.each([
    'https://10.0.0.1/x',
    'https://10.0.0.1./x',
    'https://[::1]/x',
    'https://intranet/x',
    'https://intranet./x',
    'https://localhost/x',
    'https://localhost./x',
    'https://localhost../x',
    'https://LOCALHOST./x',
    'https://app.localhost/x',
    'https://app.localhost./x',
    'https://a.b.localhost/x',
  ])('does not ask it for %s', async (url) => {
    const proxy = await startProxy(documents.port)
    const fetch = fetchOf({ proxy: proxy.url, dangerouslyAllowLoopback: false })
    expect(await failureOf(fetch(url))).toEqual(neverPublic)
    expect(proxy.asked).toEqual([])
    // Without a proxy it is refused as well, and nobody looks it up.
    const looked: string[] = []
    const resolve = async (host: string) => {
      looked.push(host)
      return ['203.0.114.1']
    }
    const direct = fetchOf({ resolve, dangerouslyAllowLoopback: false, ports: [443] })
    expect(await failureOf(direct(url))).toEqual(neverPublic)
    expect(looked).toEqual([])
  })

  it('calls a proxy that is down an outage', async () => {
    const server = createServer()
    const port = await listening(server)
    await new Promise((resolve) => server.close(resolve))
    const url = documents.serve('/no-proxy', { body: {} })
    expect(await failureOf(fetchOf({ proxy: `http://127.0.0.1:${port}` })(url))).toMatchObject({
      kind: 'outage',
    })
  })
})

/** A proxy that answers CONNECT and leads every host to our server. */
async function startProxy(target: number): Promise<{ url: string; asked: string[] }> {
  const asked: string[] = []
  const server = createHttpServer()
  server.on('connect', (req, socket, head) => {
    asked.push(req.url ?? '')
    sockets.add(socket)
    const upstream = connect(target, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.write(head)
      upstream.pipe(socket).pipe(upstream)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('error', () => upstream.destroy())
  })
  servers.push(server)
  return { url: `http://127.0.0.1:${await listening(server)}`, asked }
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

describe('a safe fetch of what the operator has named', () => {
  const vouched = (origin: string, options: SafeFetchOptions = {}) => {
    const fetch = safeFetch(options, undefined, (url) => url.origin === origin)
    return (url: string) => fetch(new URL(url), small)
  }

  it('reads http on loopback, at any port', async () => {
    const url = await serveHttp('{"a":1}')
    expect(String((await vouched(url)(`${url}/keys`)).body)).toBe('{"a":1}')
  })

  it('reads https inside, when the certificate is good', async () => {
    const url = documents.serve('/inside', { body: { a: 1 } }).replace(documents.host, 'localhost')
    const { origin } = new URL(url)
    expect((await vouched(origin, { ca: documents.ca })(url)).status).toBe(200)
    // The operator's word is for the address, and not for whoever answers there.
    expect(await failureOf(vouched(origin)(url))).toMatchObject({ kind: 'outage' })
  })

  it('trusts no other address: not even another port of the same host', async () => {
    const [named, other] = [await serveHttp('{}'), await serveHttp('{}')]
    expect(await failureOf(vouched(named)(`${other}/keys`))).toEqual({
      kind: 'refused',
      message: 'the URL is not https',
    })
  })

  it('refuses http beyond loopback, and userinfo', async () => {
    const inside = vouched('http://10.0.0.7')('http://10.0.0.7/keys')
    expect(await failureOf(inside)).toEqual({ kind: 'refused', message: 'the URL is not https' })
    const url = 'https://a:b@idp.contoso.com/keys'
    expect(await failureOf(vouched('https://idp.contoso.com')(url))).toMatchObject({
      message: 'the URL has userinfo',
    })
  })
})

async function serveHttp(body: string): Promise<string> {
  const server = createHttpServer((_req, res) => void res.end(body))
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://localhost:${(server.address() as AddressInfo).port}`
}
