/** The frame of every page. */
import { describe, expect, it } from '@jest/globals'
import { html } from '../../lib/pages/html.js'
import { pageLooks } from '../../lib/pages/look.js'
import { page, time } from '../../lib/pages/page.js'

const looks = pageLooks()
const lookFor = (acceptLanguage: string) =>
  looks.forReader({ headers: { 'accept-language': acceptLanguage } } as never)

describe('a page', () => {
  it.each([
    ['en-GB', 'en'],
    ['de-AT', 'de'],
    ['fr', 'en'],
  ])('for a reader of %s says that it is in %s', (wish, language) => {
    const made = page(lookFor(wish), '<title>', html`<h1>x</h1>`)
    expect(made.language).toBe(language)
    expect(made.html).toContain(`<html lang="${language}">`)
    expect(made.html).toContain('<title>&lt;title&gt;</title>')
    expect(made.html).toContain('<main>\n<h1>x</h1>\n</main>')
  })

  it('allows its own stylesheet by hash, and nothing else', async () => {
    const { html: text, contentSecurityPolicy } = page(lookFor('en'), 'x', html``)
    const style = /<style>([\s\S]*)<\/style>/.exec(text)?.[1] ?? ''
    const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(style))
    const hash = Buffer.from(digest).toString('base64')
    expect(contentSecurityPolicy).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; frame-ancestors 'none'`,
    )
  })
})

describe('time', () => {
  const seconds = Date.UTC(2026, 10, 25, 0, 5) / 1000

  it.each([
    ['en', 'November 25, 2026 at 12:05 AM UTC'],
    ['de', '25. November 2026 um 00:05 UTC'],
  ])('is written in the words of %s, in UTC, and names the zone', (language, words) => {
    // Some versions of ICU put a narrow blank before AM.
    expect(String(time(lookFor(language), seconds)).replace(/\u202f/g, ' ')).toBe(
      `<time datetime="2026-11-25T00:05:00.000Z">${words}</time>`,
    )
  })
})
