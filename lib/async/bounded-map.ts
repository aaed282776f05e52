/**
 * A cache that strangers can fill: bounded by its bytes, by its number of entries, or by both.
 *
 * Not the package `lru-cache`: version 11 publishes each key and value on the diagnostics channel `lru-cache:metrics`,
 * where anything in the process can subscribe, and some of these maps hold tokens.
 */

/** Values by key. */
export interface BoundedMap<V> {
  get(key: string): V | undefined
  /**
   * Keeps a value. When there is no room, the oldest values that nobody has asked for are dropped. A value larger than
   * the whole map is not kept.
   */
  set(key: string, value: V): void
  delete(key: string): void
  /** How many values it holds. */
  readonly size: number
  /** Estimated bytes of all that it holds; 0 when bytes are not bounded. */
  readonly bytes: number
}

/** How much is kept, and for how long. */
export type BoundedMapOptions<V> = (EntryLimit | (ByteLimit<V> & Partial<EntryLimit>)) &
  Partial<Sweep<V>>

interface EntryLimit {
  readonly maxEntries: number
}

interface ByteLimit<V> {
  /** Bytes of all values and their keys together. */
  readonly maxBytes: number
  /** About how many bytes a value takes in memory. */
  readonly sizeOf: (value: V) => number
}

interface Sweep<V> {
  /**
   * Whether a value has had its time. Such values are dropped by a `set`, once a minute, so that those which nobody
   * asks for again do not stay.
   */
  readonly isOver: (value: V) => boolean
  /** Milliseconds on a clock that only goes forward. */
  readonly monotonic: () => number
}

interface Entry<V> {
  readonly value: V
  readonly bytes: number
  /** Whether somebody has asked for it since it came, or since it was last spared for that. */
  isUsed: boolean
}

/** What an entry costs besides its key and value: its slot in the map, and the objects around them. */
const overhead = 256
/** Values that one `set` spares at most: no `set` may go through a large map from end to end. */
const mostSpared = 100
/** Milliseconds between two sweeps. */
const sweepEvery = 60_000

/**
 * Makes an empty map. What is dropped is chosen by second chance (the clock algorithm): the oldest value that has not
 * been used since the last choice. A look-up then only sets a flag. True LRU would move the entry each time, which
 * costs more than the look-up itself; and values that are never used again push out none that are.
 */
export function boundedMap<V>(options: BoundedMapOptions<V>): BoundedMap<V> {
  const { maxEntries = Number.POSITIVE_INFINITY, isOver, monotonic = () => 0 } = options
  const maxBytes = 'maxBytes' in options ? options.maxBytes : 0
  const bytesOf = (key: string, value: V) =>
    'maxBytes' in options ? overhead + textBytes(key) + options.sizeOf(value) : 0
  // A Map keeps the order of insertion.
  const entries = new Map<string, Entry<V>>()
  let bytes = 0
  let nextSweep = monotonic() + sweepEvery

  function remove(key: string): void {
    bytes -= entries.get(key)?.bytes ?? 0
    entries.delete(key)
  }

  function sweep(): void {
    if (!isOver || monotonic() < nextSweep) return
    nextSweep = monotonic() + sweepEvery
    for (const [key, { value }] of entries) if (isOver(value)) remove(key)
  }

  function makeRoom(needed: number): void {
    let spared = 0
    for (const [key, entry] of entries) {
      if (bytes + needed <= maxBytes && entries.size < maxEntries) return
      remove(key)
      if (!entry.isUsed || spared === mostSpared) continue
      spared += 1
      entry.isUsed = false
      entries.set(key, entry)
      bytes += entry.bytes
    }
  }

  return Object.freeze({
    get(key: string) {
      const entry = entries.get(key)
      if (!entry) return undefined
      entry.isUsed = true
      return entry.value
    },
    set(key: string, value: V) {
      sweep()
      remove(key)
      const entry = { value, bytes: bytesOf(key, value), isUsed: false }
      if (entry.bytes > maxBytes) return
      makeRoom(entry.bytes)
      entries.set(key, entry)
      bytes += entry.bytes
    },
    delete: remove,
    get size() {
      return entries.size
    },
    get bytes() {
      return bytes
    },
  })
}

/** The most memory a text takes: two bytes for each UTF-16 unit. */
export function textBytes(text: string): number {
  return 2 * text.length
}

/** About how much memory a JSON value takes: its texts, and some bytes for every member and item. */
export function jsonBytes(value: unknown): number {
  if (typeof value === 'string') return 32 + textBytes(value)
  if (typeof value !== 'object' || value === null) return 16
  return Object.entries(value).reduce(
    (sum, [name, member]) => sum + textBytes(name) + jsonBytes(member),
    64,
  )
}
