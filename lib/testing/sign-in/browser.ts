/** A browser without a screen: it follows redirects, keeps cookies, and presses the buttons that a user would. */
import { parseSetCookie, stringifyCookie } from 'cookie'
import { type Form, findForm } from './form.js'

/** What the user does on the pages of a sign-in. */
export interface Decisions {
  /** Who signs in on the emulator's page: a username or an object id. */
  readonly as: string
  /** The button of the consent page. */
  readonly consent: 'approve' | 'deny'
}

/** Enough for two trips to Entra: a login with a claims challenge makes the second. */
const mostSteps = 20

/**
 * Opens an authorization URL and goes on until the client's redirect URI is reached. Pages that do not come (a consent
 * that is remembered, a session at Entra) are not waited for.
 *
 * @returns the redirect URI with the answer
 * @throws Error with what a page says, when nobody could go on from there
 */
export async function followSignIn(url: URL, redirectUri: string, user: Decisions): Promise<URL> {
  const cookies = createJar()
  let target = url
  let request: RequestInit = {}
  for (let step = 0; step < mostSteps; step++) {
    if (isAt(redirectUri, target)) return target
    const response = await send(target, request, cookies)
    const location = response.headers.get('location')
    if (location !== null && response.status >= 300 && response.status < 400) {
      target = new URL(location, target)
      request = {}
    } else {
      const form = pressButton(await response.text(), target, response.status, user)
      target = new URL(form.action, target)
      request = { method: 'POST', body: new URLSearchParams(form.fields) }
    }
  }
  throw new Error(`The sign-in goes round in circles: after ${mostSteps} steps at ${place(target)}`)
}

interface Jar {
  read(url: URL): string
  keep(url: URL, response: Response): void
}

/** Cookies of each origin. What servers and the emulator set is for the whole origin, and outlives a sign-in. */
function createJar(): Jar {
  const origins = new Map<string, Map<string, string>>()
  const of = ({ origin }: URL): Map<string, string> => {
    const cookies = origins.get(origin) ?? new Map<string, string>()
    origins.set(origin, cookies)
    return cookies
  }
  // Values are passed on as they came.
  const asIs = (value: string) => value
  return {
    read: (url) => stringifyCookie(Object.fromEntries(of(url)), { encode: asIs }),
    keep(url, response) {
      for (const line of response.headers.getSetCookie()) {
        const { name, value = '', maxAge } = parseSetCookie(line, { decode: asIs })
        if (maxAge !== undefined && maxAge <= 0) of(url).delete(name)
        else of(url).set(name, value)
      }
    },
  }
}

async function send(url: URL, request: RequestInit, cookies: Jar): Promise<Response> {
  const cookie = cookies.read(url)
  const headers = { accept: 'text/html', ...(cookie && { cookie }) }
  const response = await fetch(url, { ...request, headers, redirect: 'manual' })
  cookies.keep(url, response)
  return response
}

/** @see RFC 8252 section 7.3: the answer is added to the query of the redirect URI */
function isAt(redirectUri: string, { origin, protocol, host, pathname }: URL): boolean {
  const wanted = new URL(redirectUri)
  const same = wanted.origin === origin && wanted.protocol === protocol && wanted.host === host
  return same && wanted.pathname === pathname
}

function pressButton(html: string, at: URL, status: number, { as, consent }: Decisions): Form {
  const consentForm = findForm(html, ({ name, value }) => name === 'action' && value === consent)
  if (consentForm) return consentForm
  const account = as.toLowerCase()
  const signInForm = findForm(
    html,
    ({ name, value, label }) =>
      name === 'sign_in_as' && (value === account || label.toLowerCase().endsWith(account)),
  )
  if (signInForm) return signInForm
  throw new Error(`${place(at)} answered ${status}, and the sign-in ends there: ${textOf(html)}`)
}

/** Without the query: there are codes and sealed requests in it. */
function place({ origin, pathname }: URL): string {
  return origin + pathname
}

function textOf(html: string): string {
  const body = html.replace(/<(head|style|script)\b[\s\S]*?<\/\1>/gi, ' ')
  return body
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
}
