/** A cache that strangers can fill: bounded by what it holds, not by how many things it holds. */

/** Values by key, the least recently used one first. */
export interface BoundedMap<V> {
  /** The value, which becomes the most recently used one. */
  get(key: string): V | undefined
  /** Keeps a value, and lets the least recently used ones go. One that is larger than the whole map is not kept. */
  set(key: string, value: V): void
  delete(key: string): void
  /** Bytes of all that is kept, as estimated. */
  readonly bytes: number
}

/** How much is kept. */
export interface BoundedMapOptions<V> {
  /** Bytes of all values and their keys together. */
  readonly maxBytes: number
  /** About how many bytes a value takes in memory. */
  readonly sizeOf: (value: V) => number
}

/** What an entry costs besides its key and value: the slot of the map, and the objects around them. */
const overhead = 256

/** Makes an empty one. */
export function boundedMap<V>({ maxBytes, sizeOf }: BoundedMapOptions<V>): BoundedMap<V> {
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
      const entry = { value, bytes: overhead + textBytes(key) + sizeOf(value) }
      if (entry.bytes > maxBytes) return
      entries.set(key, entry)
      bytes += entry.bytes
      for (const oldest of entries.keys()) {
        if (bytes <= maxBytes) return
        remove(oldest)
      }
    },
    delete: remove,
    get bytes() {
      return bytes
    },
  })
}

/** The most a text takes in memory: two bytes for each UTF-16 unit. */
export function textBytes(text: string): number {
  return 2 * text.length
}

/** About what a JSON value takes in memory: its texts, and some bytes for every member and item. */
export function jsonBytes(value: unknown): number {
  if (typeof value === 'string') return 32 + textBytes(value)
  if (typeof value !== 'object' || value === null) return 16
  return Object.entries(value).reduce(
    (sum, [name, member]) => sum + textBytes(name) + jsonBytes(member),
    64,
  )
}
