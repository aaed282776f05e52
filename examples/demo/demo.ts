/**
 * `npm run demo`: the whole journey on this machine, step by step, with an emulated Entra and Graph, the
 * reference host, a real MCP SDK client and a browser. `npm run demo -- --serve` starts everything and waits
 * instead; `--redis` keeps the logins in the Redis at REDIS_URL (default redis://127.0.0.1:6379).
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parseArgs } from 'node:util'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { redisStorage } from 'mcp-entra/redis'
import { startEntra } from 'mcp-entra/testing'
import { createHost } from '../reference-host/host.js'
import { Browser, formsOf } from './browser.js'
import { DemoClient } from './demo-client.js'

const { values: flags } = parseArgs({
  options: {
    serve: { type: 'boolean', default: false },
    redis: { type: 'boolean', default: false },
  },
})

/** Seconds after which the demo gives up. */
const demoDeadline = 60

let previous = performance.now()
let count = 0

/** Prints one line for the reader, with the milliseconds since the line before. */
function step(sentence: string): void {
  const now = performance.now()
  count += 1
  console.log(`${String(count).padStart(2)}. ${sentence} (${Math.round(now - previous)} ms)`)
  previous = now
}

async function start() {
  const entra = await startEntra()
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://localhost:${(server.address() as AddressInfo).port}`
  entra.addRedirectUri(`${url}/auth/callback`)
  const storage = flags.redis ? await openRedis() : undefined
  const quiet = { info() {}, warn() {}, error: (fields: object) => console.error(fields) }
  const host = createHost(
    {
      port: 0,
      baseUrl: url,
      tenantId: entra.tenant.id,
      clientId: entra.app.clientId,
      clientSecret: entra.app.secrets?.[0] ?? '',
      authorityHost: entra.url,
      keys: [randomBytes(32).toString('base64')],
      refreshGrace: undefined,
      identityAssertions: [],
      consent: 'remember',
      rememberUnverified: false,
      dpop: 'allowed',
      redisUrl: undefined,
      graphUrl: entra.graphUrl,
    },
    { logger: quiet, ...(storage && { storage }) },
  )
  server.on('request', host)
  const close = async () => {
    server.close()
    server.closeAllConnections()
    await entra.close()
    await storage?.close()
  }
  return { entra, url, close }
}

/** @throws Error when there is no Redis */
async function openRedis() {
  const url = process.env.REDIS_URL ?? 'redis://127.0.0.1:6379'
  const storage = redisStorage({ url })
  try {
    await storage.get('demo')
  } catch (cause) {
    await storage.close()
    throw new Error(
      `--redis needs a Redis at ${url} (or at REDIS_URL): apt-get install redis-server`,
      { cause },
    )
  }
  return storage
}

type Stage = Awaited<ReturnType<typeof start>>

async function play({ entra, url }: Stage): Promise<void> {
  const user = entra.users[0]
  assert(user, 'the emulated tenant has a user')
  step(`An emulated Entra and Graph are up at ${entra.url}, the notes server at ${url}/mcp.`)
  await discover(url)
  const demo = await logIn(url, user)
  await callTools(demo)
  await renew(demo)
  await endAccess(demo)
}

/** What a client finds out without a token. */
async function discover(url: string): Promise<void> {
  const refused = await fetch(`${url}/mcp`, { method: 'POST' })
  assert.equal(refused.status, 401)
  const where = /resource_metadata="([^"]+)"/.exec(
    refused.headers.get('www-authenticate') ?? '',
  )?.[1]
  assert(where, 'the challenge says where the metadata is')
  step('Without a token the server answers 401, and says where to find out how to get one.')

  const resource = (await (await fetch(where)).json()) as { authorization_servers: string[] }
  assert.deepEqual(resource.authorization_servers, [url])
  step('The metadata names the authorization server: the same host, standing in for Entra.')
}

/** A client that is logged in, and its user. */
interface Demo {
  readonly url: string
  readonly user: Stage['entra']['users'][number]
  readonly provider: DemoClient
  readonly browser: Browser
}

async function logIn(url: string, user: Demo['user']): Promise<Demo> {
  const provider = new DemoClient('Demo client')
  await assert.rejects(connect(url, provider), 'an unknown client cannot connect')
  assert(provider.information(), 'the client has registered')
  step('A real MCP client has read that, registered itself, and wants to send its user to log in.')

  const browser = new Browser({ stopAt: (target) => target.startsWith(provider.redirectUrl) })
  const demo = { url, user, provider, browser }
  await signIn(demo)
  step(`${user.name} approved the client, signed in at Entra, and the client has its tokens.`)
  return demo
}

async function callTools(demo: Demo): Promise<void> {
  const { url, user, provider } = demo
  const client = await connect(url, provider)
  const { tools } = await client.listTools()
  step(`The client is in, and sees the tools ${tools.map(({ name }) => name).join(', ')}.`)

  const who = (await call(client, 'whoami')) as { user: { name: string } }
  assert.equal(who.user.name, user.name)
  assert.deepEqual(await call(client, 'list_notes'), [])
  step(`Tools know who is calling: ${who.user.name}, who has no notes yet.`)

  await assert.rejects(client.callTool({ name: 'add_note', arguments: { text: 'Buy milk' } }))
  const requested = provider.sentTo.at(-1)?.searchParams.get('scope')
  assert.equal(requested, 'notes.read notes.write')
  step(`Writing was refused with 403: the client now asks for "${requested}" (step-up).`)

  await signIn(demo)
  const writer = await connect(url, provider)
  assert.deepEqual(await call(writer, 'add_note', { text: 'Buy milk' }), ['Buy milk'])
  step('The user approved that too, and the note is written.')

  const profile = (await call(writer, 'my_profile')) as { userPrincipalName: string }
  assert.equal(profile.userPrincipalName, user.username)
  step(`On behalf of the user the server asked Graph who that is: ${profile.userPrincipalName}.`)
}

async function renew({ url, provider }: Demo): Promise<void> {
  const before = provider.tokens()
  assert(before)
  provider.saveTokens({ ...before, access_token: 'expired' })
  const client = await connect(url, provider)
  assert.deepEqual(await call(client, 'list_notes'), ['Buy milk'])
  assert.notEqual(provider.tokens()?.refresh_token, before.refresh_token)
  step('The access token ran out: the client refreshed it, and nobody had to log in.')
  await client.close()
}

/** The user sees which clients hold their access, and ends that of one of them. */
async function endAccess(demo: Demo): Promise<void> {
  const { url, user, browser } = demo
  const other = { ...demo, provider: new DemoClient('Another client') }
  await assert.rejects(connect(url, other.provider), 'an unknown client cannot connect')
  await signIn(other)
  await (await connect(url, other.provider)).close()
  step('A second client has registered and been approved: now two of them are connected.')

  const page = await browser.open(`${url}/auth/apps`)
  assert.equal(page.status, 200, page.html)
  const items = page.html.match(/<li>[\s\S]*?<\/li>/g) ?? []
  const item = (name: string) => items.find((html) => html.includes(name))
  assert(item('Demo client') && item('Another client'), 'both clients are listed')
  step(`At ${url}/auth/apps ${user.name} sees both, and what they may do.`)

  const [form] = formsOf({ ...page, html: item('Another client') ?? '' })
  assert(form, 'each client has a button')
  const after = await browser.open(form.url, { method: 'POST', body: form.fields })
  assert(after.html.includes('Demo client') && !after.html.includes('Another client'))
  await new Promise((resolve) => setTimeout(resolve, 1100))
  step(`${user.name} has revoked the access of the second client there.`)

  assert.equal(await notesStatus(url, other.provider), 401)
  assert.equal(await refreshError(url, other.provider), 'invalid_grant')
  step(
    'The second client is refused: 401 for its access token, invalid_grant for its refresh token.',
  )

  const client = await connect(url, demo.provider)
  assert.deepEqual(await call(client, 'list_notes'), ['Buy milk'])
  step('And the first one goes on as before. That was the whole journey.')
  await client.close()
}

async function notesStatus(url: string, provider: DemoClient): Promise<number> {
  const headers = { authorization: `Bearer ${provider.tokens()?.access_token}` }
  return (await fetch(`${url}/api/notes`, { headers })).status
}

/** What the token endpoint says to the client's refresh token. */
async function refreshError(url: string, provider: DemoClient): Promise<string | undefined> {
  const response = await fetch(`${url}/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: provider.tokens()?.refresh_token ?? '',
      client_id: provider.information()?.client_id ?? '',
    }),
  })
  return ((await response.json()) as { error?: string }).error
}

async function connect(url: string, provider: DemoClient): Promise<Client> {
  const client = new Client({ name: 'demo', version: '1.0.0' })
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { authProvider: provider }),
  )
  return client
}

async function call(
  client: Client,
  name: string,
  args: Record<string, unknown> = {},
): Promise<unknown> {
  const result = (await client.callTool({ name, arguments: args })) as {
    isError?: boolean
    content: { text: string }[]
  }
  const text = result.content[0]?.text ?? ''
  assert(!result.isError, text)
  return JSON.parse(text)
}

/** The user's part: read the consent page, press Approve, sign in, be sent back to the client. */
async function signIn({ url, user, provider, browser }: Demo): Promise<void> {
  const target = new URL(provider.sentTo.at(-1) ?? '')
  target.searchParams.set('login_hint', user.username)
  const consent = await browser.open(target.href)
  assert.equal(consent.status, 200, consent.html)
  const answer = new URL((await browser.press(consent, 'approve')).url)
  const code = answer.searchParams.get('code')
  assert(code, `the client got a code: ${answer.searchParams.get('error_description')}`)
  assert.equal(answer.searchParams.get('iss'), url)
  const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp`), {
    authProvider: provider,
  })
  await transport.finishAuth(code)
}

function explain({ entra, url }: Stage): void {
  const users = entra.users.map(({ username }) => username).join(', ')
  console.log(`
Everything is up until you press Ctrl-C.

  MCP server            ${url}/mcp
  Connected apps        ${url}/auth/apps  (which clients have your access: revoke one and watch it be refused)
  Emulated Entra        ${entra.url}  (sign in as ${users}; no password)

MCP Inspector           npx @modelcontextprotocol/inspector
                        transport "Streamable HTTP", URL ${url}/mcp, then Connect

curl                    curl -i -X POST ${url}/mcp
                        curl -s ${url}/.well-known/oauth-protected-resource/mcp
                        curl -s ${url}/.well-known/oauth-authorization-server
                        curl -s ${url}/register -H 'content-type: application/json' \\
                          -d '{"client_name":"curl","redirect_uris":["http://127.0.0.1:9999/cb"]}'
`)
}

const stage = await start().catch((error: Error) => {
  console.error(error.message)
  process.exit(1)
})
if (flags.serve) {
  explain(stage)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void stage.close().then(() => process.exit(0)))
  }
} else {
  const overdue = setTimeout(() => {
    console.error(`The demo did not finish within ${demoDeadline} seconds.`)
    process.exit(1)
  }, demoDeadline * 1000)
  try {
    await play(stage)
  } catch (error) {
    console.error(error)
    process.exitCode = 1
  } finally {
    clearTimeout(overdue)
    await stage.close()
  }
}
