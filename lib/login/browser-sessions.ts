/** Who is signed in, in a browser: what `accountRoutes` adds to the proxy when an application mounts it. */
import type { Browser } from '../http/browser.js'

/** The user of a browser, as Entra's verified id token says. */
export interface SignedInUser {
  readonly tid: string
  readonly oid: string
  /** Display name. */
  readonly name?: string
  /** Sign-in name (`preferred_username`). */
  readonly username?: string
}

/** A session of a browser that is signed in. */
export interface BrowserSession {
  readonly user: SignedInUser
  /** When the user signed in at Entra: seconds since the epoch. */
  readonly signedInAt: number
}

/** The sessions of all browsers. */
export interface BrowserSessions {
  /** The session of this browser, unless there is none or it has ended. @throws OAuthError 503 */
  read(browser: Browser): Promise<BrowserSession | undefined>
  /** Begins a session under a new id, for a user who has just signed in at Entra. @throws OAuthError 503 */
  begin(browser: Browser, user: SignedInUser): Promise<void>
}

/** Where the middlewares of one `entraAuth` find the sessions, whichever of them was made first. */
export interface AccountSlot {
  /** Whether the apps of users are noted: for the account routes, or because the operator wants it. */
  readonly keepsApps: boolean
  /** Undefined until an application mounts `accountRoutes`. */
  readonly sessions: BrowserSessions | undefined
  /** @throws TypeError the second time */
  mount(sessions: BrowserSessions): void
}

/** Makes an empty slot. @param alwaysKeepsApps whether apps are noted without account routes too */
export function accountSlot(alwaysKeepsApps = false): AccountSlot {
  let mounted: BrowserSessions | undefined
  return Object.freeze({
    get keepsApps() {
      return alwaysKeepsApps || mounted !== undefined
    },
    get sessions() {
      return mounted
    },
    mount(sessions: BrowserSessions) {
      if (mounted) throw new TypeError('accountRoutes: mount it once for each entraAuth')
      mounted = sessions
    },
  })
}
