/**
 * The vault: records named by the hash of the secret that redeems them, and sealed under a key derived from that
 * secret and the key ring. A stolen store is useless without live tokens, even to a thief who has the server's keys.
 */
import { sha256 } from '../crypto/hashing.js'
import type { KeyRing } from '../crypto/key-ring.js'
import { open, seal } from '../crypto/sealing.js'
import { unavailable } from '../oauth/errors.js'
import type { Storage } from './storage.js'

/** A record as it was read. */
export interface VaultRecord<T> {
  readonly value: T
  /** Another one for every time that it was written: the tag of its box, which authenticates all of it. */
  readonly version: string
}

/**
 * One kind of record. `secret` is what redeems it; it is never stored. The operations are those of {@link Storage},
 * on values instead of bytes. A record sealed under a key that is not in the ring cannot be read.
 */
export interface VaultShelf<T> {
  get(secret: string): Promise<VaultRecord<T> | undefined>
  /** Like `get`, but when the record has not been written again it returns `known` itself, without opening it again. */
  getAgain(secret: string, known: VaultRecord<T>): Promise<VaultRecord<T> | undefined>
  /** Whether there is a record, even one that this server has no key to read. */
  has(secret: string): Promise<boolean>
  set(secret: string, value: T, ttlSeconds: number): Promise<void>
  /** Writes only if there is none: true for exactly one of any number of callers. */
  add(secret: string, value: T, ttlSeconds: number): Promise<boolean>
  /** Reads and deletes: exactly one of any number of callers gets it. */
  take(secret: string): Promise<T | undefined>
  /** Deletes: true for exactly one of any number of callers, also when this server has no key to read the record. */
  remove(secret: string): Promise<boolean>
  /** The name of the record in the store. It tells nothing of the secret, so it may be kept where that must not be. */
  nameOf(secret: string): string
  /** {@link VaultShelf.has}, for one who knows only the name. */
  hasNamed(name: string): Promise<boolean>
  /** {@link VaultShelf.remove}, for one who knows only the name. */
  removeNamed(name: string): Promise<boolean>
}

/**
 * Notes: short texts that are no secret, such as times. Their names are hashed like those of records, and they are not
 * sealed: they must count whatever keys this server has by then.
 */
export interface VaultNotes {
  get(subject: string): Promise<string | undefined>
  set(subject: string, text: string, ttlSeconds: number): Promise<void>
  /** Writes only if there is none: true for exactly one of any number of callers. */
  add(subject: string, text: string, ttlSeconds: number): Promise<boolean>
}

/** The store, seen through the key ring. */
export interface Vault {
  shelf<T>(kind: string): VaultShelf<T>
  notes(kind: string): VaultNotes
}

/** Never throws; its shelves reject with a 503 `OAuthError` when the store fails. */
export function vault(storage: Storage, ring: KeyRing): Vault {
  return Object.freeze({
    shelf: <T>(kind: string) => shelf<T>(storage, ring, kind),
    notes: (kind: string) => notes(storage, kind),
  })
}

function shelf<T>(storage: Storage, ring: KeyRing, kind: string): VaultShelf<T> {
  const purpose = `vault ${kind}`
  const name = (secret: string) => nameOf(kind, secret)
  const sealValue = (secret: string, boundTo: string, value: T) =>
    seal(ring, { purpose, boundTo, secret }, Buffer.from(JSON.stringify(value)))
  const hasNamed = async (key: string) => (await askStore(() => storage.get(key))) !== undefined
  const removeNamed = async (key: string) => (await askStore(() => storage.take(key))) !== undefined
  const openRecord = (secret: string, boundTo: string, raw: Uint8Array | undefined) => {
    const plain = raw && open(ring, { purpose, boundTo, secret }, raw)
    return plain && { value: JSON.parse(plain.toString('utf8')) as T, version: versionOf(raw) }
  }
  return Object.freeze({
    async get(secret: string) {
      const key = name(secret)
      return openRecord(secret, key, await askStore(() => storage.get(key)))
    },
    async getAgain(secret: string, known: VaultRecord<T>) {
      const key = name(secret)
      const raw = await askStore(() => storage.get(key))
      return raw && versionOf(raw) === known.version ? known : openRecord(secret, key, raw)
    },
    has: (secret: string) => hasNamed(name(secret)),
    async set(secret: string, value: T, ttlSeconds: number) {
      const key = name(secret)
      const box = sealValue(secret, key, value)
      await askStore(() => storage.set(key, box, wholeSeconds(ttlSeconds)))
    },
    async add(secret: string, value: T, ttlSeconds: number) {
      const key = name(secret)
      const box = sealValue(secret, key, value)
      return askStore(() => storage.add(key, box, wholeSeconds(ttlSeconds)))
    },
    async take(secret: string) {
      const key = name(secret)
      return openRecord(secret, key, await askStore(() => storage.take(key)))?.value
    },
    remove: (secret: string) => removeNamed(name(secret)),
    nameOf: name,
    hasNamed,
    removeNamed,
  })
}

function notes(storage: Storage, kind: string): VaultNotes {
  const name = (subject: string) => nameOf(kind, subject)
  return Object.freeze({
    async get(subject: string) {
      const raw = await askStore(() => storage.get(name(subject)))
      return raw && Buffer.from(raw).toString('utf8')
    },
    set: (subject: string, text: string, ttlSeconds: number) =>
      askStore(() => storage.set(name(subject), Buffer.from(text), wholeSeconds(ttlSeconds))),
    add: (subject: string, text: string, ttlSeconds: number) =>
      askStore(() => storage.add(name(subject), Buffer.from(text), wholeSeconds(ttlSeconds))),
  })
}

function nameOf(kind: string, secret: string): string {
  return `${kind}:${sha256(`${kind}\0${secret}`)}`
}

/** The last 16 bytes. Two boxes share them with a probability of 2^-128, so there is no need to keep all of one. */
function versionOf(raw: Uint8Array): string {
  return Buffer.from(raw.subarray(-16)).toString('latin1')
}

/** A store that rejects or throws is an outage, never taken for an answer. */
async function askStore<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (cause) {
    throw unavailable('The session store cannot be reached. Try again shortly.', cause)
  }
}

function wholeSeconds(seconds: number): number {
  return Math.max(1, Math.ceil(seconds))
}
