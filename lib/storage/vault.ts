/**
 * The vault: records named by the hash of the secret that redeems them and sealed under a key from that
 * secret and the key ring. A stolen store is useless without live tokens, and with the server's keys still.
 */
import { sha256 } from '../crypto/hashing.js'
import type { KeyRing } from '../crypto/key-ring.js'
import { open, seal } from '../crypto/sealing.js'
import { unavailable } from '../oauth/errors.js'
import type { Storage } from './storage.js'

/** A record as it was read: its value, and its bytes to see later whether it changed. */
export interface VaultRecord<T> {
  readonly value: T
  readonly raw: Uint8Array
}

/** One kind of record. `secret` is what redeems it; it is never stored. */
export interface VaultShelf<T> {
  read(secret: string): Promise<VaultRecord<T> | undefined>
  /** Like read, but gives `known` back without opening it when the bytes are the same. */
  reread(secret: string, known: VaultRecord<T>): Promise<VaultRecord<T> | undefined>
  write(secret: string, value: T, ttlSeconds: number): Promise<void>
  /** Writes only if there is none. */
  claim(secret: string, value: T, ttlSeconds: number): Promise<boolean>
  /** Reads and deletes: of any number of callers one gets it. */
  take(secret: string): Promise<T | undefined>
}

/** The store, seen through the key ring. */
export interface Vault {
  shelf<T>(kind: string): VaultShelf<T>
}

/** @throws nothing; its shelves reject with a 503 `OAuthError` when the store fails */
export function vault(storage: Storage, ring: KeyRing): Vault {
  return Object.freeze({ shelf: <T>(kind: string) => shelf<T>(storage, ring, kind) })
}

function shelf<T>(storage: Storage, ring: KeyRing, kind: string): VaultShelf<T> {
  const name = (secret: string) => `${kind}:${sha256(`${kind}\0${secret}`)}`
  const context = (secret: string) => ({ purpose: `vault ${kind}`, boundTo: name(secret), secret })
  const sealed = (secret: string, value: T) =>
    seal(ring, context(secret), Buffer.from(JSON.stringify(value)))
  const opened = (secret: string, raw: Uint8Array | undefined) => {
    const plain = raw && open(ring, context(secret), raw)
    return plain && { value: JSON.parse(plain.toString('utf8')) as T, raw: raw as Uint8Array }
  }
  return Object.freeze({
    async read(secret: string) {
      return opened(secret, await guarded(() => storage.get(name(secret))))
    },
    async reread(secret: string, known: VaultRecord<T>) {
      const raw = await guarded(() => storage.get(name(secret)))
      return raw && Buffer.compare(raw, known.raw) === 0 ? known : opened(secret, raw)
    },
    async write(secret: string, value: T, ttlSeconds: number) {
      await guarded(() =>
        storage.set(name(secret), sealed(secret, value), wholeSeconds(ttlSeconds)),
      )
    },
    async claim(secret: string, value: T, ttlSeconds: number) {
      return guarded(() =>
        storage.add(name(secret), sealed(secret, value), wholeSeconds(ttlSeconds)),
      )
    },
    async take(secret: string) {
      return opened(secret, await guarded(() => storage.take(name(secret))))?.value
    },
  })
}

/** A store that fails, in whichever way, is an outage and not an answer. */
async function guarded<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation()
  } catch (cause) {
    throw unavailable('The session store cannot be reached. Try again shortly.', cause)
  }
}

function wholeSeconds(seconds: number): number {
  return Math.max(1, Math.ceil(seconds))
}
