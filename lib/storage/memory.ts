/** The default store: this process's memory, bounded. Fine for one process; a restart signs users out. */
import { monotonicNow } from '../async/monotonic-now.js'
import type { Storage } from './storage.js'

/** Options of {@link memoryStorage}. */
export interface MemoryStorageOptions {
  /** Most bytes of keys and values to hold (default 256 MiB). Beyond it, records are dropped: those that end soonest. */
  readonly maxBytes?: number
  /** A clock, in milliseconds. The default only goes forward, however the time of day is set. */
  readonly now?: () => number
}

/** A {@link Storage} in memory, with a count of what it holds. */
export interface MemoryStorage extends Storage {
  /** Records held, with expired ones that have not been swept yet. */
  readonly size: number
  /** Bytes held: keys, values and 100 per record for the map itself. */
  readonly bytes: number
}

interface Entry {
  readonly value: Uint8Array
  readonly expiresAt: number
  readonly list: List
}

/** Keys in the order they were written, with lifetimes of about the same length. */
interface List {
  readonly keys: Set<string>
  readonly isShort: boolean
  bytes: number
}

/** Between two sweeps for expired records. */
const sweepMilliseconds = 30_000
const overhead = 100
/** Longest life of what belongs to a sign-in or a refresh under way, in seconds. */
const longestShort = 1024
/** The part of the bytes that those may have. */
const shareOfShort = 1 / 4

/**
 * A store in this process's memory. Expired records are dropped on access and in a sweep every 30 seconds. When it is
 * full, the login that was used longest ago is dropped (that user has to sign in again). Sign-ins under way, and answers
 * kept to be repeated, are dropped only when they hold more than a quarter of the bytes, so that neither a flood of them
 * ends logins, nor a full store ends them: the ones with the least time left first.
 *
 * @throws TypeError for a `maxBytes` that is not a positive number
 */
export function memoryStorage(options: MemoryStorageOptions = {}): MemoryStorage {
  const { maxBytes = 256 * 1024 * 1024, now = monotonicNow } = options
  if (!(maxBytes > 0)) {
    throw new TypeError('memoryStorage: maxBytes must be a positive number of bytes')
  }
  const entries = new Map<string, Entry>()
  const lists = new Map<number, List>()
  let bytes = 0
  let sweepIsDue = false

  const count = (list: List, size: number) => {
    list.bytes += size
    bytes += size
  }
  const drop = (key: string) => {
    const entry = entries.get(key)
    if (!entry) return undefined
    entries.delete(key)
    entry.list.keys.delete(key)
    count(entry.list, -cost(key, entry.value))
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
  const listFor = (ttlSeconds: number) => {
    const length = Math.ceil(Math.log2(Math.max(1, ttlSeconds)))
    const list = lists.get(length) ?? newList(2 ** length <= longestShort)
    lists.set(length, list)
    return list
  }
  const dropSoonestToEnd = () => {
    const held = [...lists.values()].filter(({ keys }) => keys.size > 0)
    const short = held.filter(({ isShort }) => isShort)
    const long = held.filter(({ isShort }) => !isShort)
    const isShortOver = short.reduce((sum, list) => sum + list.bytes, 0) > maxBytes * shareOfShort
    const from = isShortOver || long.length === 0 ? short : long
    const firsts = from.flatMap(({ keys: [first] }) => (first === undefined ? [] : [first]))
    const endOf = (key: string) => entries.get(key)?.expiresAt ?? 0
    drop(firsts.reduce((soonest, key) => (endOf(key) < endOf(soonest) ? key : soonest)))
  }
  const write = (key: string, value: Uint8Array, ttlSeconds: number) => {
    const size = cost(key, value)
    if (size > maxBytes) throw new RangeError('memoryStorage: record over maxBytes')
    drop(key)
    while (bytes + size > maxBytes) dropSoonestToEnd()
    const list = listFor(ttlSeconds)
    const expiresAt = now() + ttlSeconds * 1000
    entries.set(key, { value: Uint8Array.from(value), expiresAt, list })
    list.keys.add(key)
    count(list, size)
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

function newList(isShort: boolean): List {
  return { keys: new Set(), isShort, bytes: 0 }
}

function cost(key: string, value: Uint8Array): number {
  return key.length + value.length + overhead
}
