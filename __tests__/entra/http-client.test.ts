import { execFile } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { generate } from 'selfsigned'
import { EntraError, UpstreamOutage } from '../../lib/entra/errors.js'
import { fetchUpstream } from '../../lib/entra/http-client.js'
import { clientId, outcome, startUpstream, tenantId, type Upstream } from '../support/entra.js'

let upstream: Upstream | undefined
const start = async (answer: Upstream['answer']) => {
  upstream = await startUpstream(answer)
  return upstream.url
}
afterEach(async () => {
  await upstream?.close()
  upstream = undefined
})

const get = { method: 'GET', timeout: 5 } as const

describe('fetchUpstream', () => {
  it('sends what it is told and returns status, headers and body, whatever the status', async () => {
    const url = await start(() => ({
      status: 418,
      headers: { 'X-Ms-Request-Id': 'r', 'set-cookie': ['a=1', 'b=2'] },
      body: 'grüße',
    }))
    const answer = await fetchUpstream(`${url}/token?x=1`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: 'a=1&b=2',
      timeout: 5,
    })
    expect(answer).toMatchObject({ status: 418, body: 'grüße' })
    expect(answer.headers).toMatchObject({ 'x-ms-request-id': 'r', 'set-cookie': 'a=1, b=2' })
    expect('retryAfter' in answer).toBe(false)
    const [request] = upstream?.requests ?? []
    expect(request).toMatchObject({ method: 'POST', path: '/token?x=1' })
    expect(request?.form.get('b')).toBe('2')
  })

  it('sends no Origin header, which Entra takes for a single-page application (AADSTS9002326)', async () => {
    const url = await start(() => ({}))
    await fetchUpstream(url, { method: 'POST', body: 'x', timeout: 5 })
    expect(upstream?.requests[0]?.headers).not.toHaveProperty('origin')
  })

  it('reads Retry-After in seconds and as a date', async () => {
    const url = await start((_request, count) => ({
      status: 503,
      headers: { 'retry-after': count === 1 ? '7' : new Date(Date.now() + 60_000).toUTCString() },
    }))
    expect((await fetchUpstream(url, get)).retryAfter).toBe(7)
    const { retryAfter } = await fetchUpstream(url, get)
    expect(retryAfter).toBeGreaterThanOrEqual(58)
    expect(retryAfter).toBeLessThanOrEqual(60)
  })

  it('follows no redirect', async () => {
    const url = await start(() => ({ status: 302, headers: { location: '/elsewhere' } }))
    expect((await fetchUpstream(url, get)).status).toBe(302)
    expect(upstream?.requests).toHaveLength(1)
  })

  it('keeps connections for the calls that follow', async () => {
    const url = await start(() => ({ body: 'x' }))
    let connections = 0
    upstream?.server.on('connection', () => {
      connections += 1
    })
    for (let i = 0; i < 20; i++) await fetchUpstream(url, get)
    expect(connections).toBeLessThanOrEqual(2)
  })

  it('makes a new connection when the idle one was closed', async () => {
    const url = await start(() => ({ body: 'x' }))
    await fetchUpstream(url, get)
    upstream?.server.closeAllConnections()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect((await fetchUpstream(url, get)).body).toBe('x')
  })

  it.each(['hang', 'stall'] as const)(
    'gives up at the deadline when the server lets it %s',
    async (how) => {
      const url = await start(() => how)
      const error = await outcome(() => fetchUpstream(url, { ...get, timeout: 0.08 }))
      expect(error).toBeInstanceOf(UpstreamOutage)
      expect((error as Error).message).toMatch(/^127\.0\.0\.1:\d+ did not answer within 0\.1 s$/)
      expect((error as Error).cause).toBeDefined()
    },
  )

  it('gives up at the deadline when it cannot even connect', async () => {
    // 192.0.2.0/24 is for documentation (RFC 5737): packets to it are lost or refused.
    const error = await outcome(() => fetchUpstream('http://192.0.2.1/', { ...get, timeout: 0.08 }))
    expect(error).toBeInstanceOf(UpstreamOutage)
  })

  it('takes a reset for an outage, and does not try again', async () => {
    const url = await start(() => 'reset')
    const error = await outcome(() => fetchUpstream(url, get))
    expect(error).toBeInstanceOf(EntraError)
    expect(error).toMatchObject({ kind: 'unavailable', status: undefined })
    expect(upstream?.requests).toHaveLength(1)
  })

  it('takes a refused connection for an outage and names the host only', async () => {
    const url = await start(() => ({}))
    await upstream?.close()
    const error = await outcome(() => fetchUpstream(`${url}/secret?code=x`, get))
    expect((error as Error).message).toMatch(/^127\.0\.0\.1:\d+ cannot be reached$/)
  })

  it('refuses a body that is longer than allowed, without reading it all', async () => {
    const url = await start(() => ({ body: 'x'.repeat(2000) }))
    const error = await outcome(() => fetchUpstream(url, { ...get, maxBytes: 1999 }))
    expect(error).toBeInstanceOf(UpstreamOutage)
    expect((error as Error).message).toBe('an answer is longer than 1999 bytes')
    expect((await fetchUpstream(url, { ...get, maxBytes: 2000 })).body).toHaveLength(2000)
  })

  it('refuses bodies of more than a megabyte when nothing is said', async () => {
    const url = await start((_request, count) => ({
      body: 'x'.repeat(1024 * 1024 + (count === 1 ? 0 : 1)),
    }))
    expect((await fetchUpstream(url, get)).body).toHaveLength(1024 * 1024)
    expect(await outcome(() => fetchUpstream(url, get))).toBeInstanceOf(UpstreamOutage)
  })
})

describe('fetchUpstream and the token endpoint, in a process of their own', () => {
  const root = fileURLToPath(new URL('../../', import.meta.url))
  const folder = join(root, 'build', `entra-process-${process.pid}`)
  const run = promisify(execFile)

  beforeAll(() => {
    mkdirSync(folder, { recursive: true })
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  async function script(code: string, env: Record<string, string> = {}): Promise<string> {
    const file = join(folder, `script-${Math.random().toString(36).slice(2)}.mjs`)
    writeFileSync(file, code.replaceAll("from './", `from '${root}dist/`))
    const { stdout } = await run(process.execPath, [file], {
      cwd: dirname(file),
      timeout: 15_000,
      env: { PATH: process.env.PATH, ...env },
    })
    return stdout.trim()
  }

  it('keeps no process alive once all is answered', async () => {
    const url = await start(() => ({ body: 'x' }))
    const stdout = await script(`
      import { fetchUpstream } from './entra/http-client.js'
      const { status } = await fetchUpstream('${url}', { method: 'GET', timeout: 10 })
      const answered = performance.now()
      process.once('exit', () => console.log(status, performance.now() - answered))
    `)
    const [status, lingered] = stdout.split(' ').map(Number)
    expect(status).toBe(200)
    // undici keeps an idle connection for four seconds: the process must not wait for it.
    expect(lingered).toBeLessThan(2500)
  })

  it('talks https to a host with a port and a private authority (NODE_EXTRA_CA_CERTS)', async () => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
      keySize: 2048,
      algorithm: 'sha256',
      extensions: [
        { name: 'basicConstraints', cA: true, critical: true },
        { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
      ],
    })
    const ca = join(folder, 'ca.pem')
    writeFileSync(ca, cert)
    const server = createServer({ cert, key })
    upstream = await startUpstream(
      () => ({ body: { access_token: 'at', expires_in: 3600, refresh_token: 'rt2' } }),
      server as unknown as Upstream['server'],
    )
    const { port } = server.address() as AddressInfo
    const code = `
      import { entraAuthority } from './entra/authority.js'
      import { clientSecret } from './entra/credentials.js'
      import { tokenEndpoint } from './entra/token-endpoint.js'
      const endpoint = tokenEndpoint({
        authority: entraAuthority({ host: 'https://localhost:${port}', tenantId: '${tenantId}' }),
        clientId: '${clientId}',
        credential: clientSecret('s3cr~t'),
        timeout: 10,
      })
      const done = await endpoint.refresh({ refreshToken: 'rt', scopes: ['api://x/read'] }).catch((error) => error)
      console.log(done.refreshToken ?? done.kind)
    `
    expect(await script(code, { NODE_EXTRA_CA_CERTS: ca })).toBe('rt2')
    expect(upstream.requests).toHaveLength(1)
    expect(upstream.requests[0]?.path).toMatch(`/${tenantId}/oauth2/v2.0/token`)
    expect(await script(code)).toBe('unavailable')
    expect(upstream.requests).toHaveLength(1)
  })
})
