/** The reference host as a program: configured by environment alone, as its contract says. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import { startEntra } from 'mcp-entra/testing'
import { Agent, fetch as undiciFetch } from 'undici'
import { openApps, signOutForm } from '../../support/account.js'
import { loginBound, newKey } from '../../support/dpop.js'
import { alsoDpop } from '../../support/gate.js'
import { type Entra, testKeys } from '../../support/host.js'
import { navigate } from '../../support/navigation.js'
import {
  addNote,
  authorizeUrl,
  callMcp,
  getCode,
  getNotes,
  listedTools,
  login,
  newBrowser,
  pkce,
  refresh,
  type Tokens,
  toolText,
} from '../../support/oauth-client.js'
import {
  type Environment,
  environmentFor,
  killPrograms,
  type Program,
  printed,
  run,
} from '../../support/programs.js'
import { describeWithOwnRedis, startRedis } from '../../support/redis-server.js'

let emulators: Entra[] = []

afterEach(async () => {
  await killPrograms()
  await Promise.all(emulators.map((one) => one.close()))
  emulators = []
})

const start = (env: Environment) => run(['reference-host/server.js'], env)
const listening = (program: Program) => printed(program, 'listening on port')

async function emulator(options: Parameters<typeof startEntra>[0] = {}): Promise<Entra> {
  const entra = await startEntra(options)
  emulators.push(entra)
  return entra
}

/** Has `fetch` in this process trust a CA, as the browser of a developer would, until it is told to stop. */
function trust(ca: string): () => Promise<void> {
  const usual = globalThis.fetch
  const dispatcher = new Agent({ connect: { ca } })
  const trusting = (url: string, init: object) => undiciFetch(url, { ...init, dispatcher })
  globalThis.fetch = trusting as unknown as typeof fetch
  return async () => {
    globalThis.fetch = usual
    await dispatcher.destroy()
  }
}

async function playThrough(entra: Entra, url: string): Promise<void> {
  const [ada] = entra.users
  expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' })
  const challenge = await fetch(`${url}/mcp`, { method: 'POST' })
  expect(challenge.status).toBe(401)
  expect(challenge.headers.get('www-authenticate')).toBe(
    `Bearer resource_metadata="${url}/.well-known/oauth-protected-resource/mcp", scope="notes.read"${alsoDpop}`,
  )
  const me = { user: ada?.username ?? '' }
  const reader = await login(url, me)
  const token = reader.access_token
  expect(await toolText(await callMcp(url, token, 'tools/call', { name: 'whoami' }))).toMatchObject(
    {
      user: { oid: ada?.oid, tid: ada?.tid, username: ada?.username },
      client: reader.clientId,
      scopes: ['notes.read'],
    },
  )
  const text = { name: 'add_note', arguments: { text: 'by tool' } }
  expect((await callMcp(url, token, 'tools/call', text)).status).toBe(403)
  expect((await addNote(url, token, 'by route')).status).toBe(403)

  const writer = (await login(url, { ...me, scope: 'notes.read notes.write' })).access_token
  expect((await addNote(url, writer, 'by route')).status).toBe(201)
  expect(await toolText(await callMcp(url, writer, 'tools/call', text))).toEqual([
    'by route',
    'by tool',
  ])
  expect(await (await getNotes(url, token)).json()).toEqual({ notes: ['by route', 'by tool'] })
  const list = await callMcp(url, token, 'tools/call', { name: 'list_notes' })
  expect(await toolText(list)).toEqual(['by route', 'by tool'])
  const profile = await callMcp(url, token, 'tools/call', { name: 'my_profile' })
  expect(await toolText(profile)).toMatchObject({ userPrincipalName: ada?.username, id: ada?.oid })

  const all = ['whoami', 'list_notes', 'add_note', 'my_profile']
  expect(await listedTools(url, token)).toEqual(all)
  for (const name of ['audit', 'no_such_tool']) {
    const closed = await callMcp(url, token, 'tools/call', { name })
    expect([closed.status, closed.headers.get('www-authenticate')]).toEqual([403, null])
  }

  const { page } = await openApps(url, ada?.oid ?? '')
  expect([page.status, page.url]).toEqual([200, `${url}/auth/apps`])
  expect(page.html.match(/<bdi class="name">Test client<\/bdi>/g)).toHaveLength(2)

  // The gate takes Entra's own tokens too.
  const direct = await entra.mintAccessToken({ user: ada?.oid ?? '' })
  expect((await getNotes(url, direct)).status).toBe(200)
}

describe('npm run example', () => {
  it('serves the whole contract over http, and exits with 0 on SIGTERM', async () => {
    const entra = await emulator()
    const host = await listening(start(await environmentFor(entra)))
    await playThrough(entra, host.url)
    host.child.kill('SIGTERM')
    expect(await host.ended).toBe(0)
    // It prints no token, no secret and no name.
    expect(host.output()).not.toMatch(/eyJ|notes-mcp-secret|contoso|Lovelace/)
  }, 60_000)

  it('serves it over https when Entra has a CA of its own (NODE_EXTRA_CA_CERTS)', async () => {
    const entra = await emulator({ https: true })
    const folder = await mkdtemp(join(tmpdir(), 'mcp-entra-'))
    const ca = join(folder, 'ca.pem')
    await writeFile(ca, entra.ca ?? '')
    const env = { ...(await environmentFor(entra)), NODE_EXTRA_CA_CERTS: ca }
    const host = await listening(start(env))
    const distrust = trust(entra.ca ?? '')
    try {
      await playThrough(entra, host.url)
    } finally {
      await distrust()
      await rm(folder, { recursive: true })
    }
  }, 60_000)

  it('answers 503, not 401, when it does not trust the certificate of Entra', async () => {
    const entra = await emulator({ https: true })
    const host = await listening(start(await environmentFor(entra)))
    const response = await getNotes(host.url, await entra.mintAccessToken())
    expect(response.status).toBe(503)
  }, 60_000)

  it('repeats an answer to a used refresh token for MCP_ENTRA_REFRESH_GRACE seconds', async () => {
    const entra = await emulator()
    const statuses = async (more: Environment) => {
      const host = await listening(start({ ...(await environmentFor(entra)), ...more }))
      const tokens = await login(host.url, { user: entra.users[0]?.username ?? '' })
      const first = await refresh(host.url, tokens)
      const { access_token } = (await first.json()) as Tokens
      const second = await refresh(host.url, tokens)
      const answer = (await second.json()) as Partial<Tokens>
      return [first.status, second.status, answer.access_token === access_token]
    }
    expect(await statuses({ MCP_ENTRA_REFRESH_GRACE: '0' })).toEqual([200, 400, false])
    expect(await statuses({ MCP_ENTRA_REFRESH_GRACE: '60' })).toEqual([200, 200, true])
    expect(await statuses({})).toEqual([200, 200, true])
  }, 60_000)

  it('remembers a consent as MCP_ENTRA_CONSENT and MCP_ENTRA_REMEMBER_UNVERIFIED say', async () => {
    const entra = await emulator()
    const secondLogin = async (more: Environment) => {
      const host = await listening(start({ ...(await environmentFor(entra)), ...more }))
      const browser = newBrowser()
      const { clientId } = await getCode(host.url, { browser })
      const again = await navigate(browser, authorizeUrl(host.url, clientId, pkce().challenge))
      return again.status === 302 ? 'at Entra' : again.status
    }
    const unverified = { MCP_ENTRA_REMEMBER_UNVERIFIED: '1' }
    expect(await secondLogin({})).toBe(200)
    expect(await secondLogin(unverified)).toBe('at Entra')
    expect(await secondLogin({ ...unverified, MCP_ENTRA_CONSENT: 'remember' })).toBe('at Entra')
    expect(await secondLogin({ ...unverified, MCP_ENTRA_CONSENT: 'always' })).toBe(200)
  }, 60_000)

  it('binds tokens as MCP_ENTRA_DPOP says', async () => {
    const entra = await emulator()
    const key = newKey()
    const tokenType = async (more: Environment, proves: boolean) => {
      const { url } = await listening(start({ ...(await environmentFor(entra)), ...more }))
      const { token_type } = await (proves ? loginBound(url, key) : login(url))
      return token_type
    }
    expect(await tokenType({}, true)).toBe('DPoP')
    expect(await tokenType({ MCP_ENTRA_DPOP: 'allowed' }, false)).toBe('Bearer')
    expect(await tokenType({ MCP_ENTRA_DPOP: 'off' }, true)).toBe('Bearer')
    expect(await tokenType({ MCP_ENTRA_DPOP: 'required' }, true)).toBe('DPoP')
    const bearer = tokenType({ MCP_ENTRA_DPOP: 'required' }, false)
    await expect(bearer).rejects.toThrow(/invalid_dpop_proof/)
  }, 60_000)

  it('exits with 1 and says so when its port is taken', async () => {
    const entra = await emulator()
    const env = await environmentFor(entra)
    await listening(start(env))
    const second = start(env)
    expect(await second.ended).toBe(1)
    expect(second.output()).toContain('EADDRINUSE')
    expect(second.output()).not.toMatch(/^\s+at /m)
  }, 60_000)
})

describeWithOwnRedis('npm run example with REDIS_URL', () => {
  it('keeps browser sessions there, and exits with 0 on SIGTERM', async () => {
    const redis = await startRedis()
    const entra = await emulator()
    const host = await listening(start({ ...(await environmentFor(entra)), REDIS_URL: redis.url }))
    const { browser, page } = await openApps(host.url, entra.users[0]?.oid ?? '')
    expect(page.status).toBe(200)
    const keys = async () => (await redis.cli('--scan', '--pattern', 'mcp-entra-session:*')).trim()
    expect(await keys()).toMatch(/^mcp-entra-session:[\w-]{43}$/)
    expect((await browser.fetchOnce(...signOutForm(page))).status).toBe(303)
    expect(await keys()).toBe('')
    host.child.kill('SIGTERM')
    expect(await host.ended).toBe(0)
    await redis.close()
  }, 60_000)
})

describe('npm run example with something wrong', () => {
  const good: Environment = {
    PORT: '0',
    BASE_URL: 'http://localhost:3000',
    AZURE_TENANT_ID: 'c0a70500-0000-4000-8000-00000000c050',
    AZURE_CLIENT_ID: 'a9900001-0000-4000-8000-0000000000e5',
    AZURE_CLIENT_SECRET: 'secret~value',
    MCP_ENTRA_KEYS: 'example key one: 0123456789abcdef',
  }
  const portal = 'Microsoft Entra admin center (entra.microsoft.com) > App registrations > your app'

  async function lines(env: Environment): Promise<readonly string[]> {
    const host = start(env)
    const started = listening(host).then(
      () => 'started',
      () => host.ended,
    )
    expect(await started).toBe(1)
    return host.output().trim().split('\n')
  }

  it('starts with the required variables alone', async () => {
    const host = await listening(start(good))
    expect(host.output()).toContain('http://localhost:3000/mcp')
  })

  it.each([
    ['PORT', undefined, 'is missing', 'your choice'],
    ['PORT', 'http', 'must be a port number', 'your choice'],
    ['PORT', '65536', 'must be a port number', 'your choice'],
    ['BASE_URL', undefined, 'is missing', 'your choice'],
    ['BASE_URL', 'mcp.contoso.com', 'baseUrl must be', 'Redirect URIs'],
    ['BASE_URL', 'http://mcp.contoso.com', 'baseUrl must be https', 'Redirect URIs'],
    ['BASE_URL', 'https://MCP.contoso.com', 'https://mcp.contoso.com', 'Redirect URIs'],
    ['BASE_URL', 'https://mcp.contoso.com/?a=1', 'https://mcp.contoso.com:', 'Redirect URIs'],
    ['AZURE_TENANT_ID', undefined, 'is missing', `${portal} > Overview > Directory (tenant) ID`],
    ['AZURE_TENANT_ID', 'common', 'tenantId', `${portal} > Overview > Directory (tenant) ID`],
    ['AZURE_TENANT_ID', 'my tenant', 'tenantId must be', `${portal} > Overview`],
    ['AZURE_CLIENT_ID', undefined, 'is missing', `${portal} > Overview > Application (client) ID`],
    [
      'AZURE_CLIENT_ID',
      'my-app',
      'must be a GUID',
      `${portal} > Overview > Application (client) ID`,
    ],
    ['AZURE_CLIENT_SECRET', undefined, 'is missing', `${portal} > Certificates & secrets`],
    ['AZURE_CLIENT_SECRET', 'two words', 'white space', `${portal} > Certificates & secrets`],
    [
      'AZURE_CLIENT_SECRET',
      '11111111-1111-4111-8111-111111111111',
      'is wrong: clientSecret: this is a GUID, as the "Secret ID"',
      `${portal} > Certificates & secrets`,
    ],
    ['AZURE_AUTHORITY_HOST', 'login.microsoftonline.com', 'authorityHost', 'Endpoints'],
    ['AZURE_AUTHORITY_HOST', 'http://login.example', 'authorityHost must be https', 'Endpoints'],
    ['AZURE_AUTHORITY_HOST', 'https://login.example/tenant', 'an origin', 'Endpoints'],
    ['MCP_ENTRA_KEYS', undefined, 'is missing', 'openssl rand -base64 32'],
    ['MCP_ENTRA_KEYS', 'short', 'keys[0] must be a random secret', 'openssl rand -base64 32'],
    ['MCP_ENTRA_KEYS', `${testKeys[0]},`, 'keys[1] must be', 'openssl rand -base64 32'],
    ['MCP_ENTRA_KEYS', `${testKeys[0]},${testKeys[0]}`, 'twice', 'openssl rand'],
    ['MCP_ENTRA_REFRESH_GRACE', 'a minute', 'refreshGrace must be', '60 when unset'],
    ['MCP_ENTRA_REFRESH_GRACE', '-1', 'refreshGrace must be', '60 when unset'],
    ['MCP_ENTRA_CONSENT', 'never', "consent must be 'remember' or 'always'", 'always to ask'],
    ['MCP_ENTRA_REMEMBER_UNVERIFIED', 'yes', 'must be 1', '1 to remember'],
    ['MCP_ENTRA_IDENTITY_ASSERTIONS', 'https://idp', 'must be a JSON array', 'a JSON array of'],
    [
      'MCP_ENTRA_IDENTITY_ASSERTIONS',
      '[{"issuer":"http://idp.contoso.com"}]',
      'issuer must be an https URL',
      'a JSON array of',
    ],
    [
      'MCP_ENTRA_IDENTITY_ASSERTIONS',
      '[{"issuer":"https://idp.contoso.com","jwks_uri":"https://idp.contoso.com/keys"}]',
      'no such option: "jwks_uri" (did you mean "jwksUri"?)',
      'a JSON array of',
    ],
    ['MCP_ENTRA_DPOP', 'yes', "dpop must be 'off', 'allowed' or 'required'", 'off, allowed or'],
    ['REDIS_URL', 'localhost:6379', 'redis://', 'the URL of your Redis'],
    ['GRAPH_URL', 'graph.microsoft.com', 'must be an https URL', 'leave it unset'],
  ])('exits with 1 and prints one line when %s is %j', async (name, value, problem, place) => {
    const { [name]: _gone, ...rest } = good
    const answer = await lines(value === undefined ? rest : { ...rest, [name]: value })
    expect(answer).toEqual([expect.stringContaining(place)])
    expect(answer[0]).toMatch(new RegExp(`^${name} `))
    expect(answer[0]).toContain(problem)
    // Part of a secret is still a secret.
    if (name === 'AZURE_CLIENT_SECRET' && value) expect(answer[0]).not.toContain(value)
  })

  it('prints a line for each when several are wrong', async () => {
    const wrong = { BASE_URL: 'mcp.contoso.com', MCP_ENTRA_KEYS: 'short', REDIS_URL: 'redis' }
    const answer = await lines({ ...good, ...wrong })
    expect(answer.map((line) => line.split(' ', 3).join(' '))).toEqual([
      'BASE_URL is wrong:',
      'MCP_ENTRA_KEYS is wrong:',
      'REDIS_URL is wrong:',
    ])
  })

  it('treats an empty variable like a missing one', async () => {
    expect(await lines({ ...good, AZURE_CLIENT_ID: ' ' })).toEqual([
      expect.stringMatching(/^AZURE_CLIENT_ID is missing\. /),
    ])
  })

  it('prints a line for each when all are missing', async () => {
    const answer = await lines({})
    expect(answer.map((line) => line.split(' ', 3).join(' '))).toEqual([
      'PORT is missing.',
      'BASE_URL is missing.',
      'AZURE_TENANT_ID is missing.',
      'AZURE_CLIENT_ID is missing.',
      'AZURE_CLIENT_SECRET is missing.',
      'MCP_ENTRA_KEYS is missing.',
    ])
  })
})
