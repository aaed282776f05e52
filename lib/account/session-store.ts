/** The store that `express-session` works with: limits of time, and an end that lasts, over the records. */
import { type SessionData, Store } from 'express-session'
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

/** Makes the store. */
export function sessionStore(options: SessionStoreOptions): Store {
  return new TimedStore(options)
}

/** `express-session` asks for a class of its own. */
class TimedStore extends Store {
  /** What was written of each session: `express-session` saves a new one once more when it sends the answer. */
  private readonly written = new WeakMap<object, string>()

  constructor(private readonly options: SessionStoreOptions) {
    super()
  }

  override get(id: string, done: Done<SessionData | null>): void {
    answer(done, this.read(id))
  }

  override set(id: string, session: Kept, done: Done = () => undefined): void {
    answer(done, this.write(id, session))
  }

  /** Notes that the session was used: without it the idle limit ends it. */
  override touch(id: string, session: Kept, done: Done = () => undefined): void {
    answer(done, this.write(id, session))
  }

  override destroy(id: string, done: Done = () => undefined): void {
    answer(done, this.end(id))
  }

  private async read(id: string): Promise<SessionData | null> {
    const { records, ended } = this.options
    const [record, isEnded] = await Promise.all([records.get(id), ended.has(id)])
    if (!record || isEnded || this.secondsLeft(record) <= 0) return null
    // The cookie of a session that goes on is not sent again, so it needs no attributes.
    return { ...record, cookie: {} } as Kept
  }

  private async write(id: string, session: Kept): Promise<void> {
    const { user, signedInAt, csrf } = session
    if (!user || signedInAt === undefined || csrf === undefined) return
    const record = { user, signedInAt, csrf, usedAt: Math.floor(this.options.now() / 1000) }
    const text = JSON.stringify(record)
    if (this.written.get(session) === text) return
    await this.options.records.set(id, record, Math.max(1, this.secondsLeft(record)))
    this.written.set(session, text)
  }

  private async end(id: string): Promise<void> {
    const { records, ended, absolute } = this.options
    await ended.set(id, true, absolute)
    await records.remove(id)
  }

  /** Until one of the two limits. */
  private secondsLeft({ signedInAt, usedAt }: SessionRecord): number {
    const { idle, absolute, now } = this.options
    return Math.min(usedAt + idle, signedInAt + absolute) - Math.floor(now() / 1000)
  }
}

function answer<T>(done: Done<T>, work: Promise<T>): void {
  work.then((result) => done(null, result), done)
}
