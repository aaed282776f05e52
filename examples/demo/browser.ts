/** A browser without a screen: it keeps cookies, follows redirects, and finds and submits forms. */
import { CookieJar } from 'tough-cookie'

/** A page or redirect as it was received. */
export interface Page {
  readonly url: string
  readonly status: number
  readonly headers: Headers
  readonly html: string
}

/** Options of {@link Browser}. */
export interface BrowserOptions {
  /** Whether a redirect leads back to the client: it is not followed. */
  readonly stopAt: (url: string) => boolean
}

/** One user's browser. */
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

  /** Sends one request with cookies, and follows no redirect. */
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

/** A form of a page: where it is sent, and what its inputs hold. */
export interface Form {
  readonly url: string
  readonly fields: URLSearchParams
}

/** The forms of a page, in order. */
export function formsOf(page: Page): readonly Form[] {
  return [...page.html.matchAll(/<form[^>]*>[\s\S]*?<\/form>/g)].map(([form]) => {
    const target = /action="([^"]*)"/.exec(form)?.[1] ?? ''
    const fields = new URLSearchParams()
    for (const [input] of form.matchAll(/<input[^>]*>/g)) {
      const name = /name="([^"]*)"/.exec(input)?.[1]
      if (name) fields.set(name, unescapeHtml(/value="([^"]*)"/.exec(input)?.[1] ?? ''))
    }
    return { url: new URL(unescapeHtml(target), page.url).href, fields }
  })
}

/** The request that the page's form sends when this button is pressed. */
export function formRequest(page: Page, action: string): [string, RequestInit] {
  const [form] = formsOf(page)
  if (!form) throw new Error(`no form on ${page.url} (${page.status}):\n${page.html}`)
  const body = new URLSearchParams({ action })
  for (const [name, value] of form.fields) body.set(name, value)
  return [form.url, { method: 'POST', body }]
}

/** Undoes the escaping of an attribute value. */
export function unescapeHtml(text: string): string {
  return text
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&')
}
