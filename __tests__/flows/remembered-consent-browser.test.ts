/** Remembered consent in a real browser, which says itself how each request came to be. */
import { AxeBuilder } from '@axe-core/playwright'
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import type { Browser, Page } from 'playwright-core'
import {
  describeWithChromium,
  launchChromium,
  openTab,
  type Tab,
  takePicture,
} from '../support/chromium.js'
import { type Listening, listen, startWorld, type World } from '../support/host.js'
import { ada, authorizeUrl, pkce, register } from '../support/oauth-client.js'

let browser: Browser
let world: World
/** The client's site. It is another site than ours: 127.0.0.1 and not localhost. */
let site: Listening
let origin: string
let tab: Tab

/** What the site shows at each path, or where it redirects to; its redirect URI says that the user is back. */
const pages = new Map<string, string>()

beforeAll(async () => {
  world = await startWorld({ settings: { rememberUnverified: true } })
  site = await listen(() => (req, res) => {
    const { pathname } = new URL(req.url ?? '/', 'http://site')
    const body = pages.get(pathname) ?? 'Back'
    if (body.startsWith('http')) return void res.writeHead(302, { location: body }).end()
    res.setHeader('content-type', 'text/html')
    res.end(`<!doctype html><title>Client</title><link rel="icon" href="data:,">${body}`)
  })
  origin = site.url.replace('localhost', '127.0.0.1')
}, 60_000)
afterEach(() => tab?.context.close())
afterAll(async () => {
  await browser?.close()
  await site.close()
  await world.close()
})

async function authorization(params: Record<string, string> = {}): Promise<string> {
  clientId ??= await register(world.url, { redirect_uris: [`${origin}/callback`] })
  const { challenge } = pkce()
  const redirect_uri = `${origin}/callback`
  return authorizeUrl(world.url, clientId, challenge, { redirect_uri, login_hint: ada, ...params })
}
let clientId: string | undefined

/** A tab whose user has approved the client and is signed in. */
async function approvedTab(): Promise<Page> {
  browser ??= await launchChromium()
  tab = await openTab(browser)
  const { page } = tab
  await page.goto(await authorization())
  await page.getByRole('button', { name: 'Approve' }).click()
  await page.waitForURL((url) => url.href.startsWith(`${origin}/callback?code=`))
  return page
}

/** Where the user of a page ends: at the client with a code, or before the consent page. */
async function endOf(page: Page): Promise<'code' | 'page'> {
  await page.waitForURL(
    ({ href }) => href.startsWith(`${origin}/callback?code=`) || href.startsWith(world.url),
  )
  if (page.url().startsWith(origin)) return 'code'
  await page.getByRole('button', { name: 'Approve' }).waitFor()
  return 'page'
}

describeWithChromium('a user who has approved the client', () => {
  it('is spared the page when the address bar, or another program, leads here', async () => {
    const page = await approvedTab()
    await page.goto(await authorization())
    expect(await endOf(page)).toBe('code')
    expect(tab.errors).toEqual([])
  })

  it("is spared the page after a click on the client's site, through its redirects too", async () => {
    const page = await approvedTab()
    pages.set('/click', '<a href="/connect">Connect</a>')
    pages.set('/connect', await authorization())
    await page.goto(`${origin}/click`)
    await page.getByRole('link', { name: 'Connect' }).click()
    expect(await endOf(page)).toBe('code')
  })

  it('is spared the page when a script takes them here after their click, in a window of its own too', async () => {
    const page = await approvedTab()
    const url = JSON.stringify(await authorization())
    pages.set(
      '/scripts',
      `<button id="here">Here</button><button id="there">There</button><script>
      here.onclick = () => setTimeout(() => { location.href = ${url} }, 50)
      there.onclick = () => open(${url})</script>`,
    )
    await page.goto(`${origin}/scripts`)
    const [popup] = await Promise.all([
      page.waitForEvent('popup'),
      page.getByRole('button', { name: 'There' }).click(),
    ])
    expect(await endOf(popup)).toBe('code')
    await page.bringToFront()
    await page.getByRole('button', { name: 'Here', exact: true }).click()
    expect(await endOf(page)).toBe('code')
  })

  it('sees the page when a script of another site leads here', async () => {
    const page = await approvedTab()
    pages.set(
      '/script',
      `<script>location.href = ${JSON.stringify(await authorization())}</script>`,
    )
    await page.goto(`${origin}/script`)
    expect(await endOf(page)).toBe('page')
  })

  it('sees the page when a site of another host opens it by itself', async () => {
    const page = await approvedTab()
    const url = inHtml(await authorization())
    pages.set('/refresh', `<meta http-equiv="refresh" content="0;url=${url}">`)
    await page.goto(`${origin}/refresh`)
    expect(await endOf(page)).toBe('page')
  })

  it('is not sent on in a frame or as an image, and no code is made', async () => {
    const page = await approvedTab()
    const url = inHtml(await authorization())
    pages.set('/frame', `<iframe src="${url}"></iframe><img src="${url}"><p>Loaded</p>`)
    world.entra.clearRequests()
    await page.goto(`${origin}/frame`, { waitUntil: 'load' })
    await page.getByText('Loaded').waitFor()
    expect(world.entra.requests).toEqual([])
  })

  it('sees what is new, marked', async () => {
    const page = await approvedTab()
    await page.goto(await authorization({ scope: 'notes.read notes.write' }))
    expect(await endOf(page)).toBe('page')
    const items = page.locator('li', { has: page.locator('mark') })
    expect(await items.allTextContents()).toEqual([expect.stringContaining('notes.write')])
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      const { violations } = await new AxeBuilder({ page }).analyze()
      expect(violations).toEqual([])
      await takePicture(page, `consent-new-${colorScheme}`)
    }
    expect(tab.errors).toEqual([])
  })
})

const inHtml = (url: string) => url.replaceAll('&', '&amp;')
