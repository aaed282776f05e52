/** Who may talk to the reference host's MCP endpoint from a web page. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { createHost } from '../../../examples/reference-host/host.js'
import { type Entra, type Listening, listen, settingsFor } from '../../support/host.js'
import { send, startTestEntra } from '../../support/proxy.js'

let entra: Entra
let local: Listening
let remote: Listening
let token: string

beforeAll(async () => {
  entra = await startTestEntra()
  const allowedOrigins = ['https://tools.contoso.example']
  local = await listen((url) => createHost(settingsFor(entra, url), { allowedOrigins }))
  remote = await listen(() => createHost(settingsFor(entra, 'https://mcp.contoso.example')))
  token = await entra.mintAccessToken()
})
afterAll(async () => {
  await local.close()
  await remote.close()
})

async function ping(url: string, headers: Record<string, string>) {
  const { status, body } = await send(`${url}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${token}`,
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
  })
  return { status, body }
}

const refusal = (header: string) => ({
  status: 403,
  body: JSON.stringify({
    jsonrpc: '2.0',
    error: { code: -32000, message: `Forbidden: this server does not answer to that ${header}.` },
    id: null,
  }),
})

describe('Origin (MCP transports: present and not allowed is 403)', () => {
  it.each([
    'https://evil.example',
    'null',
    'https://tools.contoso.example.evil.example',
    'https://localhost.evil.example',
    'http://127.0.0.1.evil.example',
    'https://tools.contoso.example:444',
    'not an origin',
    '',
  ])('refuses %j', async (origin) => {
    expect(await ping(local.url, { origin })).toEqual(refusal('Origin'))
  })

  it.each([
    'http://localhost:6274',
    'http://127.0.0.1:1',
    'http://[::1]:8080',
    'http://app.localhost',
    'https://tools.contoso.example',
  ])('takes %s', async (origin) => {
    expect((await ping(local.url, { origin })).status).toBe(200)
  })

  it('takes programs, which send none', async () => {
    expect((await ping(local.url, {})).status).toBe(200)
  })

  it('takes its own on the internet, and there too no other', async () => {
    const own = await ping(remote.url, { origin: 'https://mcp.contoso.example' })
    expect(own.status).toBe(200)
    expect(await ping(remote.url, { origin: 'http://mcp.contoso.example' })).toEqual(
      refusal('Origin'),
    )
  })

  it('refuses before it looks at the token', async () => {
    const answer = await ping(local.url, { origin: 'https://evil.example', authorization: '' })
    expect(answer.status).toBe(403)
  })
})

describe('Host (DNS rebinding)', () => {
  it.each(['evil.example', 'localhost.evil.example:80', '127.0.0.1.evil.example', '10.0.0.1'])(
    'a host on loopback does not answer to %s',
    async (host) => {
      expect(await ping(local.url, { host })).toEqual(refusal('Host'))
    },
  )

  it.each(['localhost', 'LOCALHOST:3000', '127.0.0.1:3000', '[::1]:3000'])(
    'a host on loopback answers to %s',
    async (host) => {
      expect((await ping(local.url, { host })).status).toBe(200)
    },
  )

  it('a host behind a reverse proxy answers to whatever name that gives it', async () => {
    expect((await ping(remote.url, { host: 'notes.internal:8080' })).status).toBe(200)
  })
})
