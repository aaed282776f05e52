/** A whole journey, and then a search for everything in it that must not lie about: store, log, events. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { memoryStorage, type Storage } from 'mcp-entra'
import { formRequest } from '../../examples/demo/browser.js'
import { startWorld, testKeys, type World } from '../support/host.js'
import {
  addNote,
  bob,
  callMcp,
  getNotes,
  postForm,
  postJson,
  redeem,
  redirectUri,
  refresh,
  type Tokens,
} from '../support/oauth-client.js'
import { approve, clientAnswer, hear, jsonOf, openConsent } from '../support/proxy.js'

/** A storage that remembers all it was ever told. */
function recording() {
  const memory = memoryStorage()
  const keys = new Set<string>()
  const values: string[] = []
  const seen = (key: string, value?: Uint8Array) => {
    keys.add(key)
    // As text in every form a dump could be read in.
    if (value) values.push(Buffer.from(value).toString('latin1'))
  }
  const watched =
    <A extends [string, ...unknown[]], T>(operation: (...args: A) => Promise<T>) =>
    (...args: A) => {
      seen(args[0], args[1] as Uint8Array | undefined)
      return operation(...args)
    }
  const storage: Storage = {
    get: watched(memory.get),
    set: watched(memory.set),
    add: watched(memory.add),
    take: watched(memory.take),
  }
  return { storage, keys, values }
}

const channels = ['login', 'token', 'refusal', 'exchange', 'revocation', 'failure']

let world: World
const store = recording()
const secrets = new Map<string, string>()
const keep = (what: string, value: string | null | undefined) => {
  if (value) secrets.set(value, what)
}
let events: unknown[][]

beforeAll(async () => {
  events = channels.map((name) => hear(`mcp-entra:${name}`))
  world = await startWorld({ storage: store.storage })
  try {
    await journey()
  } finally {
    await world.close()
  }
})

/** All there is: confidential client, consent, login, step-up, exchange, refresh, refusals, outage, revocation. */
async function journey(): Promise<void> {
  const { url, entra } = world
  const registration = await postJson(`${url}/register`, {
    client_name: 'Secretive client',
    redirect_uris: [redirectUri],
    token_endpoint_auth_method: 'client_secret_post',
  })
  const { client_id, client_secret } = await jsonOf<Record<string, string>>(registration)
  keep('client id', client_id)
  keep('client secret', client_secret)
  const secret = { client_secret: client_secret ?? '' }
  const params = {
    scope: 'notes.read notes.write',
    state: 'a-state-of-the-client',
    login_hint: bob,
  }

  const denied = await openConsent(url, { clientId: client_id ?? '', params })
  await denied.browser.fetchOnce(...formRequest(denied.page, 'deny'))
  const login = await approve(url, { clientId: client_id ?? '', params })
  keep('our state', login.state)
  keep('our nonce', login.upstream.searchParams.get('nonce'))
  const arrival = await login.browser.fetchOnce(login.upstream.href)
  keepCookies(await login.browser.jar.getCookieString(url))
  const callback = arrival.headers.get('location') ?? ''
  keep("Entra's code", new URL(callback).searchParams.get('code'))
  const { code = '' } = clientAnswer(await login.browser.fetchOnce(callback))
  keep('code', code)
  keep('verifier', login.verifier)
  await login.browser.fetchOnce(callback)

  await redeem(url, { ...login, code, verifier: 'a wrong verifier' }, secret)
  const first = await keepTokens(await redeem(url, { ...login, code }, secret))
  await callMcp(url, first.access_token, 'tools/call', { name: 'my_profile', arguments: {} })
  await addNote(url, first.access_token, 'a note')
  const session = { ...first, clientId: login.clientId }
  const next = await keepTokens(await refresh(url, session, secret))
  await refresh(url, session, { ...secret, scope: 'notes.read' })
  const narrow = await keepTokens(
    await refresh(url, { ...session, ...next }, { ...secret, scope: 'notes.read' }),
  )
  await addNote(url, narrow.access_token, 'refused')
  await getNotes(url, `${narrow.access_token}x`)
  for (const fault of [{ error: 7000215 }, { reset: true }, { error: 65001 }]) {
    const remove = entra.fault({ at: 'token', ...fault })
    await refresh(url, { ...session, ...narrow }, { ...secret, scope: 'notes.read' })
    const fresh = await callMcp(url, narrow.access_token, 'tools/call', { name: 'my_profile' })
    await fresh.text()
    remove()
  }
  const revoke = (token: string) =>
    postForm(`${url}/revoke`, { token, client_id: login.clientId, ...secret })
  await revoke(next.access_token)
  await redeem(url, { ...login, code }, secret)
  await revoke(narrow.refresh_token)
  keepUpstream()
}

function keepCookies(cookies: string): void {
  for (const cookie of cookies.split('; ')) keep('cookie', cookie.split('.')[1])
}

async function keepTokens(response: Response): Promise<Tokens> {
  expect(response.status).toBe(200)
  const tokens = await jsonOf<Tokens>(response)
  keep('access token', tokens.access_token)
  keep('signature of an access token', tokens.access_token.split('.')[2])
  keep('refresh token', tokens.refresh_token)
  const payload = Buffer.from(tokens.access_token.split('.')[1] ?? '', 'base64url').toString()
  keep('sid', JSON.parse(payload).sid)
  return tokens
}

/** What went to Entra and Graph: secrets, codes, verifiers, assertions, tokens. And whose it was. */
function keepUpstream(): void {
  const { entra } = world
  for (const { params, headers } of entra.requests) {
    for (const name of ['code', 'code_verifier', 'refresh_token', 'assertion', 'client_secret']) {
      keep(`${name} at Entra`, params[name])
    }
    keep('bearer at Graph', headers.authorization?.replace(/^Bearer /, ''))
  }
  const { username, name, oid } = entra.user(bob)
  keep('user name', username)
  keep('display name', name)
  keep('object id', oid)
  keep('object id without hyphens', oid.replaceAll('-', ''))
  for (const key of testKeys) keep('key', key)
}

/** The secrets found in a text, by what they are. */
const found = (text: string) =>
  [...secrets].filter(([secret]) => text.includes(secret)).map(([, what]) => what)

describe('after a whole journey', () => {
  it('there was something to find', () => {
    const kinds = new Set(secrets.values())
    expect([...kinds].sort()).toEqual([
      'access token',
      'assertion at Entra',
      'bearer at Graph',
      'client id',
      'client secret',
      'client_secret at Entra',
      'code',
      'code at Entra',
      'code_verifier at Entra',
      'cookie',
      'display name',
      'key',
      'object id',
      'object id without hyphens',
      'our nonce',
      'our state',
      'refresh token',
      'refresh_token at Entra',
      'sid',
      'signature of an access token',
      'user name',
      'verifier',
    ])
    expect(store.keys.size).toBeGreaterThan(10)
    expect(store.values.length).toBeGreaterThan(10)
    expect(world.logs.length).toBeGreaterThan(10)
    expect(events.map((list) => list.length > 0)).toEqual(channels.map(() => true))
  })

  it('no name of a record holds anything, nor is longer than a store must take', () => {
    for (const key of store.keys) {
      expect(found(key)).toEqual([])
      expect(key).toMatch(/^[a-z-]+:[\w-]{43}$/)
    }
  })

  it('no record holds anything, as text, base64 or hex', () => {
    for (const value of store.values) {
      expect(found(value)).toEqual([])
      expect(found(Buffer.from(value, 'latin1').toString('base64url'))).toEqual([])
      expect(value).not.toMatch(/notes\.read|eyJ0eX|eyJhbG|"scope"|contoso/)
    }
  })

  it('no line of the log and no event holds anything', () => {
    for (const line of [...world.logs, ...events.flat()]) {
      const text = JSON.stringify(line)
      // Events say whose login it is, by an id that tells nobody a name.
      const secret = found(text).filter((what) => what !== 'object id')
      expect([text, secret]).toEqual([text, []])
      expect(text).not.toMatch(/eyJ|contoso|Ordered by|\bat .*\.(ts|js):/)
    }
  })
})
