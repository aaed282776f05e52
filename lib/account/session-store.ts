/** The store that `express-session` works with: limits of time, and an end that lasts, over the records. */
import type { SessionData, Store } from 'express-session'
import type { Clock } from '../async/clock.js'
import type { VaultShelf } from '../storage/vault.js'
import type { SessionLimits } from './session-options.js'
import type { SessionRecord, SessionRecords } from './session-records.js'

/** What the store is made with. */
export interface SessionStoreOptions extends SessionLimits {
  readonly records: SessionRecords
  /** Sessions that were ended: a request that began before must not bring one back when it is answered. */
  readonly ended: VaultShelf<true>
  readonly now: Clock
}

/** Anything that `express-session` keeps for a browser that is not signed in is not kept. */
type Kept = SessionData & Partial<SessionRecord>
type Done<T = void> = (error?: unknown, result?: T) => void

/**
 * Makes the function that gives a bare store of `express-session` its operations. The package itself is not needed
 * here.
 */
export function sessionStore(options: SessionStoreOptions): (bare: Store) => Store {
  const { records, ended, absolute, idle, now } = options
  /** What was written of each session: `express-session` saves a new one once more when it sends the answer. */
  const written = new WeakMap<object, string>()

  /** Until one of the two limits. */
  const secondsLeft = ({ signedInAt, usedAt }: SessionRecord): number =>
    Math.min(usedAt + idle, signedInAt + absolute) - Math.floor(now() / 1000)

  async function read(id: string): Promise<SessionData | null> {
    const [record, isEnded] = await Promise.all([records.get(id), ended.has(id)])
    if (!record || isEnded || secondsLeft(record) <= 0) return null
    // The cookie of a session that goes on is not sent again, so it needs no attributes.
    return { ...record, cookie: {} } as Kept
  }

  async function write(id: string, session: Kept): Promise<void> {
    const { user, signedInAt, csrf } = session
    if (!user || signedInAt === undefined || csrf === undefined) return
    const record = { user, signedInAt, csrf, usedAt: Math.floor(now() / 1000) }
    const text = JSON.stringify(record)
    if (written.get(session) === text) return
    await records.set(id, record, Math.max(1, secondsLeft(record)))
    written.set(session, text)
  }

  /**
   * The mark ends it, and lasts as long as the record could count. So a record that cannot be removed is no failure:
   * otherwise who signs out would hear of one, and could not try again without a session.
   */
  async function end(id: string): Promise<void> {
    await ended.set(id, true, absolute)
    await records.remove(id).catch(() => undefined)
  }

  const set = (id: string, session: Kept, done: Done = () => undefined): void =>
    answer(done, write(id, session))
  return (bare) =>
    Object.assign(bare, {
      get: (id: string, done: Done<SessionData | null>): void => answer(done, read(id)),
      set,
      /** Notes that the session was used: without it the idle limit ends it. */
      touch: set,
      destroy: (id: string, done: Done = () => undefined): void => answer(done, end(id)),
    })
}

function answer<T>(done: Done<T>, work: Promise<T>): void {
  work.then((result) => done(null, result), done)
}
