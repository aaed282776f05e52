/**
 * A cache that strangers can fill: bounded by its bytes, by its number of entries, or by both.
 *
 * Not the package `lru-cache`: version 11 publishes each key and value on the diagnostics channel `lru-cache:metrics`,
 * where anything in the process can subscribe, and some of these maps hold tokens.
 */

/** Values by key, the least recently used one first. */
export interface BoundedMap<V> extends Iterable<readonly [key: string, value: V]> {
  /** The value, which becomes the most recently used one. */
  get(key: string): V | undefined
  /** Keeps a value and drops the least recently used ones. A value larger than the whole map is not kept. */
  set(key: string, value: V): void
  delete(key: string): void
  /** How many values it holds. */
  readonly size: number
  /** Estimated bytes of all that it holds; 0 when bytes are not bounded. */
  readonly bytes: number
}

/** How much is kept. */
export type BoundedMapOptions<V> = EntryLimit | (ByteLimit<V> & Partial<EntryLimit>)

interface EntryLimit {
  readonly maxEntries: number
}

interface ByteLimit<V> {
  /** Bytes of all values and their keys together. */
  readonly maxBytes: number
  /** About how many bytes a value takes in memory. */
  readonly sizeOf: (value: V) => number
}

/** What an entry costs besides its key and value: its slot in the map, and the objects around them. */
const overhead = 256

/** Makes an empty map. */
export function boundedMap<V>(options: BoundedMapOptions<V>): BoundedMap<V> {
  const { maxEntries = Number.POSITIVE_INFINITY } = options
  const maxBytes = 'maxBytes' in options ? options.maxBytes : 0
  const bytesOf = (key: string, value: V) =>
    'maxBytes' in options ? overhead + textBytes(key) + options.sizeOf(value) : 0
  // A Map keeps the order of insertion, so re-inserting an entry makes it the most recently used one.
  const entries = new Map<string, { readonly value: V; readonly bytes: number }>()
  let bytes = 0

  function remove(key: string): void {
    bytes -= entries.get(key)?.bytes ?? 0
    entries.delete(key)
  }

  return Object.freeze({
    get(key: string) {
      const entry = entries.get(key)
      if (!entry) return undefined
      entries.delete(key)
      entries.set(key, entry)
      return entry.value
    },
    set(key: string, value: V) {
      remove(key)
      const entry = { value, bytes: bytesOf(key, value) }
      if (entry.bytes > maxBytes) return
      entries.set(key, entry)
      bytes += entry.bytes
      for (const oldest of entries.keys()) {
        if (bytes <= maxBytes && entries.size <= maxEntries) return
        remove(oldest)
      }
    },
    delete: remove,
    get size() {
      return entries.size
    },
    get bytes() {
      return bytes
    },
    *[Symbol.iterator]() {
      for (const [key, { value }] of entries) yield [key, value] as const
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
