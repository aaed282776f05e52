/**
 * What happens inside the file of the file storage: records are read, replaced and swept.
 *
 * A change is a conditional block: LMDB's write thread takes the lock, checks that the record is still the one
 * that was seen, writes and commits, and none of it waits for JavaScript. (With the `transaction` of `lmdb`,
 * whose callback runs on the main thread while the lock is held, `process.exit()` at the wrong moment hangs for
 * ever, and all other processes with it.)
 */
import type { FileEnvironment } from './file-environment.js'
import { type FileRecord, keyAt, placeOf, readRecord, timeAt } from './file-record.js'

/** The record as last committed by any process, expired or not. */
export function recordAt(env: FileEnvironment, key: Buffer): FileRecord | undefined {
  // Without this, all reads in one turn of the event loop see what the first of them saw.
  env.records.resetReadTxn()
  const bytes = env.records.getBinary(key)
  return bytes && readRecord(bytes)
}

/**
 * Replaces the record `seen` with `next`, and keeps the order of expiry in step, in one transaction. Without `seen`
 * there must be no record; without `next` the record is removed. Resolves when the change is on the disk; changes made
 * at the same time share that flush.
 *
 * @returns false when another record is there by now, and nothing has been changed
 */
export function replaceRecord(
  { records, expiries }: FileEnvironment,
  key: Buffer,
  seen: FileRecord | undefined,
  next: FileRecord | undefined,
): Promise<boolean> {
  const change = () => {
    if (seen) expiries.remove(placeOf(seen, key))
    if (!next) return records.remove(key)
    records.put(key, next.bytes, next.version)
    return expiries.put(placeOf(next, key), Buffer.alloc(0))
  }
  return commit(
    seen ? records.ifVersion(key, seen.version, change) : records.ifNoExists(key, change),
  )
}

/**
 * Drops at most `limit` expired records, in the order in which they expired.
 *
 * @returns how many
 */
export async function dropExpired(
  env: FileEnvironment,
  time: number,
  limit: number,
): Promise<number> {
  const places = findExpired(env, time, limit)
  await Promise.all(
    places.map((place) => {
      const key = keyAt(place)
      const seen = recordAt(env, key)
      return seen && seen.expiresAt <= time
        ? replaceRecord(env, key, seen, undefined)
        : commit(env.expiries.remove(place))
    }),
  )
  return places.length
}

/** The places of expired records. */
function findExpired({ expiries }: FileEnvironment, time: number, limit: number): Buffer[] {
  expiries.resetReadTxn()
  const places: Buffer[] = []
  for (const place of expiries.getKeys({ limit })) {
    const own = Buffer.from(place)
    if (timeAt(own) > time) break
    places.push(own)
  }
  return places
}

/** `lmdb` reports a failed commit at once, and its cause a moment later in a promise that has to be handled. */
async function commit(writing: Promise<boolean>): Promise<boolean> {
  try {
    return await writing
  } catch (error) {
    const { commitError } = error as { commitError?: Promise<never> }
    const cause = await commitError?.catch((reason: unknown) => reason)
    throw new Error('fileStorage: the write could not be committed', { cause: cause ?? error })
  }
}
