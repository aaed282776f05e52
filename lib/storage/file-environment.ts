/** The LMDB environment behind the file storage: loaded on first use, opened once per process and directory. */
import type { Database, RootDatabase } from 'lmdb'
import { checkStoreFile } from './file-directory.js'

/** An open environment. Keys are bytes; both databases change in the same transactions. */
export interface FileEnvironment {
  readonly root: RootDatabase
  /** By key: when the record ends, its version, and its value. */
  readonly records: Database<Buffer, Uint8Array>
  /** By time of expiry and key; the values are empty. */
  readonly expiries: Database<Buffer, Uint8Array>
}

/** A share of an environment. */
export interface FileEnvironmentShare {
  readonly environment: FileEnvironment
  /** Gives the share back; the last one closes the environment. */
  release(): Promise<void>
}

interface Shared {
  readonly opened: Promise<FileEnvironment>
  shares: number
}

const environmentOptions = {
  noSubdir: false,
  // A commit is acknowledged when fdatasync(2) has returned, not before.
  overlappingSync: false,
  // If this is on, all writes of a turn of the event loop are one block, and the write thread may wait for it with the
  // lock held: `process.exit()` in that turn hangs for ever. And when the commit fails (a full disk), a promise that
  // nobody can reach rejects, which ends the process.
  eventTurnBatching: false,
}

const shared = new Map<string, Shared>()
/** Opening waits while the directory is being closed, so that there are never two handles on one environment. */
const closing = new Map<string, Promise<void>>()

/**
 * A share of the environment in this directory, which the first call opens.
 *
 * @throws Error when `lmdb` is not installed or the files are not LMDB's; the next call tries again
 */
export async function shareEnvironment(directory: string): Promise<FileEnvironmentShare> {
  const held = shared.get(directory) ?? { opened: open(directory), shares: 0 }
  shared.set(directory, held)
  held.shares += 1
  const release = () => giveBack(directory, held)
  try {
    return { environment: await held.opened, release }
  } catch (error) {
    await release()
    throw error
  }
}

async function giveBack(directory: string, held: Shared): Promise<void> {
  held.shares -= 1
  if (held.shares > 0) return
  shared.delete(directory)
  const closed = held.opened.then(
    ({ root }) => root.close(),
    () => {},
  )
  closing.set(directory, closed)
  await closed
  if (closing.get(directory) === closed) closing.delete(directory)
}

async function open(directory: string): Promise<FileEnvironment> {
  await closing.get(directory)
  const lmdb = await loadLmdb()
  try {
    checkStoreFile(directory)
    const root = lmdb.open(directory, environmentOptions)
    const options = { encoding: 'binary', keyEncoding: 'binary' } as const
    return {
      root,
      records: root.openDB<Buffer, Uint8Array>('records', { ...options, useVersions: true }),
      expiries: root.openDB<Buffer, Uint8Array>('expiries', options),
    }
  } catch (cause) {
    throw new Error(`fileStorage: the store in ${directory} cannot be opened`, { cause })
  }
}

async function loadLmdb(): Promise<typeof import('lmdb')> {
  try {
    return await import('lmdb')
  } catch (cause) {
    throw new Error('fileStorage needs the package "lmdb": npm i lmdb', { cause })
  }
}
