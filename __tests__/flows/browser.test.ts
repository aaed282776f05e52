/** The pages in a real browser: by mouse, by keyboard, on a phone, in the dark, and under its security rules. */
import { AxeBuilder } from '@axe-core/playwright'
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import {
  describeWithChromium,
  launchChromium,
  openTab,
  type Tab,
  takePicture,
} from '../support/chromium.js'
import { type Listening, listen, startWorld, type World } from '../support/host.js'
import { authorizeUrl, pkce, redeem, register } from '../support/oauth-client.js'

let browser: Browser
let world: World
/** Where the client listens: a page of its own says that the user is back. */
let client: Listening
let tabs: Tab[] = []

beforeAll(async () => {
  world = await startWorld()
  client = await listen(() => (_req, res) => {
    res.setHeader('content-type', 'text/html')
    res.end('<!doctype html><html lang="en"><title>Back</title><link rel="icon" href="data:,">')
  })
}, 60_000)
afterEach(async () => {
  await Promise.all(tabs.map(({ context }) => context.close()))
  tabs = []
})
afterAll(async () => {
  await browser?.close()
  await client.close()
  await world.close()
})

async function newTab(options?: BrowserContextOptions): Promise<Tab> {
  browser ??= await launchChromium()
  const tab = await openTab(browser, options)
  tabs.push(tab)
  return tab
}

/** A client that is about to send its user here. */
async function authorization(
  metadata: Record<string, unknown> = {},
  params: Record<string, string> = {},
) {
  const redirectUri = `${client.url}/callback`
  const clientId = await register(world.url, { redirect_uris: [redirectUri], ...metadata })
  const { verifier, challenge } = pkce()
  const [redirect_uri = redirectUri] = (metadata.redirect_uris as string[] | undefined) ?? []
  const url = authorizeUrl(world.url, clientId, challenge, { redirect_uri, ...params })
  return { url, clientId, verifier, redirectUri: redirect_uri }
}

/** The parameters the client was called with. */
async function answerOf(page: Page): Promise<URLSearchParams> {
  await page.waitForURL((url) => url.href.startsWith(`${client.url}/callback`))
  return new URL(page.url()).searchParams
}

const button = (page: Page, name: string) => page.getByRole('button', { name })

/** What a reader of the page would see of the focus. */
function focus(page: Page): Promise<unknown> {
  return page.evaluate(`(() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement)
    return {
      text: document.activeElement.textContent.trim().replace(/\\s+/g, ' '),
      visible: outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 1,
    }
  })()`)
}

async function violations(page: Page) {
  const { violations: found, passes } = await new AxeBuilder({ page }).analyze()
  expect(passes.length).toBeGreaterThan(5)
  return found.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html }) => html) }))
}

const phone: BrowserContextOptions = {
  viewport: { width: 320, height: 640 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
}
const dark: BrowserContextOptions = { colorScheme: 'dark' }

/** Everything a consent page may have to show. */
const demanding = {
  metadata: {
    client_name:
      'A client with a long name, AnExtraordinarilyLongWordWithoutAnyBlankInItAtAll, Ltd.',
  },
  params: { scope: 'notes.read notes.write' },
}

describeWithChromium('with a mouse', () => {
  it('approves, signs in and is back at the client with a code that works', async () => {
    const { page, errors, requests } = await newTab()
    const asked = await authorization()
    await page.goto(asked.url)
    await button(page, 'Approve').click()
    await page.waitForURL((url) => url.origin === new URL(world.entra.url).origin)
    await button(page, 'Ada Lovelace').click()
    const answer = await answerOf(page)
    expect(Object.fromEntries(answer)).toEqual({
      code: expect.any(String),
      state: 'client-state',
      iss: world.url,
    })
    const code = answer.get('code') ?? ''
    const redeemed = await redeem(
      world.url,
      { ...asked, code },
      { redirect_uri: asked.redirectUri },
    )
    expect(redeemed.status).toBe(200)
    expect(errors).toEqual([])
    // Not one request to anybody else.
    const parties = new Set(
      [world.url, world.entra.url, client.url].map((url) => new URL(url).origin),
    )
    expect(requests.filter((url) => !parties.has(new URL(url).origin))).toEqual([])
  }, 60_000)

  it('denies, and the client hears of it without Entra being asked', async () => {
    const { page, errors, requests } = await newTab()
    await page.goto((await authorization()).url)
    await button(page, 'Deny').click()
    expect(Object.fromEntries(await answerOf(page))).toEqual({
      error: 'access_denied',
      error_description: expect.any(String),
      state: 'client-state',
      iss: world.url,
    })
    expect(requests.filter((url) => url.startsWith(world.entra.url))).toEqual([])
    expect(errors).toEqual([])
  })

  it('cancels at Entra, and the client hears of that too', async () => {
    const { page, errors } = await newTab()
    await page.goto((await authorization()).url)
    await button(page, 'Approve').click()
    await button(page, 'Cancel').click()
    expect((await answerOf(page)).get('error')).toBe('access_denied')
    expect(errors).toEqual([])
  })

  it('goes back and approves again', async () => {
    const { page } = await newTab()
    await page.goto((await authorization()).url)
    await button(page, 'Approve').click()
    await button(page, 'Ada Lovelace').waitFor()
    await page.goBack()
    await button(page, 'Approve').click()
    await button(page, 'Ada Lovelace').click()
    expect((await answerOf(page)).get('code')).toEqual(expect.any(String))
  })
})

describeWithChromium('with a keyboard alone', () => {
  it('reaches Deny and Approve by Tab, sees where it is, and approves with Enter', async () => {
    const { page } = await newTab()
    await page.goto((await authorization()).url)
    await page.keyboard.press('Tab')
    expect(await focus(page)).toEqual({ text: 'Deny', visible: true })
    await page.keyboard.press('Tab')
    expect(await focus(page)).toEqual({ text: 'Approve', visible: true })
    await page.keyboard.press('Shift+Tab')
    expect(await focus(page)).toEqual({ text: 'Deny', visible: true })
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await button(page, 'Ada Lovelace').waitFor()
    await page.keyboard.press('Tab')
    expect(await focus(page)).toEqual({
      text: expect.stringContaining('Ada Lovelace'),
      visible: true,
    })
    await page.keyboard.press('Space')
    expect((await answerOf(page)).get('code')).toEqual(expect.any(String))
  })

  it('denies with Space', async () => {
    const { page } = await newTab()
    await page.goto((await authorization()).url)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Space')
    expect((await answerOf(page)).get('error')).toBe('access_denied')
  })

  it('approves nothing with Enter before a button has been chosen', async () => {
    const { page } = await newTab()
    await page.goto((await authorization()).url)
    await page.keyboard.press('Enter')
    await page.keyboard.press('Space')
    await page.waitForTimeout(200)
    expect(page.url()).toContain(`${world.url}/authorize`)
  })
})

describeWithChromium('for everybody', () => {
  const looks = [
    ['light', {}],
    ['dark', dark],
    ['phone', phone],
    ['phone-dark', { ...phone, ...dark }],
  ] as const

  it.each(looks)(
    'the consent page is accessible and fits the screen (%s)',
    async (look, options) => {
      const { page, errors } = await newTab(options)
      await page.goto((await authorization(demanding.metadata, demanding.params)).url)
      await takePicture(page, `consent-${look}`)
      expect(errors).toEqual([])
      expect(await violations(page)).toEqual([])
      expect(await overflow(page)).toBe(0)
      expect(await boxes(page, ['Deny', 'Approve'])).toHaveLength(2)
    },
  )

  it.each(looks)("the emulator's pages are, too (%s)", async (look, options) => {
    const { page, errors } = await newTab(options)
    await page.goto((await authorization()).url)
    await button(page, 'Approve').click()
    await button(page, 'Ada Lovelace').waitFor()
    await takePicture(page, `sign-in-${look}`)
    expect(errors).toEqual([])
    expect(await violations(page)).toEqual([])
    await page.goto(`${world.entra.url}/`)
    expect(await violations(page)).toEqual([])
    await page.goto(`${world.entra.url}/${world.entra.tenant.id}/oauth2/v2.0/authorize?client_id=x`)
    expect(await violations(page)).toEqual([])
  })

  it("the emulator's sign-in page fits the screen of a phone", async () => {
    const { page } = await newTab(phone)
    await page.goto((await authorization()).url)
    await button(page, 'Approve').click()
    await button(page, 'Ada Lovelace').waitFor()
    expect(await overflow(page)).toBe(0)
  })

  const problems: [string, () => Promise<string>, number][] = [
    ['an unknown client', async () => authorizeUrl(world.url, 'nobody', pkce().challenge), 400],
    [
      'a redirect URI that is not registered',
      async () => {
        const clientId = await register(world.url)
        const redirect_uri = 'https://evil.example/callback'
        return authorizeUrl(world.url, clientId, pkce().challenge, { redirect_uri })
      },
      400,
    ],
    [
      'an error for a client nobody vouches for',
      async () => {
        const redirect_uris = [`https://client.example/${'long/'.repeat(30)}callback`]
        return (await authorization({ redirect_uris }, { response_type: 'x' })).url
      },
      400,
    ],
    [
      'an answer of Entra nobody waits for',
      async () => `${world.url}/auth/callback?code=a&state=b`,
      403,
    ],
  ]

  it.each(problems)('the page about %s is accessible', async (name, url, status) => {
    for (const [look, options] of [looks[0], looks[3]]) {
      const { page, errors } = await newTab(options)
      const response = await page.goto(await url())
      expect(response?.status()).toBe(status)
      expect(await page.locator('h1').count()).toBe(1)
      // The console has the status of the page itself, and nothing else.
      expect(errors.filter((text) => !text.includes(`status of ${status}`))).toEqual([])
      await takePicture(page, `problem-${name.replaceAll(' ', '-')}-${look}`)
      expect(await violations(page)).toEqual([])
      expect(await overflow(page)).toBe(0)
    }
  })

  it('the page about a form of another browser is accessible', async () => {
    const { context, page } = await newTab()
    await page.goto((await authorization()).url)
    await context.clearCookies()
    await button(page, 'Approve').click()
    await page.getByRole('heading', { name: 'This sign-in cannot go on' }).waitFor()
    expect(page.url()).toBe(`${world.url}/consent`)
    expect(await violations(page)).toEqual([])
  })
})

const looksOf = `(element) => {
  const { color, backgroundColor, borderColor, font } = getComputedStyle(element)
  return { color, backgroundColor, borderColor, font }
}`

/** The size of each button: all are as large as each other, look alike, and are large enough for a thumb. */
async function boxes(page: Page, names: readonly string[]) {
  const all = await Promise.all(
    names.map(async (name) => ({
      ...(await button(page, name).boundingBox()),
      look: await button(page, name).evaluate(looksOf),
    })),
  )
  for (const { width, height, look } of all) {
    // WCAG 2.2, 2.5.8
    expect(height).toBeGreaterThanOrEqual(44)
    expect(width).toBeGreaterThanOrEqual(44)
    expect({ width, height, look }).toEqual({
      width: all[0]?.width,
      height: all[0]?.height,
      look: all[0]?.look,
    })
  }
  return all
}

/** Pixels by which the page is wider than the screen. */
function overflow(page: Page): Promise<unknown> {
  const root = 'document.documentElement'
  return page.evaluate(`Math.max(0, ${root}.scrollWidth - ${root}.clientWidth)`)
}

describeWithChromium("under the browser's security rules", () => {
  const redirect_uris = ['cursor://anysphere.cursor-mcp/oauth/callback']

  it.each([
    ['approve', 'Approve', 'code'],
    ['deny', 'Deny', 'error'],
  ])('lets the user go to a client with a scheme of its own (%s)', async (_name, press, param) => {
    const { page, errors } = await newTab()
    await page.goto((await authorization({ redirect_uris })).url)
    const sent = page.waitForResponse((response) =>
      (response.headers().location ?? '').startsWith('cursor:'),
    )
    await button(page, press).click()
    if (press === 'Approve') await button(page, 'Ada Lovelace').click()
    const location = new URL((await sent).headers().location ?? '')
    expect(location.searchParams.has(param)).toBe(true)
    await page.waitForTimeout(200)
    expect(errors).toEqual([])
  })

  it('shows no page in a frame, neither of another site nor of its own', async () => {
    const targets = {
      consent: (await authorization()).url,
      problem: authorizeUrl(world.url, 'nobody', pkce().challenge),
      callback: `${world.url}/auth/callback?code=a&state=b`,
    }
    const trap = `http://127.0.0.1:${new URL(client.url).port}/trap`
    for (const [name, target] of Object.entries(targets)) {
      for (const site of [trap, `${world.url}/healthz`]) {
        const { page, errors } = await newTab()
        await page.goto(site)
        await page.evaluate(`new Promise((resolve) => {
          const frame = document.createElement('iframe')
          frame.onload = resolve
          frame.src = ${JSON.stringify(target)}
          document.body.append(frame)
        })`)
        const [, frame] = page.frames()
        await frame?.waitForURL('chrome-error://chromewebdata/')
        expect([name, site, errors.join('\n')]).toEqual([
          name,
          site,
          expect.stringContaining("frame-ancestors 'none'"),
        ])
      }
    }
  })

  it('lets no script on the page talk to anybody, nor run at all', async () => {
    const { page, errors } = await newTab()
    await page.goto((await authorization()).url)
    await page.evaluate(`(() => {
      const script = document.createElement('script')
      script.textContent = 'document.title = "mine"'
      document.body.append(script)
    })()`)
    expect(await page.title()).toBe('Allow access to Notes?')
    const image = await page.evaluate(`new Promise((resolve) => {
      const image = new Image()
      image.onload = () => resolve('loaded')
      image.onerror = () => resolve('blocked')
      image.src = 'data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA='
    })`)
    expect(image).toBe('blocked')
    expect(errors.filter((text) => text.includes('Content Security Policy'))).toHaveLength(2)
  })

  it('keeps names that pretend to be markup, or to run backwards, from doing so', async () => {
    const { page, errors } = await newTab()
    const client_name = '<img src=x onerror=alert(1)>\u202eevil'
    await page.goto((await authorization({ client_name })).url)
    const heading = page.getByRole('heading', { level: 1 })
    expect(await heading.textContent()).toBe(
      'Allow <img src=x onerror=alert(1)>□evil to use Notes?',
    )
    expect(await page.locator('img').count()).toBe(0)
    expect(errors).toEqual([])
  })

  it.each([
    ['Approve', () => world.entra.url],
    ['Deny', () => client.url],
  ])('tells whoever comes next nothing of its own address (%s)', async (press, next) => {
    const { page } = await newTab()
    await page.goto((await authorization()).url)
    const arrived = page.waitForRequest((request) => request.url().startsWith(next()))
    await button(page, press).click()
    expect((await (await arrived).allHeaders()).referer).toBeUndefined()
  })
})
