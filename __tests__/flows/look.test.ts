/** Branding and languages in a real browser: what the operator's logo and colour do to the pages, for every reader. */
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
import { authorizeUrl, pkce, register } from '../support/oauth-client.js'
import { startProxy, startTestEntra, type TestProxy } from '../support/proxy.js'

const svg =
  '<svg xmlns="http://www.w3.org/2000/svg" width="120" height="40"><rect width="120" height="40" rx="6" fill="#5c2d91"/><circle cx="24" cy="20" r="10" fill="#fff"/></svg>'

/** Neither serves both schemes as it is. */
const accentColor = '#5c2d91'

let browser: Browser
let servers: Readonly<Record<'path' | 'data', TestProxy>>
let tabs: Tab[] = []

beforeAll(async () => {
  const entra = await startTestEntra()
  const branding = { name: 'Contoso Notizdienste', accentColor }
  const supportUrl = 'https://help.contoso.example/mcp'
  servers = {
    path: await startProxy(entra, {
      resourceName: 'Notes',
      branding: { ...branding, supportUrl, logo: '/logo.svg' },
      before: (app) =>
        app.get('/:image.svg', (_req, res) => void res.type('image/svg+xml').send(svg)),
    }),
    data: await startProxy(entra, {
      resourceName: 'Notes',
      branding: { ...branding, logo: `data:image/svg+xml,${encodeURIComponent(svg)}` },
    }),
  }
}, 60_000)
afterEach(async () => {
  await Promise.all(tabs.map(({ context }) => context.close()))
  tabs = []
})
afterAll(() => browser?.close())

async function newTab(options: BrowserContextOptions): Promise<Tab> {
  browser ??= await launchChromium()
  const tab = await openTab(browser, options)
  tabs.push(tab)
  return tab
}

const web = 'https://an-application-with-a-long-name.client.example/oauth/callback'

/** The addresses of pages of this server: a client asks, and makes mistakes. */
async function addresses({ url }: TestProxy): Promise<Readonly<Record<string, string>>> {
  const challenge = pkce().challenge
  const here = await register(url, { client_name: 'Notizen für alle' })
  const there = await register(url, { redirect_uris: [web] })
  const scope = 'notes.read notes.write'
  return {
    consent: authorizeUrl(url, here, challenge, { scope }),
    problem: `${url}/auth/callback?code=a&state=b`,
    detail: `${url}/authorize`,
    return: authorizeUrl(url, there, challenge, { redirect_uri: web, scope: 'nonsense' }),
  }
}

/** Width of the first image as it was drawn, and what the page looks like. */
function measure(page: Page): Promise<{ logo: number; overflow: number; accent: string }> {
  return page.evaluate(`(() => {
    const { scrollWidth, clientWidth } = document.documentElement
    return {
      logo: document.querySelector('header img').naturalWidth,
      overflow: Math.max(0, scrollWidth - clientWidth),
      accent: getComputedStyle(document.querySelector('main')).borderTopColor,
    }
  })()`)
}

async function violations(page: Page) {
  const { violations: found, passes } = await new AxeBuilder({ page }).analyze()
  expect(passes.length).toBeGreaterThan(5)
  expect(passes.map(({ id }) => id)).toContain('color-contrast')
  return found.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(({ html }) => html) }))
}

const phone = { viewport: { width: 320, height: 640 }, deviceScaleFactor: 2, isMobile: true }

const readers: [string, BrowserContextOptions][] = [
  ['en-light', { locale: 'en-GB' }],
  ['en-dark', { locale: 'en-GB', colorScheme: 'dark' }],
  ['de-light', { locale: 'de-AT' }],
  ['de-dark', { locale: 'de-AT', colorScheme: 'dark' }],
  ['de-phone', { locale: 'de-AT', ...phone }],
  ['de-phone-dark', { locale: 'de-AT', colorScheme: 'dark', ...phone }],
]

describeWithChromium('with branding', () => {
  it.each(readers)(
    'every page is accessible and fits the screen (%s)',
    async (name, reader) => {
      const language = name.slice(0, 2)
      for (const [what, url] of Object.entries(await addresses(servers.path))) {
        const { page, errors, requests } = await newTab(reader)
        const status = (await page.goto(url))?.status()
        await takePicture(page, `brand-${what}-${name}`)
        expect(await page.locator('html').getAttribute('lang')).toBe(language)
        const { logo, overflow, accent } = await measure(page)
        expect([what, logo, overflow]).toEqual([what, 120, 0])
        // The very colour on light paper; on dark paper a lighter shade, as axe agrees.
        expect(accent === 'rgb(92, 45, 145)').toBe(!name.endsWith('dark'))
        expect(await page.getByText('Contoso Notizdienste').count()).toBe(1)
        const help = page.getByRole('link', { name: language === 'de' ? 'Hilfe' : 'Get help' })
        expect(await help.getAttribute('href')).toBe('https://help.contoso.example/mcp')
        expect(await violations(page)).toEqual([])
        expect(errors.filter((text) => !text.includes(`status of ${status}`))).toEqual([])
        const others = requests.filter((address) => !address.startsWith(servers.path.url))
        expect(others).toEqual([])
      }
    },
    60_000,
  )

  it('a logo in a data URI is shown, and loads nothing', async () => {
    const { page, errors, requests } = await newTab({})
    await page.goto((await addresses(servers.data)).consent ?? '')
    expect((await measure(page)).logo).toBe(120)
    expect(errors).toEqual([])
    expect(requests.filter((url) => !/^data:|\/authorize\?/.test(url))).toEqual([])
  })

  it('no image but the logo is loaded', async () => {
    for (const [server, allowed, forbidden] of [
      [servers.path, '/logo.svg', '/other.svg'],
      [servers.path, '/logo.svg', 'data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA='],
      [servers.data, 'data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=', '/logo.svg'],
    ] as const) {
      const { page } = await newTab({})
      await page.goto((await addresses(server)).consent ?? '')
      const load = (src: string) =>
        page.evaluate(`new Promise((resolve) => {
          const image = new Image()
          image.onload = () => resolve('loaded')
          image.onerror = () => resolve('blocked')
          image.src = ${JSON.stringify(src)}
        })`)
      expect([await load(allowed), await load(forbidden)]).toEqual(['loaded', 'blocked'])
    }
  })

  it('the buttons say what they do, alike and side by side, Deny first', async () => {
    const { page } = await newTab({ locale: 'de-DE' })
    await page.goto((await addresses(servers.path)).consent ?? '')
    const boxes = await Promise.all(
      ['Ablehnen', 'Zustimmen'].map((name) => page.getByRole('button', { name }).boundingBox()),
    )
    const [deny, approve] = boxes
    expect(deny).toEqual({ ...approve, x: deny?.x })
    expect(deny?.x).toBeLessThan(approve?.x ?? 0)
    await page.getByRole('button', { name: 'Zustimmen' }).click()
    await page.getByRole('button', { name: 'Ada Lovelace' }).waitFor()
  })
})
