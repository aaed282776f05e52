/**
 * What happens inside the file of the file storage: records are read, exchanged and swept.
 *
 * A change is a conditional block: LMDB's write thread takes the lock, checks that the record is still the one
 * that was seen, writes and commits, and none of it waits for JavaScript. (With the `transaction` of `lmdb`,
 * whose callback runs on the main thread while the lock is held, `process.exit()` at the wrong moment hangs for
 * ever, and all other processes with it.)
 */
import type { FileEnvironment } from './file-environment.js'
import { type FileRecord, keyAt, placeOf, readRecord, timeAt } from './file-record.js'

/** The record that has been committed by now, by any process, expired or not. */
export function recordAt(env: FileEnvironment, key: Buffer): FileRecord | undefined {
  // Without this, all reads of one turn of the event loop see what its first one saw.
  env.records.resetReadTxn()
  const bytes = env.records.getBinary(key)
  return bytes && readRecord(bytes)
}

/**
 * Puts `next`, or nothing, in the place of `seen`, or of nothing, in one transaction with the order of expiry.
 * Resolves when it is on the disk; exchanges that come together share that flush.
 *
 * @returns false when another record stands there by now, and nothing has been changed
 */
export function exchange(
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
  return committed(
    seen ? records.ifVersion(key, seen.version, change) : records.ifNoExists(key, change),
  )
}

/**
 * Drops records that have ended, the longest dead first, at most `limit` of them.
 *
 * @returns how many
 */
export async function dropExpired(
  env: FileEnvironment,
  time: number,
  limit: number,
): Promise<number> {
  const places = expired(env, time, limit)
  await Promise.all(
    places.map((place) => {
      const key = keyAt(place)
      const seen = recordAt(env, key)
      return seen && seen.expiresAt <= time
        ? exchange(env, key, seen, undefined)
        : committed(env.expiries.remove(place))
    }),
  )
  return places.length
}

/** The places of records that have ended. */
function expired({ expiries }: FileEnvironment, time: number, limit: number): Buffer[] {
  expiries.resetReadTxn()
  const places: Buffer[] = []
  for (const place of expiries.getKeys({ limit })) {
    const own = Buffer.from(place)
    if (timeAt(own) > time) break
    places.push(own)
  }
  return places
}

/** `lmdb` says that a commit failed at once, and why a moment later, in a promise that must not go unheard. */
async function committed(writing: Promise<boolean>): Promise<boolean> {
  try {
    return await writing
  } catch (error) {
    const { commitError } = error as { commitError?: Promise<never> }
    const cause = await commitError?.catch((reason: unknown) => reason)
    throw new Error('fileStorage: the write could not be committed', { cause: cause ?? error })
  }
}
