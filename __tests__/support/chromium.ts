/** A real browser for tests: Debian's Chromium without a screen, and what it reports about a page. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core'
import { describeNeeding } from './needs.js'

const executable = process.env.CHROMIUM ?? '/usr/bin/chromium'
const hasChromium = existsSync(executable)

/** `describe` for tests that need a browser. */
export const describeWithChromium = describeNeeding('chromium', hasChromium)

/** Pictures of pages, for reviewing changes. */
const screenshots = fileURLToPath(new URL('../../build/screenshots/', import.meta.url))

/** Launches a browser that makes no requests of its own. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: executable,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** A tab, with its console messages and requests. */
export interface Tab {
  readonly context: BrowserContext
  readonly page: Page
  /** Errors in the console: a breach of the content security policy is one. */
  readonly errors: readonly string[]
  /** Every URL it requested, in order. */
  readonly requests: readonly string[]
}

/**
 * Takes a picture of a whole page. Chromium on a busy machine says at times that it is unable to: then once more.
 *
 * @param name of the file, without its ending
 */
export async function takePicture(page: Page, name: string): Promise<void> {
  const options = { path: `${screenshots}${name}.png`, fullPage: true }
  await page.screenshot(options).catch((error: unknown) => {
    if (!String(error).includes('Unable to capture screenshot')) throw error
    return page.screenshot(options)
  })
}

/** Opens a tab without cookies or storage. */
export async function openTab(browser: Browser, options: BrowserContextOptions = {}): Promise<Tab> {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  const errors: string[] = []
  const requests: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text())
  })
  page.on('pageerror', (error) => errors.push(String(error)))
  context.on('request', (request) => requests.push(request.url()))
  return { context, page, errors, requests }
}
