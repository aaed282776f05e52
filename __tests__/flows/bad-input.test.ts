/** Junk at every endpoint: refused in the endpoint's own terms, and the process lives on. */
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { startWorld, type World } from '../support/host.js'
import { authorizeUrl, pkce, redirectUri, register } from '../support/oauth-client.js'
import { type Answer, send } from '../support/proxy.js'

let world: World
let clientId: string
beforeAll(async () => {
  world = await startWorld()
  clientId = await register(world.url)
})
afterAll(() => world.close())

afterEach(async () => {
  const alive = await fetch(`${world.url}/healthz`)
  expect(await alive.json()).toEqual({ status: 'ok' })
})

interface Endpoint {
  readonly path: string
  readonly methods: readonly string[]
  /** Who reads its answers. */
  readonly reader: 'program' | 'person'
  readonly body?: 'form' | 'json'
}

const reading = ['GET', 'HEAD', 'OPTIONS']
const posting = ['POST', 'OPTIONS']
const endpoints: readonly Endpoint[] = [
  { path: '/.well-known/oauth-authorization-server', methods: reading, reader: 'program' },
  { path: '/.well-known/oauth-protected-resource', methods: reading, reader: 'program' },
  { path: '/.well-known/oauth-protected-resource/mcp', methods: reading, reader: 'program' },
  { path: '/jwks', methods: reading, reader: 'program' },
  { path: '/register', methods: posting, reader: 'program', body: 'json' },
  { path: '/token', methods: posting, reader: 'program', body: 'form' },
  { path: '/revoke', methods: posting, reader: 'program', body: 'form' },
  { path: '/authorize', methods: reading, reader: 'person' },
  { path: '/auth/callback', methods: reading, reader: 'person' },
  { path: '/consent', methods: posting, reader: 'person', body: 'form' },
]
const posts = endpoints.filter(({ body }) => body !== undefined)
const pages = endpoints.filter(({ path }) => path === '/authorize' || path === '/auth/callback')
const types = { form: 'application/x-www-form-urlencoded', json: 'application/json' }

/** A refusal in the terms of the endpoint's reader, with no trace of our code in it. */
function expectRefusal(answer: Answer, { reader, body }: Endpoint, status: number): void {
  expect(answer.status).toBe(status)
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(answer.headers.location).toBeUndefined()
  expect(answer.body).not.toMatch(/\n\s+at |\.js:|\.ts:|node_modules|\/work\/|TypeError/)
  if (reader === 'person') {
    expect(answer.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(answer.headers['content-security-policy']).toContain("default-src 'none'")
    return
  }
  expect(answer.headers['content-type']).toBe('application/json')
  expect(answer.headers['access-control-allow-origin']).toBe('*')
  const known = body === 'json' ? /^invalid_(client_metadata|redirect_uri|request)$/ : /^invalid_/
  expect(JSON.parse(answer.body)).toEqual({
    error: expect.stringMatching(known),
    error_description: expect.stringMatching(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/),
  })
}

const post = (
  { path, body }: Endpoint,
  content: string | Buffer | readonly string[],
  headers: Record<string, string> = {},
) =>
  send(world.url + path, {
    method: 'POST',
    headers: { 'content-type': types[body ?? 'form'], ...headers },
    body: content,
  })

describe.each(endpoints)('$path', (endpoint) => {
  const others = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND'].filter(
    (method) => !endpoint.methods.includes(method),
  )

  it.each(others)('refuses %s with 405, and says what it takes', async (method) => {
    const answer = await send(world.url + endpoint.path, { method })
    expectRefusal(answer, { ...endpoint, body: 'form' }, 405)
    expect(answer.headers.allow).toBe(endpoint.methods.join(', '))
  })

  it('answers 431 to headers of 100 kB, as Node does', async () => {
    const answer = await send(world.url + endpoint.path, {
      method: endpoint.methods[0] ?? 'GET',
      headers: { 'x-long': 'x'.repeat(100_000) },
    })
    expect(answer.status).toBe(431)
  })

  it('answers 431 to a query of 100 kB', async () => {
    const answer = await send(`${world.url}${endpoint.path}?${'a'.repeat(100_000)}`)
    expect(answer.status).toBe(431)
  })
})

describe.each(posts)('$path', (endpoint) => {
  it.each([
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/xml',
    endpoint.body === 'json' ? types.form : types.json,
    'application',
    '',
    '__proto__',
  ])('refuses the content type %j', async (type) => {
    expectRefusal(await post(endpoint, 'a=b', { 'content-type': type }), endpoint, 400)
  })

  it('refuses a request without a content type', async () => {
    expectRefusal(await send(world.url + endpoint.path, { method: 'POST' }), endpoint, 400)
  })

  it('refuses bodies over 64 kB, announced or not, with 413', async () => {
    const long = 'a='.padEnd(64 * 1024 + 1, 'x')
    expectRefusal(await post(endpoint, long, { 'content-length': '65537' }), endpoint, 413)
    const parts = Array.from({ length: 17 }, () => 'a='.padEnd(4096, 'x'))
    expectRefusal(await post(endpoint, parts), endpoint, 413)
    expectRefusal(await post(endpoint, 'x', { 'content-length': '99999999' }), endpoint, 413)
  })

  it.each([
    ['NUL', 'a=\u0000', '{"redirect_uris":["\\u0000"]}'],
    ['NUL, encoded', 'a=%00&client_id=%00', '{"client_name":"\\u0000","redirect_uris":["x"]}'],
    ['NUL in a name', '%00=a', '{"\\u0000":1}'],
    ['line breaks', 'client_id=a%0d%0ab', '{"redirect_uris":["https://a.example/\\r\\n"]}'],
    ['a parameter twice', 'client_id=a&client_id=b', '{"redirect_uris":1,"redirect_uris":2}'],
    ['an unknown one twice', 'x=1&x=2', '[]'],
    ['prototype keys', '__proto__=a&constructor=b', '{"__proto__":{"redirect_uris":["x"]}}'],
    ['a prototype key twice', '__proto__=a&__proto__=b', '{"constructor":null}'],
    ['brackets', '__proto__[x]=a&a[b]=c', '{"redirect_uris":{"0":"x"}}'],
    ['broken percent signs', '%=%&%zz=%', '{"redirect_uris":["%"]}'],
    ['no UTF-8', Buffer.from([0xff, 0xfe, 0x3d]), Buffer.from([0x7b, 0xff, 0x7d])],
    ['nothing', '', ''],
    ['a value without end', `client_id=${'x'.repeat(8193)}`, `{"client_name":"${'x'.repeat(300)}"`],
    ['a name without end', `${'x'.repeat(9000)}=1`, `{"${'x'.repeat(9000)}":1}`],
    ['thousands of parameters', 'a&'.repeat(20_000), '['.repeat(60_000)],
    ['half of JSON', '{"client_id":', '{"redirect_uris":['],
    ['no object', 'null', 'null'],
  ])('refuses %s', async (_what, form, json) => {
    const answer = await post(endpoint, endpoint.body === 'json' ? json : form)
    expect([400, 401]).toContain(answer.status)
    expectRefusal(answer, endpoint, answer.status)
  })

  it('refuses a compressed body, which it does not unpack', async () => {
    const answer = await post(endpoint, Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]), {
      'content-encoding': 'gzip',
    })
    expect([400, 401]).toContain(answer.status)
    expectRefusal(answer, endpoint, answer.status)
  })

  it('survives a client that goes away in the middle', async () => {
    const { hostname, port } = new URL(world.url)
    const before = world.logs.length
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), hostname, () => {
        socket.write(
          `POST ${endpoint.path} HTTP/1.1\r\nHost: x\r\nContent-Type: ${types[endpoint.body ?? 'form']}\r\nContent-Length: 50\r\n\r\na=b`,
          () => setTimeout(() => socket.destroy(), 30),
        )
      })
      socket.on('close', () => resolve())
    })
    await new Promise((resolve) => setTimeout(resolve, 50))
    // It is the client's doing: no failure of ours to wake an operator for.
    const failures = world.logs.slice(before).filter(({ message }) => /fail/.test(String(message)))
    expect(failures).toEqual([])
  })
})

describe.each(pages)('$path', (endpoint) => {
  it.each([
    ['nothing', ''],
    ['a parameter twice', '?state=a&state=b&client_id=a&client_id=b'],
    ['NUL', '?state=%00&client_id=%00'],
    ['prototype keys', '?__proto__=x&constructor=y&toString=z'],
    ['broken percent signs', '?%=%&state=%zz&client_id=%'],
    ['a value of 10 kB', `?state=${'x'.repeat(10_000)}&client_id=${'x'.repeat(10)}`],
    ['a client id of 8 kB', `?client_id=${'x'.repeat(8192)}&state=x`],
    ['thousands of parameters', `?${'a&'.repeat(7000)}`],
    ['markup', '?client_id=<script>alert(1)</script>&state="><img src=x>'],
  ])('shows a page for %s', async (_what, query) => {
    const answer = await send(world.url + endpoint.path + query)
    expect([400, 403]).toContain(answer.status)
    expectRefusal(answer, endpoint, answer.status)
    expect(answer.body).not.toMatch(/<script|<img/)
  })

  it('does not mind junk in cookies', async () => {
    for (const cookie of [
      'mcp-entra-login-x=%%%; mcp-entra-consent-x=',
      '__proto__=x; =; ;;; a',
      `mcp-entra-login-${'x'.repeat(22)}=zzz.${'A'.repeat(4000)}`,
    ]) {
      const answer = await send(`${world.url}${endpoint.path}?state=x`, { headers: { cookie } })
      expect([400, 403]).toContain(answer.status)
    }
  })
})

describe('/authorize with a good client', () => {
  it('keeps junk in the rest of the request away from Entra, from headers and from markup', async () => {
    const url = authorizeUrl(world.url, clientId, pkce().challenge, {
      state: '"><script>alert(1)</script>',
      login_hint: '"><img src=x onerror=alert(1)>',
      prompt: 'login',
      'x"y<': 'z',
    })
    const answer = await send(url)
    expect(answer.status).toBe(200)
    expect(answer.body).not.toMatch(/<script|<img|alert\(1\)/)
  })

  it('gives line breaks in the scope back as nothing a header could break on', async () => {
    const url = authorizeUrl(world.url, clientId, pkce().challenge, {
      scope: 'notes.read ü"\\ <x>',
    })
    const answer = await send(url)
    expect(answer.status).toBe(302)
    const location = new URL(answer.headers.location ?? '')
    expect(location.href.startsWith(redirectUri)).toBe(true)
    expect(location.searchParams.get('error_description')).toMatch(
      /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/,
    )
  })
})
