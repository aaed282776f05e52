/**
 * Where sessions are kept: in our own storage, or in the application's session store. Both name a record by the hash of
 * the session id and seal it under a key that needs the id itself, so neither can be read without the browser's cookie.
 */
import { withinDeadline } from '../async/deadline.js'
import { sha256 } from '../crypto/hashing.js'
import type { KeyRing } from '../crypto/key-ring.js'
import { openJson, sealJson } from '../crypto/sealing.js'
import type { SignedInUser } from '../login/browser-sessions.js'
import { unavailable } from '../oauth/errors.js'
import type { Vault } from '../storage/vault.js'
import type { SessionStore } from './session-options.js'

/** What is remembered of a session. */
export interface SessionRecord {
  readonly user: SignedInUser
  /** Seconds since the epoch. */
  readonly signedInAt: number
  /** Seconds since the epoch. */
  readonly usedAt: number
  /** The forms of this session carry it. */
  readonly csrf: string
}

/** Records by session id. Every operation rejects with a 503 `OAuthError` when the store fails. */
export interface SessionRecords {
  get(id: string): Promise<SessionRecord | undefined>
  set(id: string, record: SessionRecord, ttlSeconds: number): Promise<void>
  remove(id: string): Promise<void>
}

/** Records in our own storage. */
export function vaultRecords(vault: Vault): SessionRecords {
  const shelf = vault.shelf<SessionRecord>('session')
  return Object.freeze({
    get: async (id: string) => (await shelf.get(id))?.value,
    set: (id: string, record: SessionRecord, ttlSeconds: number) =>
      shelf.set(id, record, ttlSeconds),
    remove: async (id: string) => void (await shelf.remove(id)),
  })
}

/**
 * Records in a store of `express-session`. It takes the lifetime of a record from its `cookie.expires`.
 *
 * @param longestWait seconds that the store may take for one operation
 */
export function foreignRecords(
  store: SessionStore,
  ring: KeyRing,
  longestWait = 3,
): SessionRecords {
  const late = () => new Error(`the session store did not answer within ${longestWait} seconds`)
  const ask = <T = void>(operation: (done: Done<T>) => unknown) =>
    askStore(() => withinDeadline(longestWait, late, () => answerOf(operation)))
  const name = (id: string) => sha256(`session\0${id}`)
  const seal = (id: string) => ({ purpose: 'browser session', boundTo: name(id), secret: id })
  return Object.freeze({
    async get(id: string) {
      const kept = await ask<object | null | undefined>((done) => store.get(name(id), done))
      const { box } = (kept ?? {}) as { readonly box?: unknown }
      if (typeof box !== 'string') return undefined
      return openJson(ring, seal(id), box) as SessionRecord | undefined
    },
    async set(id: string, record: SessionRecord, ttlSeconds: number) {
      const originalMaxAge = ttlSeconds * 1000
      // The store's clock is that of the machine.
      const cookie = { originalMaxAge, expires: new Date(Date.now() + originalMaxAge) }
      const kept = { cookie, box: sealJson(ring, seal(id), record) }
      await ask((done) => store.set(name(id), kept, done))
    },
    remove: (id: string) => ask((done) => store.destroy(name(id), done)),
  })
}

type Done<T> = (error?: unknown, result?: T) => void

/** Stores of the past call back, and today's may reject as well. */
function answerOf<T>(operation: (done: Done<T>) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    const done: Done<T> = (error, result) => (error ? reject(error) : resolve(result as T))
    Promise.resolve(operation(done)).catch(reject)
  })
}

async function askStore<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (cause) {
    throw unavailable('The session store cannot be reached. Try again shortly.', cause)
  }
}
