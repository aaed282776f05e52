/** Whom an event is about is told wherever it is known: in failures and refusals, too, and in the middle of a flow. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { memoryStorage, type Storage } from 'mcp-entra'
import { accountRoutes } from 'mcp-entra/account'
import { Browser, formRequest, type Page } from '../../examples/demo/browser.js'
import { sha256 } from '../../lib/crypto/hashing.js'
import { formWith, openApps, signInAtAccount } from '../support/account.js'
import {
  type AssertionWorld,
  aimAt,
  presentNew,
  startAssertionWorld,
} from '../support/assertion-flow.js'
import { type DocumentServer, startDocumentServer } from '../support/client-documents.js'
import type { Entra } from '../support/host.js'
import { askedUrl, callProfile, initialize, mountProfileTool } from '../support/in-session.js'
import { navigate } from '../support/navigation.js'
import {
  ada,
  addNote,
  authorizeUrl,
  bob,
  getCode,
  getNotes,
  login,
  newBrowser,
  pkce,
  redeem,
  refresh,
  register,
} from '../support/oauth-client.js'
import { hear, openConsent, signInAtEntra, startProxy, startTestEntra } from '../support/proxy.js'
import { around } from '../support/replica.js'

const names = ['login', 'exchange', 'revocation', 'refusal', 'failure'] as const
const heard = names.map((name) => ({ name, events: hear(`mcp-entra:${name}`) }))

/** What was told since the test began, with the name of each event. */
function told(): Record<string, unknown>[] {
  return heard.flatMap(({ name, events }) =>
    events.map((event) => ({ name, ...(event as Record<string, unknown>) })),
  )
}

/** The store fails at operations for which this is true. */
let fails = (_operation: string, _key: string): boolean => false

function failingStorage(): Storage {
  return around(memoryStorage(), async (name, operation, key) => {
    if (fails(name, key)) throw new Error('connect ECONNREFUSED')
    return operation()
  })
}

const appUri = 'https://app.example/cb'
let allow: () => boolean = () => true
let entra: Entra
let documents: DocumentServer
let world: AssertionWorld
let url: string
let clientId: string

beforeAll(async () => {
  entra = await startTestEntra()
  documents = await startDocumentServer()
  world = await startAssertionWorld({ sub: 'ada' })
  const { tid, oid } = { tid: entra.tenant.id, oid: ada }
  const proxy = await startProxy(entra, {
    storage: failingStorage(),
    clientMetadata: documents.options,
    allow: () => allow(),
    identityAssertions: [{ issuer: world.idp.url, mapUser: () => ({ tid, oid }) }],
    mount(app, auth) {
      app.use(accountRoutes(auth))
      mountProfileTool(app, auth)
    },
  })
  url = proxy.url
  await aimAt(world, url)
  clientId = await register(url)
})
beforeEach(() => {
  allow = () => true
  fails = () => false
  for (const { events } of heard) events.length = 0
})

const userOf = (oid: string) => ({ tid: entra.tenant.id, oid })
const client = () => ({ id: sha256(clientId), onDevice: true })
const grant = expect.stringMatching(/^[\w-]{16}$/)
const correlationId = expect.stringMatching(/^[\w-]{36}$/)
/** All that an event says of a login. */
const subject = (oid = ada) => ({
  user: userOf(oid),
  client: client(),
  scopes: ['notes.read'],
  resource: `${url}/mcp`,
})

describe('a sign-in that comes back from Entra', () => {
  async function comeBack(): Promise<void> {
    const { browser, callback } = await signInAtEntra(url, { clientId })
    await browser.fetchOnce(callback)
  }

  it('names its user when the login policy fails', async () => {
    allow = () => {
      throw new Error('no directory')
    }
    await comeBack()
    expect(told()).toMatchObject([{ name: 'failure', ...subject(), correlationId }])
  })

  it('names its user when the store fails', async () => {
    const { browser, callback } = await signInAtEntra(url, { clientId })
    fails = (operation) => operation === 'set'
    await browser.fetchOnce(callback)
    const cause = 'Error: connect ECONNREFUSED'
    expect(told()).toMatchObject([{ name: 'failure', ...subject(), correlationId, cause }])
  })

  it('names its user at the account pages, when the store fails', async () => {
    const { browser, callback } = await signInAtAccount(url, ada)
    fails = () => true
    await browser.fetchOnce(callback)
    expect(told()).toMatchObject([{ name: 'failure', user: userOf(ada), correlationId }])
  })

  it('names the request at Entra, also when there was no answer', async () => {
    const { browser, callback } = await signInAtEntra(url, { clientId })
    const end = entra.fault({ at: 'token', reset: true })
    await browser.fetchOnce(callback)
    end()
    expect(told()).toMatchObject([{ name: 'failure', reason: 'unavailable', correlationId }])
  })

  it('names login and client in failures that cost it nothing', async () => {
    const document = documents.publish({ redirect_uris: [appUri] })
    const browser = new Browser({ stopAt: (at) => at.startsWith(appUri) })
    const params = { redirect_uri: appUri, login_hint: ada }
    const page = await navigate(browser, authorizeUrl(url, document, pkce().challenge, params))
    const away = await browser.fetchOnce(...formRequest(page, 'approve'))
    const back = await browser.fetchOnce(away.headers.get('location') ?? '')
    fails = (operation, key) => operation === 'set' && /^(?:consent|session)/.test(key)
    await browser.fetchOnce(back.headers.get('location') ?? '')
    const all = { ...subject(), client: { id: sha256(document), host: new URL(document).host } }
    expect(told()).toMatchObject([
      { name: 'login', ...all, outcome: 'success' },
      { name: 'failure', ...all, reason: 'consent_not_recorded' },
      { name: 'failure', ...all, reason: 'session_not_begun' },
    ])
  })
})

describe('a login without the page, with which another user comes back', () => {
  it('names that user, the client and the request at Entra', async () => {
    const document = documents.publish({ redirect_uris: [appUri] })
    const browser = new Browser({ stopAt: (at) => at.startsWith(appUri) })
    const params = { redirect_uri: appUri, login_hint: ada }
    const ask = () => navigate(browser, authorizeUrl(url, document, pkce().challenge, params))
    await browser.press(await ask(), 'approve')
    const away = new URL((await ask()).headers.get('location') ?? '')
    away.searchParams.set('login_hint', bob)
    for (const { events } of heard) events.length = 0
    await browser.open(away.href)
    const all = { ...subject(bob), client: { id: sha256(document), host: new URL(document).host } }
    expect(told()).toMatchObject([{ ...all, outcome: 'consent_required', correlationId }])
  })
})

describe('an answer to the consent page', () => {
  it('names the login that it is about', async () => {
    const { browser, page } = await openConsent(url, { clientId })
    const [to, init] = formRequest(page, 'approve')
    ;(init.body as URLSearchParams).set('action', 'maybe')
    await browser.fetchOnce(to, init)
    const { user: _nobody, ...login } = subject()
    expect(told()).toMatchObject([{ name: 'refusal', ...login, reason: 'invalid_request' }])
  })

  it('names the user who denies, where the page knows whom it asks', async () => {
    const document = documents.publish({ redirect_uris: [appUri] })
    const { browser } = await openApps(url, bob)
    const params = { redirect_uri: appUri, login_hint: bob }
    const page = await navigate(browser, authorizeUrl(url, document, pkce().challenge, params))
    await browser.fetchOnce(...formRequest(page, 'deny'))
    const denied = told().filter(({ reason }) => reason === 'denied')
    expect(denied).toMatchObject([{ user: userOf(bob), client: { id: sha256(document) } }])
  })
})

describe('a refused token request', () => {
  it.each([
    ['with a wrong verifier', { code_verifier: 'w'.repeat(43) }],
    ['for another resource', { resource: 'https://elsewhere.example/' }],
  ])('%s names the login of its code', async (_how, more) => {
    const code = await getCode(url, { clientId })
    await redeem(url, code, more)
    expect(told().slice(1)).toMatchObject([{ name: 'refusal', ...subject(), grant }])
  })

  it('of another client names that one, and the login of the code', async () => {
    const code = await getCode(url, { clientId })
    const other = await register(url)
    await redeem(url, { ...code, clientId: other })
    const asking = { id: sha256(other), onDevice: true }
    expect(told().slice(1)).toMatchObject([
      { name: 'refusal', ...subject(), client: asking, grant },
    ])
  })

  it('names the request at Entra when the login policy ends a login', async () => {
    const tokens = await login(url, { clientId })
    allow = () => false
    await refresh(url, tokens)
    const [ended] = told().filter(({ name }) => name === 'revocation')
    expect(ended).toMatchObject({ ...subject(), grant, reason: 'login_policy', correlationId })
  })
})

describe('a tool call', () => {
  it('is an event when there is no sign-in to exchange a token for', async () => {
    const { access_token } = (await (await presentNew(url, world)).json()) as {
      access_token: string
    }
    expect((await callProfile(url, access_token)).status).toBe(403)
    const all = { user: userOf(ada), client: { id: sha256(world.clientId), onDevice: true }, grant }
    expect(told()).toMatchObject([
      { name: 'refusal', ...all, tool: 'my_profile', reason: 'access_denied' },
    ])
  })

  it('that asks its user in the session names the tool, and the scopes that it wants', async () => {
    entra.requireMfa(bob, true)
    const tokens = await login(url, { clientId, user: bob })
    await initialize(url, tokens.access_token)
    const link = await askedUrl({ url }, tokens.access_token)
    const begun = told().filter(({ reason }) => reason === 'interaction_begun')
    const scopes = ['https://graph.microsoft.com/User.Read']
    expect(begun).toMatchObject([{ ...subject(bob), scopes, grant, tool: 'my_profile' }])
    for (const { events } of heard) events.length = 0
    const first = await openTrip(link)
    const { user: _unknown, ...anybody } = subject(bob)
    await first.end({ code: 'made up' })
    expect(told()).toMatchObject([{ name: 'refusal', ...anybody, grant }])
    expect(told()[0]).not.toHaveProperty('user')
    for (const { events } of heard) events.length = 0
    await (await (await openTrip(link)).signIn(bob)).end({ code: 'made up' })
    expect(told()).toMatchObject([{ name: 'refusal', ...subject(bob), grant }])
    entra.requireMfa(bob, false)
  })

  it('names its login when the store is away', async () => {
    const tokens = await login(url, { clientId })
    fails = () => true
    expect((await getNotes(url, tokens.access_token)).status).toBe(503)
    const { user: _unknown, ...all } = subject()
    expect(told().slice(1)).toMatchObject([{ name: 'failure', ...all, grant }])
  })
})

describe("the reference on a page about Entra's error", () => {
  const readReference = ({ html }: Page) => /<code>([\w-]{9})<\/code>/.exec(html)?.[1] ?? 'none'

  it.each(['server_error', 'access_denied'])('is in every event about %s', async (error) => {
    const { browser, upstream } = await signInAtAccount(url, ada)
    const state = upstream.searchParams.get('state') ?? ''
    const answer = new URLSearchParams({ state, error })
    const page = await browser.fetchOnce(`${url}/auth/callback?${answer}`)
    const events = told()
    expect(events.length).toBeGreaterThan(0)
    for (const event of events) expect(event).toMatchObject({ reference: readReference(page) })
  })

  it.each(['server_error', 'access_denied'])(
    'is there in an interaction, too: %s',
    async (error) => {
      entra.requireMfa(bob, true)
      const tokens = await login(url, { clientId, user: bob })
      await initialize(url, tokens.access_token)
      const link = await askedUrl({ url }, tokens.access_token)
      for (const { events } of heard) events.length = 0
      const page = await (await openTrip(link)).end({ error })
      const events = told()
      expect(events.length).toBeGreaterThan(0)
      for (const event of events) expect(event).toMatchObject({ reference: readReference(page) })
      entra.requireMfa(bob, false)
    },
  )
})

describe('a listener', () => {
  it('that changes its event changes nothing for the caller', async () => {
    const tokens = await login(url, { clientId })
    const widen = (event: unknown) =>
      void (event as { scopes: string[] }).scopes.push('notes.write')
    subscribe('mcp-entra:refusal', widen)
    const statuses = []
    for (const text of ['one', 'two']) {
      statuses.push((await addNote(url, tokens.access_token, text)).status)
    }
    unsubscribe('mcp-entra:refusal', widen)
    expect(statuses).toEqual([403, 403])
  })
})

interface Trip {
  /** Signs a user in at Entra, who sends the browser on to the next trip. */
  signIn(user: string): Promise<Trip>
  /** Comes back with this instead of Entra's answer. */
  end(answer: Record<string, string>): Promise<Page>
}

/** A browser on its way to Entra. */
async function openTrip(from: string, browser = newBrowser()): Promise<Trip> {
  const away = new URL((await browser.fetchOnce(from)).headers.get('location') ?? '')
  const state = away.searchParams.get('state') ?? ''
  return {
    async signIn(user) {
      away.searchParams.set('login_hint', user)
      const back = await browser.fetchOnce(away.href)
      return openTrip(back.headers.get('location') ?? '', browser)
    },
    end: (answer) =>
      browser.fetchOnce(`${url}/auth/callback?${new URLSearchParams({ state, ...answer })}`),
  }
}

describe('the account pages', () => {
  it('name the signed-in user when a form is refused, and the app on a device that is ended', async () => {
    await login(url, { clientId })
    const { browser, page } = await openApps(url, ada)
    for (const { events } of heard) events.length = 0
    const [to, init] = formWith(page, 'app', sha256(clientId))
    const wrong = new URLSearchParams(init.body as URLSearchParams)
    wrong.set('csrf', 'A'.repeat(43))
    await browser.fetchOnce(to, { ...init, body: wrong })
    await browser.fetchOnce(to, init)
    expect(told()).toMatchObject([
      { name: 'revocation', user: userOf(ada), client: client() },
      { name: 'refusal', user: userOf(ada), reason: 'access_denied' },
    ])
  })
})
