/** Navigations of a tab, with the Fetch Metadata that browsers send and that `fetch` overwrites. */
import type { Browser, Page } from '../../examples/demo/browser.js'
import { send } from './proxy.js'

/** A link on another site that its user has clicked. */
export const clicked = {
  'sec-fetch-site': 'cross-site',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-user': '?1',
} as const

/** Opens an address in a tab, and follows no redirect. Headers that are undefined are left out. */
export async function navigate(
  browser: Browser,
  url: string,
  more: Readonly<Record<string, string | undefined>> = {},
): Promise<Page> {
  const cookie = await browser.jar.getCookieString(url)
  const all = Object.entries({ ...clicked, ...(cookie && { cookie }), ...more })
  const headers = Object.fromEntries(
    all.filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  const answer = await send(url, { headers })
  for (const line of answer.headers['set-cookie'] ?? []) await browser.jar.setCookie(line, url)
  const flat = Object.entries(answer.headers).map(([name, value]) => [name, String(value)])
  return {
    url,
    status: answer.status,
    headers: new Headers(flat as [string, string][]),
    html: answer.body,
  }
}
