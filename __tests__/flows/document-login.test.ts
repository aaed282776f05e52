/** Logging in as a client that is a document on the web. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { entraAuth } from 'mcp-entra'
import { sha256 } from '../../lib/crypto/hashing.js'
import {
  type DocumentServer,
  documentOf,
  held,
  startDocumentServer,
  startMuteServer,
} from '../support/client-documents.js'
import type { Entra } from '../support/host.js'
import {
  addNote,
  authorizeUrl,
  getCode,
  getNotes,
  login,
  pkce,
  postForm,
  redeem,
  redirectUri,
  refresh,
} from '../support/oauth-client.js'
import {
  approve,
  authOptions,
  clientAnswer,
  countingStorage,
  hear,
  jsonOf,
  openConsent,
  returnLink,
  signInAtEntra,
  startProxy,
  startTestEntra,
  type TestProxy,
  testClock,
} from '../support/proxy.js'

let entra: Entra
let documents: DocumentServer
let proxy: TestProxy
const clock = testClock()
const { storage, writes } = countingStorage(clock.now)
beforeAll(async () => {
  entra = await startTestEntra()
  documents = await startDocumentServer()
  proxy = await startProxy(entra, { now: clock.now, storage, clientMetadata: documents.options })
})

const text = (html: string) =>
  html
    .replace(/<style>[\s\S]*?<\/style>/, '')
    .replace(/<[^>]*>/g, ' ')
    .replaceAll('&#39;', "'")
    .replace(/\s+/g, ' ')

/** What a person is told when the login cannot start. */
async function pageFor(
  clientId: string,
  url = proxy.url,
): Promise<{ status: number; text: string }> {
  const { page } = await openConsent(url, { clientId })
  expect(page.headers.get('location')).toBeNull()
  return { status: page.status, text: text(page.html) }
}

/** A refresh as a program sends it, with a token that is none: the client comes first. */
async function tokenAnswer(clientId: string): Promise<{ status: number; error: unknown }> {
  const answer = await refresh(proxy.url, { refresh_token: 'none', clientId })
  return { status: answer.status, error: (await jsonOf(answer)).error }
}

describe('a client that is a document', () => {
  it('logs in, calls, refreshes and revokes without ever having registered', async () => {
    const clientId = documents.publish()
    const tokens = await login(proxy.url, { clientId })
    expect((await getNotes(proxy.url, tokens.access_token)).status).toBe(200)
    const refreshed = await refresh(proxy.url, tokens)
    expect(refreshed.status).toBe(200)
    const { refresh_token } = await jsonOf<{ refresh_token: string }>(refreshed)
    const revoked = await postForm(`${proxy.url}/revoke`, {
      token: refresh_token,
      client_id: clientId,
    })
    expect(revoked.status).toBe(200)
    expect((await refresh(proxy.url, { refresh_token, clientId })).status).toBe(400)
    expect(documents.fetches(clientId)).toBe(1)
  })

  it('is named by its URL in the access token', async () => {
    const clientId = documents.publish()
    const { access_token } = await login(proxy.url, { clientId })
    const claims = JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString())
    expect(claims.client_id).toBe(clientId)
  })

  it('is told to the operator by the host it is published at, from the login on', async () => {
    const told = ['login', 'token', 'revocation', 'refusal'].map((name) =>
      hear(`mcp-entra:${name}`),
    )
    const clientId = documents.publish()
    const { access_token } = await login(proxy.url, { clientId })
    await addNote(proxy.url, access_token, 'refused: it may only read')
    await postForm(`${proxy.url}/revoke`, { token: access_token, client_id: clientId })
    const client = { id: sha256(clientId), host: `client.example:${documents.port}` }
    for (const events of told) expect(events).toEqual([expect.objectContaining({ client })])
  })

  it('shows the host it is published at, which it cannot choose, beside the name it chose', async () => {
    const clientId = documents.publish({ client_name: '<b>Claude</b> \u202e' })
    const { page } = await openConsent(proxy.url, { clientId })
    expect(page.status).toBe(200)
    expect(page.html).not.toContain('<b>Claude')
    expect(text(page.html)).toContain(
      `The application is published at client.example:${documents.port} ${clientId}`,
    )
    expect(text(page.html)).toContain(
      `this server has checked that it belongs to client.example:${documents.port}`,
    )
    expect(text(page.html)).toContain('Runs on this device.')
  })

  it('that registered itself shows no host: nobody has checked one', async () => {
    const { page } = await openConsent(proxy.url)
    expect(text(page.html)).toContain('nobody has checked it')
    expect(text(page.html)).not.toContain('is published at')
  })

  it('returns to any port on loopback, and to no address its document does not name', async () => {
    const clientId = documents.publish({ redirect_uris: ['http://127.0.0.1/callback'] })
    const { page } = await openConsent(proxy.url, { clientId })
    expect(page.status).toBe(200)
    const params = { redirect_uri: 'http://127.0.0.1:33418/other' }
    const refused = await openConsent(proxy.url, { clientId, params })
    expect(refused.page.status).toBe(400)
    expect(refused.page.headers.get('location')).toBeNull()
  })

  it('needs no redirect_uri when its document names one only', async () => {
    const clientId = documents.publish()
    const login = await signInAtEntra(proxy.url, { clientId, params: { redirect_uri: undefined } })
    expect(clientAnswer(await login.browser.fetchOnce(login.callback))).toMatchObject({
      code: expect.any(String),
    })
  })

  it('gets all scopes of this server, not only the required ones', async () => {
    const tokens = await login(proxy.url, {
      clientId: documents.publish({ scope: 'notes.read' }),
      scope: 'notes.read notes.write',
    })
    expect(tokens.scope.split(' ').sort()).toEqual(['notes.read', 'notes.write'])
  })

  it('without the refresh grant gets no refresh token', async () => {
    const clientId = documents.publish({ grant_types: ['authorization_code'] })
    expect(await login(proxy.url, { clientId })).not.toHaveProperty('refresh_token')
  })

  it('cannot redeem the code of another', async () => {
    const code = await getCode(proxy.url, { clientId: documents.publish() })
    const answer = await redeem(proxy.url, { ...code, clientId: documents.publish() })
    expect([answer.status, (await jsonOf(answer)).error]).toEqual([400, 'invalid_grant'])
  })

  it('does not refresh with what is another by one character', async () => {
    const tokens = await login(proxy.url, { clientId: documents.publish() })
    const clientId = `${tokens.clientId}?`
    expect(await tokenAnswer(clientId)).toEqual({ status: 401, error: 'invalid_client' })
    expect((await refresh(proxy.url, tokens)).status).toBe(200)
  })

  it('writes nothing to the store until its user has signed in', async () => {
    const before = writes.length
    const clientId = documents.publish()
    await approve(proxy.url, { clientId })
    await pageFor(`${documents.origin}/nowhere`)
    await tokenAnswer(clientId)
    expect(writes).toHaveLength(before)
  })

  it('may not be fetched for a token request that is none: the form comes first', async () => {
    const clientId = documents.publish()
    const twice = await fetch(`${proxy.url}/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `client_id=${clientId}&client_id=${clientId}`,
    })
    expect(twice.status).toBe(400)
    expect(documents.fetches(clientId)).toBe(0)
  })

  it('is asked for again when its time is over, and its changes count', async () => {
    const clientId = documents.publish({}, { 'cache-control': 'max-age=600' })
    expect((await pageFor(clientId)).status).toBe(200)
    const path = new URL(clientId).pathname
    documents.serve(path, {
      body: documentOf(clientId, { redirect_uris: ['http://localhost/cb'] }),
    })
    expect((await pageFor(clientId)).status).toBe(200)
    clock.advance(600)
    expect((await pageFor(clientId)).status).toBe(400)
    expect(documents.fetches(clientId)).toBe(2)
  })

  it('is fetched once for a crowd that comes at once', async () => {
    const gate = held<void>()
    const path = '/crowd.json'
    const clientId = documents.serve(path, async () => {
      await gate.promise
      return { body: documentOf(documents.origin + path) }
    })
    const crowd = Array.from({ length: 10 }, () => pageFor(clientId))
    gate.release()
    expect((await Promise.all(crowd)).map(({ status }) => status)).toEqual(Array(10).fill(200))
    expect(documents.fetches(clientId)).toBe(1)
  })
})

describe('a document that is no good', () => {
  const wrong: [string, Parameters<DocumentServer['serve']>[1], string][] = [
    ['is not there', { status: 404 }, 'cannot be fetched: the host answered with HTTP 404.'],
    [
      'is elsewhere',
      { status: 302, headers: { location: '/x' } },
      'redirects, which is not followed',
    ],
    ['is a page', { headers: { 'content-type': 'text/html' }, body: '<html>' }, 'is not JSON'],
    ['is no JSON', { body: '{"client_id":' }, 'is not valid JSON'],
    ['is too long', { body: JSON.stringify({ x: 'x'.repeat(10_240) }) }, 'longer than 10240 bytes'],
    [
      'names another client',
      { body: documentOf('https://claude.ai/client') },
      "has another 'client_id'",
    ],
  ]

  it.each(wrong)(
    'because it %s is a page for people and invalid_client for programs',
    async (what, answer, why) => {
      const clientId = documents.serve(`/wrong/${encodeURIComponent(what)}`, answer)
      const page = await pageFor(clientId)
      expect(page.status).toBe(400)
      expect(page.text).toContain(why)
      expect(await tokenAnswer(clientId)).toEqual({ status: 401, error: 'invalid_client' })
      expect(documents.fetches(clientId)).toBe(1)
      clock.advance(30)
      await pageFor(clientId)
      expect(documents.fetches(clientId)).toBe(2)
    },
  )

  it.each([
    { clientId: 'http://client.example/app', why: 'The client_id is not https.' },
    { clientId: 'https://client.example/', why: 'The client_id has no path.' },
    { clientId: 'https://user@client.example/app', why: 'The client_id has userinfo.' },
    { clientId: 'https://client.example/app#x', why: 'The client_id has a fragment.' },
    {
      clientId: 'https://client.example/%2e%2e/app',
      why: 'The client_id has a dot segment in its path.',
    },
    {
      clientId: `https://client.example/${'x'.repeat(2100)}`,
      why: 'The client_id is longer than 2048 characters.',
    },
  ])('is not fetched for a client id of which is to be said: $why', async ({ clientId, why }) => {
    const before = documents.lookups.length
    expect(await pageFor(clientId)).toMatchObject({
      status: 400,
      text: expect.stringContaining(why),
    })
    expect(await tokenAnswer(clientId)).toEqual({ status: 401, error: 'invalid_client' })
    expect(documents.lookups).toHaveLength(before)
  })

  it('on a host inside the network is refused, in the same words as one that does not exist', async () => {
    const addresses: Record<string, string[]> = { 'inside.example': ['10.0.0.5'] }
    const guarded = await startProxy(entra, {
      clientMetadata: { resolve: async (host) => addresses[host] ?? [] },
    })
    const inside = await pageFor('https://inside.example/app', guarded.url)
    const nowhere = await pageFor('https://nowhere.example/app', guarded.url)
    const literal = await pageFor('https://169.254.169.254/app', guarded.url)
    expect(inside.status).toBe(503)
    expect(inside.text).toContain('cannot be fetched: the host has no public address.')
    const anonymous = ({ text }: typeof inside) =>
      text.replaceAll(/nowhere\.example|inside\.example/g, 'HOST').replace(/.{4}-.{4} $/, '')
    expect(nowhere.status).toBe(inside.status)
    expect(anonymous(nowhere)).toBe(anonymous(inside))
    expect(literal.status).toBe(400)
    expect(literal.text).toContain('cannot be fetched: the host has no public address.')
  })
})

describe('an outage of the host of a document', () => {
  it('is a page that says so and a 503 with Retry-After, never a 401', async () => {
    const clientId = documents.serve('/down.json', { status: 503 })
    const { page } = await openConsent(proxy.url, { clientId })
    expect(page.status).toBe(503)
    expect(page.headers.get('retry-after')).toBe('5')
    expect(text(page.html)).toContain("The client's document cannot be fetched")
    const answer = await refresh(proxy.url, { refresh_token: 'none', clientId })
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('5')
    expect(await answer.json()).toEqual({
      error: 'temporarily_unavailable',
      error_description:
        "The client's document cannot be fetched: the host answered with HTTP 503.",
    })
  })

  it('does not end logins whose document is at hand', async () => {
    const clientId = documents.publish({}, { 'cache-control': 'max-age=60' })
    const tokens = await login(proxy.url, { clientId })
    documents.serve(new URL(clientId).pathname, { status: 502 })
    clock.advance(120)
    expect((await refresh(proxy.url, tokens)).status).toBe(200)
    expect(documents.fetches(clientId)).toBe(2)
  })
})

describe('a document that has been good', () => {
  it.each([401, 403, 429, 500, 302, 204])(
    'ends no login when its host answers with HTTP %i',
    async (status) => {
      const clientId = documents.publish({}, { 'cache-control': 'max-age=60' })
      const tokens = await login(proxy.url, { clientId })
      documents.serve(new URL(clientId).pathname, { status })
      clock.advance(120)
      expect((await refresh(proxy.url, tokens)).status).toBe(200)
      expect(documents.fetches(clientId)).toBe(2)
    },
  )

  it('is used while it cannot be fetched, and the operator hears of it', async () => {
    const clientId = documents.publish({}, { 'cache-control': 'max-age=60' })
    await pageFor(clientId)
    const before = proxy.logs.length
    documents.serve(new URL(clientId).pathname, { status: 403 })
    clock.advance(60)
    expect((await pageFor(clientId)).status).toBe(200)
    expect(proxy.logs.slice(before)).toEqual([
      {
        message: 'mcp-entra: failure',
        endpoint: 'client document',
        reason: 'last_good_copy_used',
        origin: 'stranger',
        cause: `FetchFailure: client.example:${documents.port}: the host answered with HTTP 403`,
      },
    ])
  })

  it.each([404, 410])('is one no longer when its host answers with HTTP %i', async (status) => {
    const clientId = documents.publish({}, { 'cache-control': 'max-age=60' })
    const tokens = await login(proxy.url, { clientId })
    documents.serve(new URL(clientId).pathname, { status })
    clock.advance(120)
    expect((await refresh(proxy.url, tokens)).status).toBe(401)
  })

  it('that is fetched by a server that has just started is an outage while its host says no', async () => {
    const clientId = documents.serve('/limited.json', { status: 403 })
    expect(await tokenAnswer(clientId)).toEqual({
      status: 503,
      error: 'temporarily_unavailable',
    })
  })
})

describe('a document that cannot be reached', () => {
  it.each([
    [
      'for want of DNS',
      () => Promise.reject(new Error('queryA ECONNREFUSED nowhere.example')),
      'ECONNREFUSED',
    ],
    ['because DNS knows no name', async () => [], 'no A or AAAA record'],
    ['because its address is inside', async () => ['10.0.0.5'], '10.0.0.5'],
    ['for want of a network', async () => ['127.0.0.1'], 'ECONNREFUSED'],
  ])(
    '%s: the operator hears of it, and the user what can be done',
    async (_what, resolve, cause) => {
      const mute = await startMuteServer()
      await mute.close()
      const { port } = mute
      const clientMetadata = { ...documents.options, resolve }
      const server = await startProxy(entra, { clientMetadata })
      const clientId = `https://nowhere.example:${port}/app`
      const host = `nowhere.example:${port}`
      const page = await pageFor(clientId, server.url)
      expect(page.status).toBe(503)
      expect(page.text).toContain(`tell the operator of this server that it cannot reach ${host}`)
      expect(page.text).toContain('turned off (the option clientMetadata)')
      expect(page.text).toContain('remove this server from the application and add it again')
      expect(page.text).not.toContain(cause)
      expect(server.logs).toEqual([
        {
          message: 'mcp-entra: failure',
          endpoint: '/authorize',
          reason: 'temporarily_unavailable',
          origin: 'stranger',
          reference: expect.stringMatching(/^.{4}-.{4}$/),
          detail: expect.stringContaining("The client's document cannot be fetched"),
          cause: expect.stringMatching(new RegExp(`^FetchFailure: ${host}: .*${cause}`)),
        },
      ])
    },
  )
})

describe('many documents at once', () => {
  it('whose hosts are silent, 96 of them, stand in the way of none of 20 good ones', async () => {
    const mute = await startMuteServer()
    const server = await startProxy(entra, { clientMetadata: documents.options })
    const silent = Array.from({ length: 96 }, (_, index) =>
      openConsent(server.url, { clientId: `https://silent${index}.example:${mute.port}/app` }),
    )
    await mute.connections(96)
    const good = Array.from({ length: 20 }, () => pageFor(documents.publish(), server.url))
    expect((await Promise.all(good)).map(({ status }) => status)).toEqual(Array(20).fill(200))
    await mute.close()
    const ended = await Promise.all(silent)
    expect(ended.map(({ page }) => page.status)).toEqual(Array(96).fill(503))
  })

  it('for one sender, however many, end nothing that another waits for', async () => {
    const mute = await startMuteServer()
    const server = await startProxy(entra, {
      clientMetadata: documents.options,
      before: (app) => void app.set('trust proxy', true),
    })
    const ask = (clientId: string, sender: string) =>
      fetch(authorizeUrl(server.url, clientId, pkce().challenge), {
        headers: { 'x-forwarded-for': sender },
      })
    const gate = held<void>()
    const path = '/patient.json'
    const clientId = documents.serve(path, async () => {
      await gate.promise
      return { body: documentOf(documents.origin + path) }
    })
    const patient = ask(clientId, '192.0.2.1')
    while (documents.fetches(clientId) === 0) await documents.nextRequest()
    const crowd = Array.from({ length: 150 }, (_, index) =>
      ask(`https://silent${index}.example:${mute.port}/app`, '192.0.2.2'),
    )
    const dropped = await Promise.any(crowd)
    expect([dropped.status, dropped.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await dropped.text()).toContain('too many documents')
    gate.release()
    expect((await patient).status).toBe(200)
    await mute.close()
    await Promise.all(crowd)
  })
})

describe('the operator', () => {
  it('can say whose documents are accepted: others are not even fetched', async () => {
    const picky = await startProxy(entra, {
      clientMetadata: { ...documents.options, allowedHosts: ['other.example', '*.client.example'] },
    })
    const before = documents.lookups.length
    const clientId = documents.publish()
    expect(await pageFor(clientId, picky.url)).toMatchObject({
      status: 400,
      text: expect.stringContaining('does not accept applications of client.example.'),
    })
    expect(documents.lookups).toHaveLength(before)
    const fine = await startProxy(entra, {
      clientMetadata: { ...documents.options, allowedHosts: ['*.example'] },
    })
    expect((await pageFor(clientId, fine.url)).status).toBe(200)
    const none = await startProxy(entra, {
      clientMetadata: { ...documents.options, allowedHosts: [] },
    })
    expect((await pageFor(clientId, none.url)).status).toBe(400)
  })

  it('vouches for the hosts it lists: only their clients hear of an error by redirect', async () => {
    const web = 'https://app.example/cb'
    const clientId = documents.publish({ redirect_uris: [web] })
    const params = { redirect_uri: web, response_type: 'x' }
    const { page } = await openConsent(proxy.url, { clientId, params })
    expect([page.status, page.headers.get('location')]).toEqual([400, null])
    expect(returnLink(page.html).searchParams.get('error')).toBe('unsupported_response_type')
    const listed = await startProxy(entra, {
      clientMetadata: { ...documents.options, allowedHosts: ['client.example'] },
    })
    const { page: answer } = await openConsent(listed.url, { clientId, params })
    expect(answer.status).toBe(302)
    expect(answer.headers.get('location')?.startsWith(`${web}?error=`)).toBe(true)
  })

  it('can turn documents off: nothing is fetched, and nothing advertised', async () => {
    const off = await startProxy(entra, { clientMetadata: false })
    const before = documents.lookups.length
    expect(await pageFor(documents.publish(), off.url)).toMatchObject({
      status: 400,
      text: expect.stringContaining('is not registered here'),
    })
    expect(documents.lookups).toHaveLength(before)
    const metadata = await jsonOf(await fetch(`${off.url}/.well-known/oauth-authorization-server`))
    expect(metadata).not.toHaveProperty('client_id_metadata_document_supported')
    expect(metadata).not.toHaveProperty('token_endpoint_auth_signing_alg_values_supported')
    expect(metadata.token_endpoint_auth_methods_supported).toEqual([
      'client_secret_post',
      'client_secret_basic',
      'none',
    ])
  })

  it('ends the logins of documents by turning them off', async () => {
    const own = countingStorage().storage
    const on = { storage: own, clientMetadata: documents.options }
    const server = await startProxy(entra, on)
    const tokens = await login(server.url, { clientId: documents.publish() })
    server.restart({ storage: own, clientMetadata: false })
    expect((await refresh(server.url, tokens)).status).toBe(401)
    server.restart(on)
    expect((await refresh(server.url, tokens)).status).toBe(200)
  })

  it.each([
    [{ clientMetadata: 'yes' }, 'clientMetadata must be true, false or an object'],
    [{ clientMetadata: { allowedHosts: ['https://claude.ai'] } }, 'allowedHosts: not a host'],
    [{ clientMetadata: { allowedHosts: ['Claude.ai'] } }, 'allowedHosts: not a host'],
    [{ clientMetadata: { ports: [0] } }, 'ports: not a port'],
    [{ clientMetadata: { proxy: 'proxy.contoso.com:8080' } }, 'proxy must be a URL'],
    [{ clientMetadata: { resolve: 'dns' } }, 'resolve must be a function'],
    [{ registration: 'no' }, 'registration must be true or false'],
  ])('is told of a wrong option: %j', (options, message) => {
    const all = { ...authOptions(entra, proxy.url, []), ...options }
    expect(() => entraAuth(all as unknown as Parameters<typeof entraAuth>[0])).toThrow(message)
  })
})

it('a redirect URI is one of the document still when the consent form comes back', async () => {
  const clientId = documents.publish({}, { 'cache-control': 'no-store' })
  const consent = await openConsent(proxy.url, { clientId })
  documents.serve(new URL(clientId).pathname, {
    body: documentOf(clientId, { redirect_uris: ['http://localhost/elsewhere'] }),
  })
  const answer = await consent.browser.press(consent.page, 'approve')
  expect(answer.status).toBe(400)
  expect(answer.url.startsWith(redirectUri)).toBe(false)
})
