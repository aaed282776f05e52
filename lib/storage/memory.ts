/** The default store: this process's memory, bounded. Fine for one process; a restart signs users out. */
import { monotonicNow } from '../async/monotonic-now.js'
import type { Storage } from './storage.js'

/** Options of {@link memoryStorage}. */
export interface MemoryStorageOptions {
  /** Bytes of keys and values to hold at most (default 256 MiB). Past it the records written longest ago leave. */
  readonly maxBytes?: number
  /** The clock, in milliseconds. Default: one that only goes forward, whatever becomes of the time of day. */
  readonly now?: () => number
}

/** A {@link Storage} in memory, with a count of what it holds. */
export interface MemoryStorage extends Storage {
  /** Records held, expired ones not counted once swept. */
  readonly size: number
  /** Bytes held: keys, values and 100 per record for the map itself. */
  readonly bytes: number
}

interface Entry {
  readonly value: Uint8Array
  readonly expiresAt: number
}

/** Between two sweeps for expired records. */
const sweepMilliseconds = 30_000
const overhead = 100

/**
 * A store in this process's memory. Expired records leave on access and in a sweep every 30 seconds;
 * at the cap the records written longest ago leave first (those users sign in again: it fails closed).
 *
 * @throws TypeError for a `maxBytes` that is no positive number
 */
export function memoryStorage(options: MemoryStorageOptions = {}): MemoryStorage {
  const { maxBytes = 256 * 1024 * 1024, now = monotonicNow } = options
  if (!(maxBytes > 0)) {
    throw new TypeError('memoryStorage: maxBytes must be a positive number of bytes')
  }
  const entries = new Map<string, Entry>()
  let bytes = 0
  let sweepIsDue = false

  const drop = (key: string) => {
    const entry = entries.get(key)
    if (!entry) return undefined
    entries.delete(key)
    bytes -= cost(key, entry.value)
    return entry
  }
  const live = (key: string) => {
    const entry = entries.get(key)
    if (!entry || entry.expiresAt > now()) return entry
    drop(key)
    return undefined
  }
  const sweep = () => {
    const time = now()
    for (const [key, entry] of entries) if (entry.expiresAt <= time) drop(key)
    sweepIsDue = false
    if (entries.size > 0) scheduleSweep()
  }
  const scheduleSweep = () => {
    if (sweepIsDue) return
    sweepIsDue = true
    setTimeout(sweep, sweepMilliseconds).unref()
  }
  const write = (key: string, value: Uint8Array, ttlSeconds: number) => {
    if (cost(key, value) > maxBytes) throw new RangeError('memoryStorage: record over maxBytes')
    drop(key)
    entries.set(key, { value: Uint8Array.from(value), expiresAt: now() + ttlSeconds * 1000 })
    bytes += cost(key, value)
    for (const oldest of entries.keys()) {
      if (bytes <= maxBytes) break
      drop(oldest)
    }
    scheduleSweep()
  }

  return Object.freeze({
    async get(key: string) {
      return live(key)?.value.slice()
    },
    async set(key: string, value: Uint8Array, ttlSeconds: number) {
      write(key, value, ttlSeconds)
    },
    async add(key: string, value: Uint8Array, ttlSeconds: number) {
      if (live(key)) return false
      write(key, value, ttlSeconds)
      return true
    },
    async take(key: string) {
      return live(key) && drop(key)?.value
    },
    get size() {
      return entries.size
    },
    get bytes() {
      return bytes
    },
  })
}

function cost(key: string, value: Uint8Array): number {
  return key.length + value.length + overhead
}
