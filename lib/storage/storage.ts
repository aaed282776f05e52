/** What a store must do for us: four atomic operations on one key each. */

/**
 * A shared store. Keys are ASCII, at most 128 characters; values are bytes. Every record has a lifetime, and no
 * operation touches more than one key. An operation that cannot be carried out rejects, which becomes a 503. It must
 * never resolve as if there were no record.
 */
export interface Storage {
  /** The record's bytes, or undefined when there is none or its lifetime is over. */
  get(key: string): Promise<Uint8Array | undefined>
  /** Writes the record, and overwrites one that is there. `ttlSeconds` is at least 1. */
  set(key: string, value: Uint8Array, ttlSeconds: number): Promise<void>
  /** Writes the record only if there is none: true for exactly one of any number of callers. */
  add(key: string, value: Uint8Array, ttlSeconds: number): Promise<boolean>
  /** Reads and deletes the record in one step: its bytes go to exactly one of any number of callers. */
  take(key: string): Promise<Uint8Array | undefined>
}
