/** A browser without a screen: cookies, redirects followed by hand, forms found and submitted. */
import { CookieJar } from 'tough-cookie'

/** A page or redirect as the browser got it. */
export interface Page {
  readonly url: string
  readonly status: number
  readonly headers: Headers
  readonly html: string
}

/** Redirects to addresses that start with one of these are not followed: a client waits there. */
export interface BrowserOptions {
  readonly stopAt: (url: string) => boolean
}

export class Browser {
  readonly jar = new CookieJar(undefined, {
    allowSpecialUseDomain: true,
    rejectPublicSuffixes: false,
  })

  constructor(private readonly options: BrowserOptions) {}

  /** Opens an address and follows redirects until there is a page or the client is reached. */
  async open(url: string, init: RequestInit = {}): Promise<Page> {
    let target = url
    let request = init
    for (let hops = 0; hops < 15; hops++) {
      if (this.options.stopAt(target))
        return { url: target, status: 0, headers: new Headers(), html: '' }
      const page = await this.fetchOnce(target, request)
      const location = page.headers.get('location')
      if (page.status < 300 || page.status > 399 || !location) return page
      target = new URL(location, target).href
      request = {}
    }
    throw new Error(`too many redirects from ${url}`)
  }

  /** One request with cookies, no redirect followed. */
  async fetchOnce(url: string, init: RequestInit = {}): Promise<Page> {
    const headers = new Headers(init.headers)
    const cookie = await this.jar.getCookieString(url)
    if (cookie) headers.set('cookie', cookie)
    const response = await fetch(url, { ...init, headers, redirect: 'manual' })
    for (const line of response.headers.getSetCookie()) await this.jar.setCookie(line, url)
    return { url, status: response.status, headers: response.headers, html: await response.text() }
  }

  /** Presses a button of the page's form and goes where that leads. */
  async press(page: Page, action: string): Promise<Page> {
    return this.open(...formRequest(page, action))
  }
}

/** The request a form would send when its button is pressed. */
export function formRequest(page: Page, action: string): [string, RequestInit] {
  const form = /<form[^>]*>([\s\S]*?)<\/form>/.exec(page.html)
  if (!form) throw new Error(`no form on ${page.url} (${page.status}):\n${page.html}`)
  const target = /action="([^"]*)"/.exec(form[0])?.[1] ?? ''
  const body = new URLSearchParams({ action })
  for (const [input] of form[0].matchAll(/<input[^>]*>/g)) {
    const name = /name="([^"]*)"/.exec(input)?.[1]
    if (name) body.set(name, unescapeHtml(/value="([^"]*)"/.exec(input)?.[1] ?? ''))
  }
  const url = new URL(unescapeHtml(target), page.url).href
  return [url, { method: 'POST', body }]
}

/** Text of an attribute value as it was before it was escaped. */
export function unescapeHtml(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
}
