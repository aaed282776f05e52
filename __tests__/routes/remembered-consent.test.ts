/** Consent that is remembered: when the page is spared, when it is shown all the same, and what it marks as new. */
import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { entraAuth, type Storage } from 'mcp-entra'
import { Browser, formRequest, type Page } from '../../examples/demo/browser.js'
import { type TestSessions, testSessions } from '../support/browser-sessions.js'
import {
  type DocumentServer,
  documentOf,
  startDocumentServer,
} from '../support/client-documents.js'
import type { Entra } from '../support/host.js'
import { navigate } from '../support/navigation.js'
import {
  ada,
  authorizeUrl,
  bob,
  pkce,
  redeem,
  redirectUri,
  register,
} from '../support/oauth-client.js'
import {
  authOptions,
  countingStorage,
  hear,
  jsonOf,
  type ProxyOptions,
  startProxy,
  startTestEntra,
  type TestProxy,
  testClock,
} from '../support/proxy.js'

const app = 'https://app.example/cb'
const elsewhere = 'https://elsewhere.example/cb'

let entra: Entra
let documents: DocumentServer
let sessions: TestSessions
let proxy: TestProxy
let options: ProxyOptions
let store: ReturnType<typeof breakableStorage>
const clock = testClock()

beforeAll(async () => {
  entra = await startTestEntra()
  documents = await startDocumentServer()
  sessions = testSessions()
  store = breakableStorage()
  options = {
    clientMetadata: documents.options,
    mount: sessions.mount,
    storage: store.storage,
    now: clock.now,
  }
  proxy = await startProxy(entra, options)
})
beforeEach(() => {
  store.setAway(false)
  sessions.setAway(false)
})

/** Here and at Entra. */
function passTime(seconds: number): void {
  clock.advance(seconds)
  entra.advance(seconds)
}

/** A storage that counts its operations, and fails while it is away. */
function breakableStorage() {
  const { storage: memory } = countingStorage(clock.now)
  const count = { get: 0, set: 0, add: 0, take: 0 }
  let away = false
  const watched =
    <A extends unknown[], T>(name: keyof Storage, operation: (...args: A) => Promise<T>) =>
    async (...args: A) => {
      count[name] += 1
      if (away) throw new Error('the store is away')
      return operation(...args)
    }
  const storage: Storage = {
    get: watched('get', memory.get),
    set: watched('set', memory.set),
    add: watched('add', memory.add),
    take: watched('take', memory.take),
  }
  return {
    storage,
    count,
    setAway(now: boolean) {
      away = now
    },
  }
}

/** A browser, and the client that its user logs in with. */
interface Seat {
  readonly browser: Browser
  readonly clientId: string
  readonly at: TestProxy
}

type Params = Readonly<Record<string, string | undefined>>

function newBrowser(): Browser {
  return new Browser({
    stopAt: (url) =>
      /^https:\/\/(?:app|elsewhere)\.example\//.test(url) || url.startsWith(redirectUri),
  })
}

async function takeSeat(more: Partial<Seat> = {}): Promise<Seat> {
  return {
    browser: newBrowser(),
    clientId: documents.publish({ redirect_uris: [app, elsewhere] }),
    at: proxy,
    ...more,
  }
}

const signInAs = ({ browser, at }: Seat, oid: string, name: string) =>
  sessions.signIn(browser, at.url, {
    tid: entra.tenant.id,
    oid,
    username: `${name}@contoso.example`,
  })

/** Opens `/authorize` in a tab, as a click on the client's site does. */
function authorize(
  { browser, clientId, at }: Seat,
  params: Params = {},
  headers: Params = {},
): Promise<Page> {
  const { challenge } = pkce()
  const url = authorizeUrl(at.url, clientId, challenge, { redirect_uri: app, ...params })
  return navigate(browser, url, headers)
}

/** Approves the page as Ada, unless told otherwise, and signs in. */
async function approve(seat: Seat, params: Params = {}): Promise<Page> {
  const page = await authorize(seat, { login_hint: ada, ...params })
  const end = await seat.browser.press(page, 'approve')
  expect(new URL(end.url).searchParams.get('code')).toMatch(/^[\w-]{43}$/)
  return end
}

/** A seat whose user, Ada, has approved the client and is signed in. */
async function approvedSeat(more: Partial<Seat> = {}, params: Params = {}): Promise<Seat> {
  const seat = await takeSeat(more)
  await approve(seat, params)
  await signInAs(seat, ada, 'ada')
  return seat
}

const isPage = ({ status, html }: Page) => status === 200 && html.includes('value="approve"')
const goesToEntra = ({ status, headers }: Page) =>
  status === 302 && (headers.get('location') ?? '').startsWith(`${entra.url}/`)
const upstreamOf = ({ headers }: Page) => new URL(headers.get('location') ?? 'about:blank')

/** What the page marks as new, as text. */
const marked = ({ html }: Page) =>
  [...html.matchAll(/<(li|dd)>((?:(?!<\/\1>).)*)<mark>New<\/mark>/gs)].map(([, , before = '']) =>
    before.replace(/<[^>]*>/g, '').trim(),
  )

describe('who has approved a client', () => {
  it('goes on to Entra at once, and from there to the client with a code that works', async () => {
    const seat = await approvedSeat()
    const { verifier, challenge } = pkce()
    const url = authorizeUrl(proxy.url, seat.clientId, challenge, { redirect_uri: app })
    const answer = await navigate(seat.browser, url)
    expect(goesToEntra(answer)).toBe(true)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(upstreamOf(answer).searchParams.get('login_hint')).toBe('ada@contoso.example')
    expect(upstreamOf(answer).searchParams.get('nonce')).toMatch(/^[\w-]{43}$/)
    const end = new URL((await seat.browser.open(upstreamOf(answer).href)).url)
    expect(end.origin + end.pathname).toBe(app)
    expect(end.searchParams.get('state')).toBe('client-state')
    const code = end.searchParams.get('code') ?? ''
    const tokens = await redeem(
      proxy.url,
      { code, verifier, clientId: seat.clientId },
      { redirect_uri: app },
    )
    expect(tokens.status).toBe(200)
    expect(await jsonOf(tokens)).toMatchObject({ scope: 'notes.read' })
  })

  it('goes on without the page for less than they approved, in any order of names', async () => {
    const seat = await approvedSeat({}, { scope: 'notes.read notes.write' })
    for (const scope of ['notes.write notes.read', 'notes.read', undefined]) {
      expect(goesToEntra(await authorize(seat, { scope }))).toBe(true)
    }
  })

  it('is asked again after 90 days, and a login in between does not prolong that', async () => {
    const seat = await approvedSeat()
    passTime(89 * 24 * 3600)
    const answer = await authorize(seat)
    expect(goesToEntra(answer)).toBe(true)
    const end = await seat.browser.open(upstreamOf(answer).href)
    expect(new URL(end.url).searchParams.get('code')).toMatch(/^[\w-]{43}$/)
    passTime(24 * 3600)
    const page = await authorize(seat)
    expect(isPage(page)).toBe(true)
    expect(marked(page)).toEqual([])
  })

  it('is asked after the time that the operator says', async () => {
    const brief = await startProxy(entra, { ...options, lifetimes: { consent: 60 } })
    const seat = await approvedSeat({ at: brief })
    expect(goesToEntra(await authorize(seat))).toBe(true)
    passTime(60)
    expect(isPage(await authorize(seat))).toBe(true)
  })

  it('keeps the account that the client names, and the choice that it wants', async () => {
    const seat = await approvedSeat()
    const hinted = upstreamOf(await authorize(seat, { login_hint: 'ada@other.example' }))
    expect(hinted.searchParams.get('login_hint')).toBe('ada@other.example')
    const choosing = upstreamOf(await authorize(seat, { prompt: 'select_account' }))
    expect(choosing.searchParams.get('prompt')).toBe('select_account')
    expect(choosing.searchParams.get('login_hint')).toBeNull()
    const quiet = upstreamOf(await authorize(seat, { prompt: 'none' }))
    expect(quiet.searchParams.get('prompt')).toBe('none')
    expect(quiet.searchParams.get('login_hint')).toBe('ada@contoso.example')
  })

  it('hears of an error at Entra as the client does', async () => {
    const seat = await approvedSeat()
    const answer = await authorize(seat)
    const state = upstreamOf(answer).searchParams.get('state') ?? ''
    const refused = `${proxy.url}/auth/callback?error=access_denied&state=${state}`
    const end = new URL((await seat.browser.open(refused)).url)
    expect(end.origin).toBe('https://app.example')
    expect(end.searchParams.get('error')).toBe('access_denied')
  })
})

describe('the page is shown', () => {
  it('to a browser that nobody is signed in with, without a look at the store', async () => {
    const { clientId } = await approvedSeat()
    const { get } = store.count
    expect(isPage(await authorize(await takeSeat({ clientId })))).toBe(true)
    expect(store.count.get).toBe(get)
  })

  it('to another user, who has approved nothing', async () => {
    const { clientId } = await approvedSeat()
    const other = await takeSeat({ clientId })
    await signInAs(other, bob, 'bob')
    const page = await authorize(other)
    expect(isPage(page)).toBe(true)
    expect(page.html).not.toContain('allowed this application before')
  })

  it('to the same object id in another tenant', async () => {
    const { clientId } = await approvedSeat()
    const other = await takeSeat({ clientId })
    await sessions.signIn(other.browser, proxy.url, { tid: 'another', oid: ada })
    expect(isPage(await authorize(other))).toBe(true)
  })

  it('for another client, though it has the same name and the same address', async () => {
    const { browser } = await approvedSeat()
    const clientId = documents.publish({ redirect_uris: [app, elsewhere] })
    expect(isPage(await authorize(await takeSeat({ browser, clientId })))).toBe(true)
  })

  it('when the client wants it (prompt=consent)', async () => {
    expect(isPage(await authorize(await approvedSeat(), { prompt: 'consent' }))).toBe(true)
  })

  it('once the session has ended', async () => {
    const seat = await approvedSeat()
    sessions.clear()
    expect(isPage(await authorize(seat))).toBe(true)
  })

  it('when the consent page was approved in a login that nobody finished', async () => {
    const seat = await takeSeat()
    await signInAs(seat, ada, 'ada')
    const page = await authorize(seat)
    await seat.browser.fetchOnce(...formRequest(page, 'approve'))
    expect(isPage(await authorize(seat))).toBe(true)
  })

  it('at every login with consent: always, and nothing is remembered then', async () => {
    const strict = await startProxy(entra, { ...options, consent: 'always' })
    const seat = await takeSeat({ at: strict })
    await signInAs(seat, ada, 'ada')
    const before = { ...store.count }
    const { reads } = sessions
    await approve(seat)
    expect(isPage(await authorize(seat))).toBe(true)
    expect([store.count.set, sessions.reads]).toEqual([before.set + 1, reads])
    strict.restart(options)
    expect(isPage(await authorize(seat))).toBe(true)
  })

  it('to a login that was on its way when the operator chose consent: always', async () => {
    const at = await startProxy(entra, options)
    const seat = await approvedSeat({ at })
    const answer = await authorize(seat)
    at.restart({ ...options, consent: 'always' })
    expect(isPage(await seat.browser.open(upstreamOf(answer).href))).toBe(true)
  })

  it.each<[string, Params]>([
    ['by a script of another site', { 'sec-fetch-user': undefined }],
    ['in a frame', { 'sec-fetch-dest': 'iframe' }],
    ['as an image', { 'sec-fetch-dest': 'image', 'sec-fetch-mode': 'no-cors' }],
    ['by fetch', { 'sec-fetch-dest': 'empty', 'sec-fetch-mode': 'cors' }],
    ['by fetch, of our own site', { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' }],
    ['ahead of its user', { 'sec-purpose': 'prefetch;prerender' }],
    [
      'by a browser that does not say',
      { 'sec-fetch-site': undefined, 'sec-fetch-mode': undefined },
    ],
    ['with the mode twice', { 'sec-fetch-mode': 'navigate, navigate' }],
  ])('to a request that is made %s', async (_how, headers) => {
    const seat = await approvedSeat()
    expect(isPage(await authorize(seat, {}, headers))).toBe(true)
    expect(goesToEntra(await authorize(seat))).toBe(true)
  })

  it.each<[string, Params]>([
    ['from the address bar', { 'sec-fetch-site': 'none', 'sec-fetch-user': undefined }],
    ['from a page of ours', { 'sec-fetch-site': 'same-origin', 'sec-fetch-user': undefined }],
    ['from a site beside ours', { 'sec-fetch-site': 'same-site', 'sec-fetch-user': undefined }],
  ])('to no request that comes %s', async (_how, headers) => {
    expect(goesToEntra(await authorize(await approvedSeat(), {}, headers))).toBe(true)
  })
})

describe('a client for whose name nobody vouches', () => {
  it.each<[string, object, string]>([
    ['that registered itself', { redirect_uris: [app] }, app],
    ['that waits on this device', { redirect_uris: [redirectUri] }, redirectUri],
  ])('%s is asked about every time', async (_what, metadata, redirect_uri) => {
    const clientId = await register(proxy.url, metadata)
    const seat = await approvedSeat({ clientId }, { redirect_uri })
    const page = await authorize(seat, { redirect_uri })
    expect(isPage(page)).toBe(true)
    expect(marked(page)).toEqual([])
  })

  it.each([redirectUri, 'cursor://app/cb', 'https://localhost/cb'])(
    'is one of a document as well, when the sign-in stays on this device: %s',
    async (redirect_uri) => {
      const clientId = documents.publish({ redirect_uris: [app, redirect_uri] })
      const browser = new Browser({
        stopAt: (url) => url.startsWith(redirect_uri) || url.startsWith(app),
      })
      const seat = await approvedSeat({ clientId, browser }, { redirect_uri })
      expect(isPage(await authorize(seat, { redirect_uri }))).toBe(true)
      // What was approved for this device is not approved for a host either.
      expect(isPage(await authorize(seat))).toBe(true)
    },
  )

  it('is remembered when the operator says so, on any port of the device', async () => {
    const at = await startProxy(entra, { ...options, rememberUnverified: true })
    const clientId = await register(at.url)
    const seat = await approvedSeat({ clientId, at }, { redirect_uri: redirectUri })
    const otherPort = redirectUri.replace(':33418', ':51004')
    for (const redirect_uri of [redirectUri, otherPort]) {
      expect(goesToEntra(await authorize(seat, { redirect_uri }))).toBe(true)
    }
  })

  it('gets the page when its id leaves no room for a login without one', async () => {
    const at = await startProxy(entra, { ...options, rememberUnverified: true })
    const clientId = await register(at.url, { client_name: 'n'.repeat(200) })
    const seat = await approvedSeat({ clientId, at }, { redirect_uri: redirectUri })
    const params = { redirect_uri: redirectUri, state: 's'.repeat(1800) }
    expect(isPage(await authorize(seat, params))).toBe(true)
  })
})

describe('a client that the operator set up', () => {
  it('is remembered', async () => {
    const clients = [{ client_id: 'portal', client_name: 'Portal', redirect_uris: [app] }]
    const at = await startProxy(entra, { ...options, clients })
    const seat = await approvedSeat({ clientId: 'portal', at })
    expect(goesToEntra(await authorize(seat))).toBe(true)
  })
})

describe('what is new', () => {
  it('is not marked at all for a user who has approved nothing yet', async () => {
    const seat = await takeSeat()
    await signInAs(seat, ada, 'ada')
    const page = await authorize(seat)
    expect(isPage(page)).toBe(true)
    expect(page.html).not.toContain('<mark>')
  })

  it('is one scope more: it alone is marked, and approved once', async () => {
    const seat = await approvedSeat()
    const more = { scope: 'notes.read notes.write' }
    const page = await authorize(seat, more)
    expect(isPage(page)).toBe(true)
    expect(page.html).toContain('You have allowed this application before.')
    expect(marked(page)).toEqual(['notes.write'])
    await approve(seat, more)
    expect(goesToEntra(await authorize(seat, more))).toBe(true)
    expect(goesToEntra(await authorize(seat))).toBe(true)
  })

  it('is another origin of the same client', async () => {
    const seat = await approvedSeat()
    const page = await authorize(seat, { redirect_uri: elsewhere })
    expect(isPage(page)).toBe(true)
    expect(marked(page)).toEqual(['elsewhere.example'])
    await approve(seat, { redirect_uri: elsewhere })
    expect(goesToEntra(await authorize(seat, { redirect_uri: elsewhere }))).toBe(true)
    expect(goesToEntra(await authorize(seat))).toBe(true)
  })

  it('is an origin that the document of the client has got since', async () => {
    const seat = await approvedSeat({
      clientId: documents.publish({ redirect_uris: [app] }, { 'cache-control': 'no-store' }),
    })
    documents.serve(new URL(seat.clientId).pathname, {
      headers: { 'cache-control': 'no-store' },
      body: documentOf(seat.clientId, { redirect_uris: [elsewhere] }),
    })
    const moved = await authorize(seat, { redirect_uri: elsewhere })
    expect(isPage(moved)).toBe(true)
    expect(marked(moved)).toEqual(['elsewhere.example'])
    const gone = await authorize(seat)
    expect([gone.status, gone.headers.get('location')]).toEqual([400, null])
  })

  it('is an API that the server uses since', async () => {
    const at = await startProxy(entra, options)
    const seat = await approvedSeat({ at })
    const { scopes } = authOptions(entra, at.url, [])
    const mail = 'https://graph.microsoft.com/Mail.Read'
    at.restart({ ...options, scopes: { ...scopes, additional: [...scopes.additional, mail] } })
    const page = await authorize(seat)
    expect(isPage(page)).toBe(true)
    expect(marked(page)).toEqual([mail])
  })

  it('is not marked when all was approved, and the page is shown for another reason', async () => {
    const page = await authorize(await approvedSeat(), { prompt: 'consent' })
    expect(page.html).not.toContain('<mark>')
    expect(page.html).not.toContain('What is new is marked')
  })
})

describe('somebody else who comes back from Entra', () => {
  it('gets no code but the page, and a code only once they have approved it', async () => {
    const seat = await approvedSeat()
    const events = hear('mcp-entra:login')
    const answer = await authorize(seat, { login_hint: bob })
    expect(goesToEntra(answer)).toBe(true)
    const { get, set } = store.count
    const page = await seat.browser.open(upstreamOf(answer).href)
    expect(new URL(page.url).pathname).toBe('/auth/callback')
    expect(isPage(page)).toBe(true)
    expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    expect(page.html).not.toContain('<mark>')
    expect(page.html).not.toContain('contoso.example')
    expect(store.count).toMatchObject({ get: get + 2, set })
    expect(events).toEqual([expect.objectContaining({ outcome: 'consent_required' })])
    const approved = await seat.browser.fetchOnce(...formRequest(page, 'approve'))
    expect(approved.status).toBe(303)
    expect(upstreamOf(approved).searchParams.get('login_hint')).toBe('bob@contoso.example')
    const end = new URL((await seat.browser.open(upstreamOf(approved).href)).url)
    expect(end.searchParams.get('code')).toMatch(/^[\w-]{43}$/)
    expect(end.searchParams.get('state')).toBe('client-state')
    // It was Bob who approved.
    const ofBob = await takeSeat({ clientId: seat.clientId })
    await signInAs(ofBob, bob, 'bob')
    expect(goesToEntra(await authorize(ofBob))).toBe(true)
  })

  it('brings back no state when the client sent none', async () => {
    const seat = await approvedSeat()
    const answer = await authorize(seat, { login_hint: bob, state: undefined })
    const page = await seat.browser.open(upstreamOf(answer).href)
    const end = new URL((await seat.browser.press(page, 'approve')).url)
    expect([...end.searchParams.keys()]).toEqual(['code', 'iss'])
  })

  it('is named to Entra by nothing when Entra has no username for them', async () => {
    const seat = await approvedSeat()
    const upstream = upstreamOf(await authorize(seat, { login_hint: bob }))
    const nonce = upstream.searchParams.get('nonce') ?? ''
    const subject = { user: bob, claims: { preferred_username: undefined } }
    const body = JSON.stringify({
      token_type: 'Bearer',
      expires_in: 3600,
      access_token: await entra.mintAccessToken(subject),
      id_token: await entra.mintIdToken({ ...subject, nonce }),
    })
    const remove = entra.fault({ at: 'token', grant: 'authorization_code', body })
    const page = await seat.browser.open(upstream.href).finally(remove)
    expect(isPage(page)).toBe(true)
    const approved = await seat.browser.fetchOnce(...formRequest(page, 'approve'))
    // Not even by the hint that the client sent: Entra asks who it is.
    expect(upstreamOf(approved).searchParams.has('login_hint')).toBe(false)
  })

  it('may say no, and Entra hears no more of it', async () => {
    const seat = await approvedSeat()
    const answer = await authorize(seat, { login_hint: bob })
    const page = await seat.browser.open(upstreamOf(answer).href)
    entra.clearRequests()
    const end = new URL((await seat.browser.press(page, 'deny')).url)
    expect(end.searchParams.get('error')).toBe('access_denied')
    expect(entra.requests).toEqual([])
    // Ada has denied nothing.
    expect(goesToEntra(await authorize(seat))).toBe(true)
  })

  it('is asked though they have approved it before, and their no is what is remembered', async () => {
    const ofBob = await takeSeat()
    await approve(ofBob, { login_hint: bob })
    await signInAs(ofBob, bob, 'bob')
    expect(goesToEntra(await authorize(ofBob))).toBe(true)
    const seat = await approvedSeat({ clientId: ofBob.clientId })
    const answer = await authorize(seat, { login_hint: bob })
    const page = await seat.browser.open(upstreamOf(answer).href)
    expect(isPage(page)).toBe(true)
    await seat.browser.press(page, 'deny')
    expect(isPage(await authorize(ofBob))).toBe(true)
  })

  it('gets an error on a page when the client is none any more', async () => {
    const seat = await approvedSeat({
      clientId: documents.publish({ redirect_uris: [app] }, { 'cache-control': 'no-store' }),
    })
    const answer = await authorize(seat, { login_hint: bob })
    documents.serve(new URL(seat.clientId).pathname, { status: 404 })
    const page = await seat.browser.open(upstreamOf(answer).href)
    expect(page.status).toBe(400)
    expect(page.html).not.toContain('value="approve"')
  })
})

describe('no', () => {
  it('is never remembered as yes, and ends what was approved before', async () => {
    const seat = await approvedSeat()
    const page = await authorize(seat, { scope: 'notes.read notes.write' })
    const end = new URL((await seat.browser.press(page, 'deny')).url)
    expect(end.searchParams.get('error')).toBe('access_denied')
    for (const scope of ['notes.read', 'notes.read notes.write']) {
      const again = await authorize(seat, { scope })
      expect(isPage(again)).toBe(true)
      expect(marked(again)).toEqual([])
    }
  })

  it('ends a login that is on its way without the page', async () => {
    const seat = await approvedSeat()
    const answer = await authorize(seat)
    const page = await authorize(seat, { prompt: 'consent' })
    await seat.browser.press(page, 'deny')
    expect(isPage(await seat.browser.open(upstreamOf(answer).href))).toBe(true)
  })

  it('reaches the client though the store is away', async () => {
    const seat = await approvedSeat()
    const page = await authorize(seat, { prompt: 'consent' })
    store.setAway(true)
    const before = proxy.logs.length
    const end = new URL((await seat.browser.press(page, 'deny')).url)
    expect(end.searchParams.get('error')).toBe('access_denied')
    expect(proxy.logs.slice(before)).toContainEqual(
      expect.objectContaining({ reason: 'consent_not_forgotten', message: 'mcp-entra: failure' }),
    )
  })
})

describe('two tabs', () => {
  it('both go on without the page, each with an answer of its own', async () => {
    const seat = await approvedSeat()
    const answers = [
      await authorize(seat, { state: 'one' }),
      await authorize(seat, { state: 'two' }),
    ]
    expect(answers.map(goesToEntra)).toEqual([true, true])
    const ends = await Promise.all(
      answers.map(
        async (answer) => new URL((await seat.browser.open(upstreamOf(answer).href)).url),
      ),
    )
    expect(ends.map(({ searchParams }) => searchParams.get('state'))).toEqual(['one', 'two'])
    for (const { searchParams } of ends) expect(searchParams.get('code')).toMatch(/^[\w-]{43}$/)
  })

  it('one of which signs out: the other ends as it began, for Entra says who it is', async () => {
    const seat = await approvedSeat()
    const answer = await authorize(seat)
    sessions.clear()
    const end = new URL((await seat.browser.open(upstreamOf(answer).href)).url)
    expect(end.searchParams.get('code')).toMatch(/^[\w-]{43}$/)
  })
})

describe('a cookie', () => {
  it('that was forged, or is of another login, opens no login without the page', async () => {
    const seat = await approvedSeat()
    const answer = await authorize(seat)
    const callback = (await seat.browser.fetchOnce(upstreamOf(answer).href)).headers.get('location')
    const cookies = await seat.browser.jar.getCookies(proxy.url)
    const login = cookies.find(({ key }) => key.startsWith('mcp-entra-login'))
    for (const value of ['', 'forged', `${login?.value.slice(0, -4)}AAAA`]) {
      const page = await navigate(newBrowser(), callback ?? '', {
        cookie: `${login?.key}=${value}`,
      })
      expect([page.status, page.headers.get('location')]).toEqual([403, null])
    }
    const stranger = await navigate(newBrowser(), callback ?? '')
    expect([stranger.status, stranger.headers.get('location')]).toEqual([403, null])
  })

  it('of a session that was made up gets the page', async () => {
    const seat = await approvedSeat()
    const forged = await authorize(seat, {}, { cookie: 'test-session=session-x' })
    expect(isPage(forged)).toBe(true)
  })
})

describe('while a store is away', () => {
  it.each([
    ['of the sessions', () => sessions.setAway(true), 'session_not_read'],
    ['of the consents', () => store.setAway(true), 'consent_not_read'],
  ])('the page is shown, and the operator hears of it: that %s', async (_whose, leave, reason) => {
    const seat = await approvedSeat()
    const before = proxy.logs.length
    leave()
    expect(isPage(await authorize(seat))).toBe(true)
    expect(proxy.logs.slice(before)).toEqual([
      expect.objectContaining({ message: 'mcp-entra: failure', reason }),
    ])
  })

  it('a login that was spared the page waits for it, and goes on', async () => {
    const seat = await approvedSeat()
    const answer = await authorize(seat)
    const callback = (await seat.browser.fetchOnce(upstreamOf(answer).href)).headers.get('location')
    store.setAway(true)
    const { get } = store.count
    const end = seat.browser.open(callback ?? '')
    while (store.count.get === get) await new Promise((resolve) => setImmediate(resolve))
    store.setAway(false)
    expect(new URL((await end).url).searchParams.get('code')).toMatch(/^[\w-]{43}$/)
  })
})

describe('what it costs', () => {
  it('is two reads of the store at once at /authorize, for a browser that is signed in', async () => {
    // Once a second the process looks for cut-offs as well.
    clock.stop()
    const seat = await approvedSeat()
    await authorize(seat)
    const before = { ...store.count }
    expect(goesToEntra(await authorize(seat))).toBe(true)
    expect(store.count).toEqual({ ...before, get: before.get + 2 })
  })

  it('is nothing for a client that is asked about every time', async () => {
    const clientId = await register(proxy.url, { redirect_uris: [app] })
    const seat = await takeSeat({ clientId })
    await signInAs(seat, ada, 'ada')
    const before = { ...store.count }
    const { reads } = sessions
    expect(isPage(await authorize(seat))).toBe(true)
    expect(store.count).toEqual(before)
    expect(sessions.reads).toBe(reads)
  })

  it('is nothing where no sessions are mounted: all is as it was', async () => {
    const plain = await startProxy(entra, {
      clientMetadata: documents.options,
      storage: store.storage,
      now: clock.now,
    })
    const seat = await takeSeat({ at: plain })
    const before = { ...store.count }
    await approve(seat)
    await signInAs(seat, ada, 'ada')
    expect(isPage(await authorize(seat))).toBe(true)
    expect(store.count).toEqual({ ...before, get: before.get + 1, set: before.set + 1 })
  })
})

describe('a wrong option', () => {
  it.each([
    [{ consent: 'never' }, `entraAuth: consent must be 'remember' or 'always': "never"`],
    [{ consent: true }, "entraAuth: consent must be 'remember' or 'always': true"],
    [{ rememberUnverified: 'yes' }, 'entraAuth: rememberUnverified must be true or false'],
    [
      { lifetimes: { consent: 0 } },
      'entraAuth: lifetimes.consent must be a number of seconds, at least 1',
    ],
  ])('is refused by name: %j', (wrong, message) => {
    const all = { ...authOptions(entra, proxy.url, []), ...wrong }
    expect(() => entraAuth(all as Parameters<typeof entraAuth>[0])).toThrow(new TypeError(message))
  })
})
