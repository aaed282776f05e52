/**
 * `mcp-entra/file`: a durable store for one machine without Redis, in a directory of its own.
 *
 * The engine is LMDB (the package `lmdb`): a memory-mapped, copy-on-write B+tree in which a commit is one
 * write of the root page, so a process killed at any instant leaves the last commit standing and there is no
 * log to replay; several processes share it, readers never wait, and writers take turns at a lock that the
 * kernel takes back from a dead process. It comes prebuilt inside npm packages, so installing it downloads
 * nothing else and runs where scripts of packages are off. `node:sqlite` would cost users Node 22 and, there,
 * an experimental warning; `better-sqlite3` fetches its binary from GitHub at install or needs a compiler; and
 * both block the event loop while another process holds the lock.
 */
import type { Clock } from '../async/clock.js'
import { dropExpired, recordAt, replaceRecord } from './file-changes.js'
import { prepareDirectory } from './file-directory.js'
import {
  type FileEnvironment,
  type FileEnvironmentShare,
  shareEnvironment,
} from './file-environment.js'
import { newRecord, valueIn } from './file-record.js'
import { checkPeer } from './peer-package.js'
import type { Storage } from './storage.js'

/** Options of {@link fileStorage}. */
export interface FileStorageOptions {
  /**
   * The store's directory, on a local disk and for nothing else. It is made (0700) if there is none, and only this
   * user can read the files in it (0600).
   */
  readonly path: string
  /** The longest value in bytes (default 1 MiB): longer ones reject with a `RangeError`. */
  readonly maxValueBytes?: number
  /** The clock (default `Date.now`). All processes on one store need the same one. */
  readonly now?: Clock
}

/** A {@link Storage} in a file. */
export interface FileStorage extends Storage {
  /** Waits for the operations under way, then closes the file. Later operations reject. */
  close(): Promise<void>
}

/** Between two sweeps for expired records. */
const sweepMilliseconds = 30_000
/** How many expired records are dropped at a time; other writes go in between. */
const sweepBatch = 500

/**
 * A store in a directory of this machine, for any number of its processes (`node:cluster`) at once.
 *
 * **What is durable.** A write resolves after its transaction has been committed *and* flushed to the disk
 * (fdatasync): a killed process, a crashed kernel or a power cut loses nothing that was acknowledged, provided that
 * the disk flushes when it says so. A write that was under way has happened completely or not at all. Writes made at
 * the same time share one flush.
 *
 * **Space.** Expired records are dropped with every write and in a sweep every 30 seconds, oldest expiry first, and
 * their pages are used again. The file does not shrink: it stays as large as it once had to be.
 *
 * **Not on a network file system** (NFS, SMB, Azure Files, and so `/home` on App Service): LMDB needs a memory map
 * and reliable locks, which only a local disk gives. Known network file systems are refused. For several machines use
 * `redisStorage`. Do not copy the files while the store is in use: a backup must be made while it is closed.
 *
 * @throws TypeError for a wrong option, without the package `lmdb`, or for a `path` that is not a directory this process may write
 *
 * @example
 * ```ts
 * import { fileStorage } from 'mcp-entra/file' // and: npm i lmdb
 *
 * const auth = entraAuth({ ...options, storage: fileStorage({ path: '/var/lib/my-mcp/state' }) })
 * ```
 * @see http://www.lmdb.tech/doc/
 */
export function fileStorage(options: FileStorageOptions): FileStorage {
  const { path, maxValueBytes = 1024 * 1024, now = Date.now } = options
  if (!(Number.isSafeInteger(maxValueBytes) && maxValueBytes > 0)) {
    throw new TypeError('fileStorage: maxValueBytes must be a positive number of bytes')
  }
  checkPeer('fileStorage', 'lmdb')
  const store = openOnFirstUse(prepareDirectory(path), now)
  const live = (env: FileEnvironment, key: Buffer) => {
    const seen = recordAt(env, key)
    return seen && { seen, lives: seen.expiresAt > now() }
  }
  const record = (value: Uint8Array, ttlSeconds: number) =>
    newRecord(checkValue(value, maxValueBytes), now() + checkLifetime(ttlSeconds) * 1000)

  return Object.freeze({
    async get(key: string) {
      const name = keyBytes(key)
      return store.read((env) => {
        const found = live(env, name)
        return found?.lives ? valueIn(found.seen) : undefined
      })
    },
    async set(key: string, value: Uint8Array, ttlSeconds: number) {
      const name = keyBytes(key)
      const next = record(value, ttlSeconds)
      await store.write(async (env) => {
        while (!(await replaceRecord(env, name, recordAt(env, name), next)));
      })
    },
    async add(key: string, value: Uint8Array, ttlSeconds: number) {
      const name = keyBytes(key)
      const next = record(value, ttlSeconds)
      return store.write(async (env) => {
        for (;;) {
          const found = live(env, name)
          if (found?.lives) return false
          if (await replaceRecord(env, name, found?.seen, next)) return true
        }
      })
    },
    async take(key: string) {
      const name = keyBytes(key)
      return store.write(async (env) => {
        for (;;) {
          const found = live(env, name)
          if (!found?.lives) return undefined
          if (await replaceRecord(env, name, found.seen, undefined)) return valueIn(found.seen)
        }
      })
    },
    close: store.close,
  })
}

interface OpenStore {
  read<T>(operation: (env: FileEnvironment) => T): Promise<T>
  /** Also sweeps some expired records. */
  write<T>(operation: (env: FileEnvironment) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/** Opens the environment at the first operation, and sweeps it regularly until `close`. */
function openOnFirstUse(directory: string, now: Clock): OpenStore {
  const underWay = new Set<Promise<unknown>>()
  let share: Promise<FileEnvironmentShare> | undefined
  let timer: NodeJS.Timeout | undefined
  let sweeping = false
  let closed: Promise<void> | undefined

  const openOnce = async () => {
    share ??= shareEnvironment(directory)
    const asked = share
    try {
      const { environment } = await asked
      timer ??= setInterval(sweepAll, sweepMilliseconds).unref()
      return environment
    } catch (error) {
      // The next operation tries again.
      if (share === asked) share = undefined
      throw error
    }
  }
  const run = <T>(operation: (env: FileEnvironment) => T | Promise<T>): Promise<T> => {
    if (closed) return Promise.reject(new Error('fileStorage: the store has been closed'))
    const running = openOnce().then(operation)
    const done = () => underWay.delete(running)
    underWay.add(running)
    running.then(done, done)
    return running
  }
  /** One sweep at a time. Its errors are ignored: the next operation meets them and reports them to its caller. */
  const sweep = (work: (env: FileEnvironment) => Promise<unknown>) => {
    if (sweeping) return
    sweeping = true
    const done = () => {
      sweeping = false
    }
    run(work).then(done, done)
  }
  const sweepAll = () =>
    sweep(async (env) => {
      // Clears the slots of readers that were killed: they keep all pages freed since then from being used again.
      env.root.readerCheck()
      while ((await dropExpired(env, now(), sweepBatch)) === sweepBatch);
    })
  const shutDown = async () => {
    await Promise.allSettled(underWay)
    clearInterval(timer)
    await (await share?.catch(() => undefined))?.release()
  }

  return {
    read: run,
    write(operation) {
      const writing = run(operation)
      sweep((env) => dropExpired(env, now(), sweepBatch))
      return writing
    },
    close() {
      closed ??= shutDown()
      return closed
    },
  }
}

function keyBytes(key: string): Buffer {
  if (!/^[\0-\x7f]{1,128}$/.test(key)) {
    throw new RangeError('fileStorage: a key is 1 to 128 ASCII characters')
  }
  return Buffer.from(key, 'latin1')
}

function checkValue(value: Uint8Array, maxValueBytes: number): Uint8Array {
  if (value.length <= maxValueBytes) return value
  throw new RangeError(
    `fileStorage: the value has ${value.length} bytes, more than maxValueBytes (${maxValueBytes})`,
  )
}

function checkLifetime(ttlSeconds: number): number {
  if (ttlSeconds > 0 && Number.isFinite(ttlSeconds)) return ttlSeconds
  throw new RangeError('fileStorage: a lifetime is a positive number of seconds')
}
