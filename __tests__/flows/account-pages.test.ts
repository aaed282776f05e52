/** The account pages in a real browser, on one host in memory and on two hosts with one Redis. */
import { setTimeout as wait } from 'node:timers/promises'
import { AxeBuilder } from '@axe-core/playwright'
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { type AccountWorld, accountsInMemory, accountsInRedis } from '../support/account-worlds.js'
import {
  describeWithChromium,
  launchChromium,
  openTab,
  type Tab,
  takePicture,
} from '../support/chromium.js'
import { type Listening, listen } from '../support/host.js'
import { ada, bob, getNotes, login, refresh, register } from '../support/oauth-client.js'
import { describeWithRedis } from '../support/redis-server.js'

let browser: Browser
let tabs: Tab[] = []

afterEach(async () => {
  await Promise.all(tabs.map(({ context }) => context.close()))
  tabs = []
})
afterAll(() => browser?.close())

async function newTab(options?: BrowserContextOptions): Promise<Tab> {
  browser ??= await launchChromium()
  const tab = await openTab(browser, options)
  tab.page.setDefaultTimeout(10_000)
  tabs.push(tab)
  return tab
}

const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name })
const names = (page: Page) => page.getByRole('heading', { level: 2 }).allTextContents()
const heading = (page: Page) => page.getByRole('heading', { level: 1 }).textContent()

/** A client of this name that a user has let in. */
async function letIn(url: string, user: string, client_name: string, more: object = {}) {
  const clientId = await register(url, { client_name, ...more })
  return login(url, { user, clientId, scope: 'notes.read notes.write' })
}

/** Signs in on the pages of a new tab. */
async function signIn(url: string, name: string, options?: BrowserContextOptions): Promise<Tab> {
  const tab = await newTab(options)
  await tab.page.goto(`${url}/auth/apps`)
  await button(tab.page, name).click()
  await tab.page.waitForURL(`${url}/auth/apps`)
  return tab
}

/** What a client hears whose access was ended a second ago. */
async function expectEnded(url: string, tokens: Awaited<ReturnType<typeof letIn>>) {
  const gate = await getNotes(url, tokens.access_token)
  expect(gate.status).toBe(401)
  expect(gate.headers.get('www-authenticate')).toContain('error="invalid_token"')
  const refreshed = await refresh(url, tokens)
  expect([refreshed.status, ((await refreshed.json()) as { error: string }).error]).toEqual([
    400,
    'invalid_grant',
  ])
}

const phone: BrowserContextOptions = {
  viewport: { width: 320, height: 640 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
}
const dark: BrowserContextOptions = { colorScheme: 'dark' }
const looks = [
  ['light', {}],
  ['dark', dark],
  ['phone', phone],
  ['phone-dark', { ...phone, ...dark }],
] as const

async function expectAccessible(page: Page): Promise<void> {
  const { violations, passes } = await new AxeBuilder({ page }).analyze()
  expect(passes.length).toBeGreaterThan(5)
  expect(violations.map(({ id, help }) => ({ id, help }))).toEqual([])
  const root = 'document.documentElement'
  expect(await page.evaluate(`${root}.scrollWidth - ${root}.clientWidth`)).toBeLessThanOrEqual(0)
}

/** What both kinds of world have to do. */
function behaves(start: () => Promise<AccountWorld>): void {
  let world: AccountWorld
  /** A page of somebody else. */
  let stranger: Listening

  beforeAll(async () => {
    world = await start()
    stranger = await listen(() => (req, res) => {
      const body = new URL(req.url ?? '/', 'http://stranger').searchParams.get('body') ?? ''
      res.setHeader('content-type', 'text/html')
      res.end(
        `<!doctype html><html lang="en"><title>Stranger</title><link rel="icon" href="data:,">${body}`,
      )
    })
  }, 60_000)
  afterAll(async () => {
    await stranger.close()
    await world.close()
  })

  it('lists what the user has let in, ends one app, and only that one', async () => {
    const first = await letIn(world.url, ada, 'First client')
    const second = await letIn(world.url, ada, 'Second client')
    const { page, errors, requests } = await signIn(world.url, 'Ada Lovelace')
    expect(await heading(page)).toBe('Connected apps')
    expect(await page.textContent('main')).toContain('ada@contoso.example')
    expect((await names(page)).toSorted()).toEqual(['First client', 'Second client'])
    const item = page.getByRole('listitem').filter({ hasText: 'First client' })
    expect(await item.textContent()).toMatch(
      /Read your notes.*Add notes for you.*Active sign-ins\s*1/s,
    )

    await button(page, 'Revoke access of First client').click()
    await page.waitForURL(`${world.url}/auth/apps`)
    expect(await names(page)).toEqual(['Second client'])
    await wait(1000)
    await expectEnded(world.url, first)
    expect((await getNotes(world.url, second.access_token)).status).toBe(200)
    expect((await refresh(world.url, second)).status).toBe(200)
    expect(errors).toEqual([])
    const parties = [world.url, world.entra.url].map((url) => new URL(url).origin)
    expect(requests.filter((url) => !parties.includes(new URL(url).origin))).toEqual([])
  })

  it("ends all apps of the user, and no one else's", async () => {
    const mine = [await letIn(world.url, ada, 'One'), await letIn(world.url, ada, 'Two')]
    const others = await letIn(world.url, bob, 'Of somebody else')
    const { page } = await signIn(world.url, 'Ada Lovelace')
    await button(page, 'Revoke access of all apps').click()
    await page.waitForURL(`${world.url}/auth/apps`)
    expect(await names(page)).toEqual([])
    expect(await page.textContent('main')).toContain('No application has access to Notes')
    await wait(1000)
    for (const tokens of mine) await expectEnded(world.url, tokens)
    expect((await getNotes(world.url, others.access_token)).status).toBe(200)
    // Who comes back is let in and listed again.
    const again = await letIn(world.url, ada, 'One')
    expect((await getNotes(world.url, again.access_token)).status).toBe(200)
    await page.reload()
    expect(await names(page)).toEqual(['One'])
  })

  it('shows two users in two browsers their own apps, and takes no form of the other', async () => {
    await letIn(world.url, ada, "Ada's app")
    const tokens = await letIn(world.url, bob, "Bob's app")
    const [adas, bobs] = [
      await signIn(world.url, 'Ada Lovelace'),
      await signIn(world.url, 'Bob Babbage'),
    ]
    expect(await names(adas.page)).toContain("Ada's app")
    expect(await names(adas.page)).not.toContain("Bob's app")
    expect(await names(bobs.page)).toContain("Bob's app")
    expect(await names(bobs.page)).not.toContain("Ada's app")
    // Bob's form, whole, in Ada's browser.
    const [form = ''] = /<form[^>]*revoke[\s\S]*?<\/form>/.exec(await bobs.page.content()) ?? []
    expect(form).toContain('name="csrf"')
    const insert = `document.querySelector('main').insertAdjacentHTML('afterbegin', ${JSON.stringify(form)})`
    await adas.page.evaluate(insert)
    await adas.page.locator('form').first().getByRole('button').click()
    await adas.page.waitForURL(`${world.url}/auth/apps/revoke`)
    expect(await heading(adas.page)).toBe('This sign-in cannot go on')
    await bobs.page.reload()
    expect(await names(bobs.page)).toContain("Bob's app")
    expect((await getNotes(world.url, tokens.access_token)).status).toBe(200)
  })

  it('gives the browser another session id than one that was planted in it', async () => {
    const attacker = await signIn(world.url, 'Bob Babbage')
    const planted = (await attacker.context.cookies(world.url)).filter(
      ({ name }) => name.includes('session') && name.startsWith('mcp-entra'),
    )
    expect(planted).toHaveLength(1)
    expect(planted[0]).toMatchObject({ httpOnly: true, sameSite: 'Lax', path: '/', expires: -1 })
    const victim = await newTab()
    await victim.page.goto(`${world.url}/auth/apps`)
    await victim.context.addCookies(planted)
    await button(victim.page, 'Ada Lovelace').click()
    await victim.page.waitForURL(`${world.url}/auth/apps`)
    expect(await victim.page.textContent('main')).toContain('Ada Lovelace')
    const cookies = await victim.context.cookies(world.url)
    const own = cookies.find(({ name }) => name === planted[0]?.name)
    expect(own?.value).not.toBe(planted[0]?.value)
    await attacker.page.goto(`${world.url}/auth/apps`)
    expect(await attacker.page.textContent('main')).not.toContain('Ada Lovelace')
  })

  it.each([
    ['another site', '127.0.0.1'],
    ['another origin of the same site', 'localhost'],
  ])("is not moved by a form that %s sends in the user's browser", async (_what, host) => {
    const tokens = await letIn(world.url, ada, 'Target')
    const { page } = await signIn(world.url, 'Ada Lovelace')
    for (const [path, fields] of [
      ['/auth/apps/revoke', '<input name="app" value="all">'],
      ['/auth/signout', ''],
    ]) {
      const form = `<form method="post" action="${world.url}${path}">${fields}<input name="csrf" value="guess"><button>Win</button></form>`
      const { port } = new URL(stranger.url)
      await page.goto(`http://${host}:${port}/?body=${encodeURIComponent(form)}`)
      const answered = page.waitForResponse(`${world.url}${path}`)
      await button(page, 'Win').click()
      const answer = await answered
      expect([answer.status(), answer.headers().location]).toEqual([403, undefined])
    }
    await page.goto(`${world.url}/auth/apps`)
    expect(page.url()).toBe(`${world.url}/auth/apps`)
    expect(await names(page)).toContain('Target')
    expect((await getNotes(world.url, tokens.access_token)).status).toBe(200)
  })

  it('shows nothing to who goes back after signing out, and asks for the account', async () => {
    await letIn(world.url, ada, 'Private thing')
    const { page } = await signIn(world.url, 'Ada Lovelace')
    expect(await names(page)).toContain('Private thing')
    await button(page, 'Sign out').click()
    await page.waitForURL(`${world.url}/auth/signed-out`)
    expect(await heading(page)).toBe('You are signed out')
    await page.goBack()
    await button(page, 'Bob Babbage').waitFor()
    expect(new URL(page.url()).origin).toBe(new URL(world.entra.url).origin)
    expect(await page.content()).not.toContain('Private thing')
    await page.goto(`${world.url}/auth/signed-out`)
    await page.getByRole('link', { name: 'Sign in again' }).click()
    await button(page, 'Bob Babbage').click()
    await page.waitForURL(`${world.url}/auth/apps`)
    expect(await names(page)).not.toContain('Private thing')
  })

  it('knows the user who has just let a client in, without another sign-in', async () => {
    const { page } = await newTab()
    const clientId = await register(world.url, {
      client_name: 'Newcomer',
      redirect_uris: [`${stranger.url}/callback`],
    })
    const { authorizeUrl, pkce } = await import('../support/oauth-client.js')
    const redirect_uri = `${stranger.url}/callback`
    await page.goto(authorizeUrl(world.url, clientId, pkce().challenge, { redirect_uri }))
    await button(page, 'Approve').click()
    await button(page, 'Ada Lovelace').click()
    await page.waitForURL((url) => url.href.startsWith(redirect_uri))
    const answer = await page.goto(`${world.url}/auth/apps`)
    expect(answer?.request().redirectedFrom()).toBeNull()
    expect(await page.textContent('main')).toContain('Ada Lovelace')
  })
}

describeWithChromium('the account pages of a host in memory', () => {
  behaves(accountsInMemory)
})

describeWithChromium('the account pages of two hosts', () => {
  describeWithRedis('on one Redis', () => {
    behaves(() => accountsInRedis(`account-pages-${process.pid}:`))
  })
})

describeWithChromium('for everybody', () => {
  let world: AccountWorld
  beforeAll(async () => {
    world = await accountsInMemory()
    const long =
      'A client with a long name, AnExtraordinarilyLongWordWithoutAnyBlankInItAtAll, Ltd.'
    await letIn(world.url, ada, long)
    await letIn(world.url, ada, 'Claude')
  }, 60_000)
  afterAll(() => world.close())

  it.each(looks)('the pages are accessible and fit the screen (%s)', async (look, options) => {
    const { page, errors } = await signIn(world.url, 'Ada Lovelace', options)
    const shoot = (name: string) => takePicture(page, `${name}-${look}`)
    await shoot('apps')
    await expectAccessible(page)
    for (const one of await page.getByRole('button').all()) {
      expect((await one.boundingBox())?.height).toBeGreaterThanOrEqual(44)
    }
    await button(page, 'Sign out').click()
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
    await shoot('signed-out')
    await expectAccessible(page)
    const none = await signIn(world.url, 'Bob Babbage', options)
    await takePicture(none.page, `apps-none-${look}`)
    await expectAccessible(none.page)
    expect([...errors, ...none.errors]).toEqual([])
  })

  it('a keyboard reaches every button, says which app it is for, and shows where it is', async () => {
    const { page } = await signIn(world.url, 'Ada Lovelace')
    const reached: unknown[] = []
    for (let n = 0; n < 4; n++) {
      await page.keyboard.press('Tab')
      reached.push(
        await page.evaluate(`(() => {
          const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement)
          const visible = outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 1
          const { ariaLabel, textContent } = document.activeElement
          return visible && (ariaLabel ?? textContent.trim())
        })()`),
      )
    }
    expect(reached).toEqual([
      'Revoke access of Claude',
      expect.stringMatching(/^Revoke access of A client with a long name/),
      'Revoke access of all apps',
      'Sign out',
    ])
    await page.keyboard.press('Enter')
    await page.waitForURL(`${world.url}/auth/signed-out`)
  })

  it('no page may be framed', async () => {
    const { page, errors } = await signIn(world.url, 'Ada Lovelace')
    await page.goto(`${world.url}/healthz`)
    await page.evaluate(`new Promise((resolve) => {
      const frame = document.createElement('iframe')
      frame.onload = resolve
      frame.src = '/auth/apps'
      document.body.append(frame)
    })`)
    await page.frames()[1]?.waitForURL('chrome-error://chromewebdata/')
    expect(errors.join('\n')).toContain("frame-ancestors 'none'")
  })
})
