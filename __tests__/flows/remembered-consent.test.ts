/** Remembered consent from the first login to the last, with account pages, on two replicas that share a store. */
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { type EntraAuth, memoryStorage, revokeClient, revokeTenant, revokeUser } from 'mcp-entra'
import { Browser, formRequest, type Page } from '../../examples/demo/browser.js'
import { sha256 } from '../../lib/crypto/hashing.js'
import { formWith, sessionCookie, signOutForm, startAccountProxy } from '../support/account.js'
import { type DocumentServer, startDocumentServer } from '../support/client-documents.js'
import type { Entra } from '../support/host.js'
import { proxyContextOf } from '../support/internal-auth.js'
import { navigate } from '../support/navigation.js'
import {
  ada,
  authorizeUrl,
  bob,
  getNotes,
  pkce,
  redeem,
  type Tokens,
} from '../support/oauth-client.js'
import { hear, jsonOf, startTestEntra, type TestProxy, testClock } from '../support/proxy.js'

const app = 'https://app.example/cb'
const oneSecond = 1

let entra: Entra
let documents: DocumentServer
let first: TestProxy
let second: TestProxy
let auth: EntraAuth
const clock = testClock()

beforeAll(async () => {
  entra = await startTestEntra()
  documents = await startDocumentServer()
  const options = {
    clientMetadata: documents.options,
    storage: memoryStorage({ now: clock.now }),
    now: clock.now,
  }
  first = await startAccountProxy(entra, options)
  second = await startAccountProxy(entra, {
    ...options,
    baseUrl: first.url,
    mount: (_app, made) => {
      auth = made
    },
  })
})
afterEach(() => {
  entra.clearFaults()
  // Whatever a test has ended has been ended before the next one begins.
  clock.advance(2)
})

/** A user's browser and a client with a document. */
interface Seat {
  readonly browser: Browser
  readonly clientId: string
}

function takeSeat(name = 'Notebook'): Seat {
  return {
    browser: new Browser({ stopAt: (url) => url.startsWith('https://app.example/') }),
    clientId: documents.publish({ client_name: name, redirect_uris: [app] }),
  }
}

/** What the client holds while its user is away. */
interface Request {
  readonly verifier: string
  readonly answer: Page
}

/** A click on the client's site, answered by this replica. */
async function authorize(
  { browser, clientId }: Seat,
  params: Record<string, string | undefined> = {},
  at: TestProxy = first,
): Promise<Request> {
  const { verifier, challenge } = pkce()
  const url = new URL(
    authorizeUrl(first.url, clientId, challenge, { redirect_uri: app, ...params }),
  )
  url.host = new URL(at.address).host
  return { verifier, answer: await navigate(browser, url.href) }
}

const isPage = ({ answer }: Request) =>
  answer.status === 200 && answer.html.includes('value="approve"')
const locationOf = ({ headers }: Page) => headers.get('location') ?? ''
const isAtEntra = ({ answer }: Request) =>
  answer.status === 302 && locationOf(answer).startsWith(`${entra.url}/`)

/** What the client makes of the address that its user comes back to. */
async function redeemAt({ clientId }: Seat, verifier: string, { url }: Page): Promise<Tokens> {
  const { searchParams } = new URL(url)
  expect(searchParams.get('iss')).toBe(first.url)
  const code = searchParams.get('code') ?? ''
  const answer = await redeem(first.url, { code, verifier, clientId }, { redirect_uri: app })
  expect(answer.status).toBe(200)
  return jsonOf<Tokens>(answer)
}

async function approve(seat: Seat, params: Record<string, string> = {}): Promise<Tokens> {
  const request = await authorize(seat, { login_hint: ada, ...params })
  expect(isPage(request)).toBe(true)
  return redeemAt(seat, request.verifier, await seat.browser.press(request.answer, 'approve'))
}

/** A login that shows no page of ours. */
async function goThrough(seat: Seat, at: TestProxy = first): Promise<Tokens> {
  const request = await authorize(seat, {}, at)
  expect(isAtEntra(request)).toBe(true)
  return redeemAt(seat, request.verifier, await seat.browser.open(locationOf(request.answer)))
}

describe('a client that was approved yesterday', () => {
  it('gets its next login through Entra alone, on every replica, and a session begins each time', async () => {
    const seat = takeSeat()
    const events = hear('mcp-entra:login')
    await approve(seat)
    const session = await sessionCookie(seat.browser, first.url)
    expect(session).toBeDefined()
    entra.clearRequests()
    for (const replica of [first, second]) {
      const { access_token } = await goThrough(seat, replica)
      expect((await getNotes(first.url, access_token)).status).toBe(200)
    }
    expect(entra.requestsTo('authorize')).toHaveLength(2)
    expect(await sessionCookie(seat.browser, first.url)).not.toBe(session)
    expect(events).toHaveLength(3)
  })

  it('asks again once its user has signed out here, for nobody knows who it is', async () => {
    const seat = takeSeat()
    await approve(seat)
    const apps = await seat.browser.open(`${first.url}/auth/apps`)
    await seat.browser.open(...signOutForm(apps))
    expect(isPage(await authorize(seat))).toBe(true)
  })

  it('asks another user who signs in here, and then remembers both', async () => {
    const seat = takeSeat()
    await approve(seat)
    const request = await authorize(seat, { login_hint: bob })
    expect(isAtEntra(request)).toBe(true)
    const page = await seat.browser.open(locationOf(request.answer))
    expect(isPage({ ...request, answer: page })).toBe(true)
    // Nobody has a token, and the session is still that of the user before.
    const apps = await seat.browser.open(`${first.url}/auth/apps`)
    expect(apps.html).toContain('ada@contoso.example')
    await redeemAt(seat, request.verifier, await seat.browser.press(page, 'approve'))
    const appsOfBob = await seat.browser.open(`${first.url}/auth/apps`)
    expect(appsOfBob.html).toContain('bob@contoso.example')
    await goThrough(seat)
  })
})

describe('access that was ended', () => {
  it('by the user, on the page of apps: the app asks again, everywhere, and marks nothing', async () => {
    const seat = takeSeat('Ended by its user')
    await approve(seat)
    const kept = { ...takeSeat('Kept'), browser: seat.browser }
    await approve(kept)
    await goThrough(seat)
    const apps = await seat.browser.open(`${first.url}/auth/apps`)
    const done = await seat.browser.open(...formWith(apps, 'app', sha256(seat.clientId)))
    expect(done.status).toBe(200)
    clock.advance(oneSecond)
    for (const replica of [first, second]) {
      const request = await authorize(seat, {}, replica)
      expect(isPage(request)).toBe(true)
      expect(request.answer.html).not.toContain('<mark>')
    }
    await goThrough(kept)
    await approve(seat)
    await goThrough(seat)
  })

  it.each<[string, (seat: Seat) => Promise<void>]>([
    ['of the user', () => revokeUser(auth, { tid: entra.tenant.id, oid: ada })],
    ['of the client', ({ clientId }) => revokeClient(auth, clientId)],
    ['of the tenant', () => revokeTenant(auth, entra.tenant.id)],
  ])('%s by the operator: asked again, and remembered again', async (_whose, end) => {
    const seat = takeSeat()
    await approve(seat)
    await goThrough(seat)
    clock.advance(oneSecond)
    await end(seat)
    clock.advance(oneSecond)
    expect(isPage(await authorize(seat))).toBe(true)
    await approve(seat)
    await goThrough(seat)
  })

  it('while a login without the page is at Entra: no code, but the page', async () => {
    const seat = takeSeat()
    await approve(seat)
    clock.advance(oneSecond)
    const request = await authorize(seat)
    await revokeClient(auth, seat.clientId)
    clock.advance(oneSecond)
    const page = await seat.browser.open(locationOf(request.answer))
    expect(isPage({ ...request, answer: page })).toBe(true)
    await redeemAt(seat, request.verifier, await seat.browser.press(page, 'approve'))
    await goThrough(seat)
  })

  it('stays ended where a consent lives longer than a login', async () => {
    let made: EntraAuth | undefined
    const brief = await startAccountProxy(entra, {
      clientMetadata: documents.options,
      lifetimes: { grant: 60 },
      storage: memoryStorage({ now: clock.now }),
      now: clock.now,
      baseUrl: first.url,
      mount: (_app, own) => {
        made = own
      },
    })
    const seat = takeSeat()
    const { answer } = await authorize(seat, { login_hint: ada }, brief)
    const [url, init] = formRequest(answer, 'approve')
    const approved = await seat.browser.fetchOnce(url.replace(first.url, brief.address), init)
    const back = await seat.browser.fetchOnce(locationOf(approved))
    await seat.browser.fetchOnce(locationOf(back).replace(first.url, brief.address))
    expect(isAtEntra(await authorize(seat, {}, brief))).toBe(true)
    clock.advance(oneSecond)
    await revokeClient(made as EntraAuth, seat.clientId)
    clock.advance(oneSecond)
    expect(isPage(await authorize(seat, {}, brief))).toBe(true)
    clock.advance(120)
    expect(isPage(await authorize(seat, {}, brief))).toBe(true)
  })

  it('between Approve and the return from Entra: the login works, and its consent is not remembered', async () => {
    const seat = takeSeat()
    const { answer } = await authorize(seat, { login_hint: ada })
    const approved = await seat.browser.fetchOnce(...formRequest(answer, 'approve'))
    clock.advance(oneSecond)
    await revokeClient(auth, seat.clientId)
    clock.advance(oneSecond)
    const end = await seat.browser.open(locationOf(approved))
    expect(new URL(end.url).searchParams.get('code')).toMatch(/^[\w-]{43}$/)
    expect(isPage(await authorize(seat))).toBe(true)
  })
})

describe('no', () => {
  it('on a page from before the sign-in ends what another tab has approved since', async () => {
    const seat = takeSeat()
    const approved = await authorize(seat, { login_hint: ada })
    const denied = await authorize(seat, { login_hint: ada })
    const end = await seat.browser.press(approved.answer, 'approve')
    await redeemAt(seat, approved.verifier, end)
    clock.advance(oneSecond)
    const no = await seat.browser.press(denied.answer, 'deny')
    expect(new URL(no.url).searchParams.get('error')).toBe('access_denied')
    expect(isPage(await authorize(seat))).toBe(true)
  })

  it.each(['another page', 'the same page'])(
    'on %s, while the approved login is at Entra: it ends well, and is not remembered',
    async (which) => {
      const seat = takeSeat()
      await approve({ ...takeSeat('Signs in'), browser: seat.browser })
      const first = await authorize(seat)
      const second = which === 'the same page' ? first : await authorize(seat)
      const approved = await seat.browser.fetchOnce(...formRequest(first.answer, 'approve'))
      clock.advance(oneSecond)
      await seat.browser.press(second.answer, 'deny')
      clock.advance(oneSecond)
      await redeemAt(seat, first.verifier, await seat.browser.open(locationOf(approved)))
      expect(isPage(await authorize(seat))).toBe(true)
      await approve(seat)
      await goThrough(seat)
    },
  )
})

describe('a login that Entra challenges for more', () => {
  const claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
  const challenge = (seat: Seat) =>
    proxyContextOf(auth).challenges.remember(
      { client: sha256(seat.clientId), tid: entra.tenant.id, oid: ada },
      { claims, raisedBy: 'a grant', after: [] },
    )

  it('goes to Entra twice, and is remembered for what was approved on the page', async () => {
    const seat = takeSeat()
    await challenge(seat)
    entra.clearRequests()
    await approve(seat)
    expect(entra.requestsTo('authorize').map(({ params }) => params.claims)).toEqual([
      undefined,
      claims,
    ])
    await goThrough(seat)
  })

  it('goes to Entra twice without the page, and still ends for its own user alone', async () => {
    const seat = takeSeat()
    await approve(seat)
    await challenge(seat)
    await goThrough(seat)
    await challenge(seat)
    const request = await authorize(seat)
    const back = await seat.browser.fetchOnce(locationOf(request.answer))
    const again = await seat.browser.fetchOnce(locationOf(back))
    const upstream = new URL(locationOf(again))
    expect(upstream.searchParams.get('claims')).toBe(claims)
    upstream.searchParams.delete('claims')
    upstream.searchParams.set('login_hint', bob)
    const page = await seat.browser.open(upstream.href)
    expect(isPage({ ...request, answer: page })).toBe(true)
  })
})
