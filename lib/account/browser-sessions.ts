/** Who is signed in, in a browser: `express-session` with a cookie, limits and a store of ours. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parse, serialize } from 'cookie'
import type { Session, SessionOptions, Store } from 'express-session'
import type { Clock } from '../async/clock.js'
import { randomSecret, sha256 } from '../crypto/hashing.js'
import type { KeyRing } from '../crypto/key-ring.js'
import type { Browser } from '../http/browser.js'
import type { Report } from '../http/report.js'
import type { BrowserSession, BrowserSessions, SignedInUser } from '../login/browser-sessions.js'
import { OAuthError, unavailable } from '../oauth/errors.js'
import type { SessionRecord } from './session-records.js'

/** A session as the account's own pages see it. */
export interface AccountSession extends BrowserSession {
  /** The forms of this session carry it. */
  readonly csrf: string
}

/** The sessions of all browsers, and their end. */
export interface AccountSessions extends BrowserSessions {
  read(browser: Browser): Promise<AccountSession | undefined>
  /** Ends the session of this browser, if it has one. @throws OAuthError 503 */
  end(browser: Browser): Promise<void>
  /** Whether the user has signed out in this browser, and not signed in again since. */
  hasSignedOut(req: IncomingMessage): boolean
}

/** What the sessions are made with. */
export interface BrowserSessionsOptions {
  /** Whether we are on https, by `baseUrl` and not by what a request says. */
  readonly secure: boolean
  /** The path of `baseUrl`: '' at the root of a host. */
  readonly basePath: string
  readonly ring: KeyRing
  /** @param bare a store of `express-session` without operations */
  readonly makeStore: (bare: Store) => Store
  readonly report: Report
  readonly now: Clock
}

/** In the place of a session id, and unsigned: `express-session` takes it for none. */
const signedOut = 'signed-out'

/** A request as `express-session` sees it. */
interface SessionRequest extends IncomingMessage {
  session: Session & Partial<SessionRecord>
}

/** `express-session`, on the types of `node:http`. */
type RunSession = (
  req: IncomingMessage,
  res: ServerResponse,
  next: (error?: unknown) => void,
) => void

/** The package is loaded when the pages are made: so one that is missing can be named with its command before that. */
async function loadSession(
  options: Pick<SessionOptions, 'name' | 'cookie' | 'secret'>,
  makeStore: BrowserSessionsOptions['makeStore'],
): Promise<RunSession> {
  const { default: session } = await import('express-session')
  const Bare = session.Store as unknown as new () => Store
  const store = makeStore(new Bare())
  const run: unknown = session({ ...options, store, resave: false, saveUninitialized: false })
  return run as RunSession
}

/** @see RFC 6265bis section 4.1.3 (`__Host-`), OWASP Session Management Cheat Sheet */
export function browserSessions(options: BrowserSessionsOptions): AccountSessions {
  const { secure, basePath, ring, makeStore, report, now } = options
  const name = cookieName(secure, basePath)
  // Without a lifetime, so it ends with the browser at the latest. Ours ends sooner, in the store.
  const cookie = { path: '/', httpOnly: true, secure, sameSite: 'lax' } as const
  const secret = ring.all.map((key) => key.derive('browser session cookie').toString('base64url'))
  const loading = loadSession({ name, cookie, secret }, makeStore)
  // Whoever needs a session hears of the failure. Nobody else waits for it.
  loading.catch(() => undefined)
  const opened = new WeakMap<IncomingMessage, Promise<SessionRequest>>()

  /** Once for each request: `express-session` watches its answer. */
  function open(browser: Browser): Promise<SessionRequest> {
    const known = opened.get(browser.req)
    if (known) return known
    const opening = openOnce(browser)
    opened.set(browser.req, opening)
    return opening
  }

  async function openOnce({ req, res }: Browser): Promise<SessionRequest> {
    const seen = seenBySession(req, secure)
    sendHeadersAsInHttp1(res)
    const run = await loading.catch((error: unknown) => {
      throw asOutage(error)
    })
    return new Promise((resolve, reject) => {
      let isOpen = false
      run(seen, res, (error) => {
        // The answer has been sent: nobody but the operator can hear that the session was not prolonged.
        if (isOpen && error) report('failure', { endpoint: 'session', reason: 'not_kept', error })
        else if (error) reject(asOutage(error))
        else resolve(seen)
        isOpen = true
      })
    })
  }

  async function beginIn(seen: SessionRequest, user: SignedInUser): Promise<void> {
    // A new id, so that nobody who knew the one before is signed in now.
    if (seen.session.user) await finished((done) => seen.session.regenerate(done))
    const signedInAt = Math.floor(now() / 1000)
    Object.assign(seen.session, { user: onlyShown(user), signedInAt, csrf: randomSecret() })
    await finished((done) => seen.session.save(done))
  }

  return Object.freeze({
    async read(browser: Browser) {
      const { user, signedInAt, csrf } = (await open(browser)).session
      return user && signedInAt !== undefined && csrf !== undefined
        ? { user, signedInAt, csrf }
        : undefined
    },
    async begin(browser: Browser, user: SignedInUser) {
      const seen = await open(browser)
      try {
        await beginIn(seen, user)
      } catch (error) {
        // Or else it would be written once more with the answer, and the browser given its cookie.
        Object.assign(seen, { session: undefined })
        throw error
      }
    },
    async end(browser: Browser) {
      const seen = await open(browser)
      if (seen.session.user) await finished((done) => seen.session.destroy(done))
      browser.res.appendHeader('Set-Cookie', serialize(name, signedOut, cookie))
    },
    hasSignedOut: (req: IncomingMessage) => parse(req.headers.cookie ?? '')[name] === signedOut,
  })
}

/** A `__Host-` cookie is for all paths, so each server of a host needs a name of its own. */
function cookieName(secure: boolean, basePath: string): string {
  const ofThisPath = basePath === '' ? '' : `-${sha256(basePath).slice(0, 8)}`
  return `${secure ? '__Host-' : ''}mcp-entra-session${ofThisPath}`
}

/**
 * The request without what the application has added to it: a session of its own, what its cookie parser made of the
 * cookies, and whether the connection counts as secure. The address is hidden as well: our cookie is for every path, and
 * `express-session` opens no session where it reads a whole URL in the request line otherwise than we do. What it adds
 * stays on the outer of the two objects, where it can be deleted without laying the application's own bare.
 */
function seenBySession(req: IncomingMessage, secure: boolean): SessionRequest {
  const hidden = ['session', 'sessionID', 'sessionStore', 'cookies', 'signedCookies', 'secret']
  const blank = { value: undefined, writable: true }
  const bare: object = Object.create(req, Object.fromEntries(hidden.map((name) => [name, blank])))
  const ours = { secure: { value: secure }, originalUrl: { value: '/' } }
  return Object.create(bare, ours) as SessionRequest
}

/** `express-session` calls `_implicitHeader` when it ends an answer. Those of `node:http2` have no such method. */
function sendHeadersAsInHttp1(res: ServerResponse): void {
  if ('_implicitHeader' in res) return
  const value = () => void (res.headersSent || res.writeHead(res.statusCode))
  Object.defineProperty(res, '_implicitHeader', { value })
}

/** Those who hand over a user know more of them, such as roles. */
function onlyShown({ tid, oid, name, username }: SignedInUser): SignedInUser {
  return {
    tid,
    oid,
    ...(name !== undefined && { name }),
    ...(username !== undefined && { username }),
  }
}

async function finished(operation: (done: (error?: unknown) => void) => unknown): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      operation((error) => (error ? reject(error) : resolve()))
    })
  } catch (error) {
    throw asOutage(error)
  }
}

function asOutage(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error
  return unavailable('The session store cannot be reached. Try again shortly.', error)
}
