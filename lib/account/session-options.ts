/** The option `session` of `accountRoutes`: how long a browser stays signed in, and where that is kept. */

/**
 * A store of `express-session`, such as `RedisStore` of `connect-redis`. It gets the hash of a session's id, and a
 * sealed record: nobody who reads the store learns who is signed in.
 *
 * @see https://expressjs.com/en/resources/middleware/session.html#session-store-implementation
 */
export interface SessionStore {
  get(sid: string, callback: (error: unknown, session?: object | null) => void): unknown
  set(sid: string, session: object, callback?: (error?: unknown) => void): unknown
  destroy(sid: string, callback?: (error?: unknown) => void): unknown
}

/** Options of the browser session. Times are in seconds. */
export interface SessionOptions {
  /** Default: the `storage` of `entraAuth`. */
  readonly store?: SessionStore
  /** A session that is not used ends after this (default 900: 15 minutes). */
  readonly idle?: number
  /** A session ends this long after its sign-in, however much it is used (default 28,800: 8 hours). */
  readonly absolute?: number
}

/** How long a session lives, in seconds. */
export interface SessionLimits {
  readonly idle: number
  readonly absolute: number
}

/** @throws TypeError that names the option and the remedy */
export function readSessionOptions(given: SessionOptions = {}): SessionLimits & {
  readonly store: SessionStore | undefined
} {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw wrong('must be an object')
  const { store, idle = 900, absolute = 28_800, ...unknown } = given
  const [stray] = Object.keys(unknown)
  if (stray !== undefined) throw wrong(`has no option "${stray}": there are store, idle, absolute`)
  checkSeconds('idle', idle)
  checkSeconds('absolute', absolute)
  if (absolute < idle) throw wrong(`.absolute must be at least session.idle (${idle} seconds)`)
  if (store !== undefined) checkStore(store)
  return { store, idle, absolute }
}

function checkSeconds(name: string, seconds: unknown): void {
  if (typeof seconds === 'number' && seconds >= 1 && Number.isFinite(seconds)) return
  throw wrong(`.${name} must be a number of seconds, at least 1`)
}

function checkStore(store: SessionStore): void {
  for (const operation of ['get', 'set', 'destroy'] as const) {
    if (typeof store?.[operation] === 'function') continue
    throw wrong(
      `.store has no ${operation}(): give it a store of express-session, such as new RedisStore({ client }) of connect-redis`,
    )
  }
}

function wrong(what: string): TypeError {
  return new TypeError(`accountRoutes: session${what.startsWith('.') ? '' : ' '}${what}`)
}
