/** The directory of the file storage: private to its user, on a local disk, and checked when the storage is made. */
import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readSync,
  realpathSync,
  statfsSync,
} from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * Makes the directory (0700) if there is none, and in it the two files of LMDB (0600), before LMDB makes them readable
 * for the whole group. What exists keeps its permissions, because somebody chose them.
 *
 * @returns the directory's real path, which is the same whichever links lead to it
 * @throws TypeError when the path is not a string, is or leads through a file, cannot be written or made, or is on a
 *   network file system
 */
export function prepareDirectory(path: unknown): string {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw new TypeError('fileStorage: path must name a directory, such as "/var/lib/my-mcp/state"')
  }
  const directory = resolve(path)
  const real = makeUsable(directory)
  const network = networkFileSystem(statfsSync(real).type)
  if (network) {
    throw new TypeError(
      `fileStorage: path is on a network file system (${network}: ${directory}), where neither the ` +
        'memory map nor the locks of LMDB hold; name a directory on a local disk, or use redisStorage',
    )
  }
  return real
}

function makeUsable(directory: string): string {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK)
    for (const file of ['data.mdb', 'lock.mdb']) makePrivately(join(directory, file))
    return realpathSync(directory)
  } catch (cause) {
    const { message } = cause as NodeJS.ErrnoException
    throw new TypeError(
      `fileStorage: path must be a directory this process may write or make: ${message}`,
      { cause },
    )
  }
}

/** LMDB treats an empty file as a new one. */
function makePrivately(file: string): void {
  closeSync(openSync(file, 'a', 0o600))
}

/** The `f_type` of statfs(2) for file systems that are certainly reached over a network. */
const networkFileSystems = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x5346414f, 'AFS'],
])

/** The name of a network file system, by the `type` of statfs. Azure Files is one of the SMB family. */
export function networkFileSystem(type: number): string | undefined {
  return networkFileSystems.get(type >>> 0)
}

const lmdbMagic = 0xbeefc0de
const lmdbFormat = 2

/**
 * Refuses a data file that LMDB did not write, because opening one ends the whole process with a segmentation fault in
 * the native code of `lmdb`. An empty file is a new one.
 *
 * @throws Error
 */
export function checkStoreFile(directory: string): void {
  const file = openSync(join(directory, 'data.mdb'), 'r')
  try {
    // A page header (24 bytes), the magic number and the version of the format, in the byte order of the machine.
    const header = new Uint32Array(8)
    if (readSync(file, header) === 0) return
    const [magic, format = 0] = header.subarray(6)
    if (magic === lmdbMagic && (format & 0xffff) === lmdbFormat) return
  } finally {
    closeSync(file)
  }
  throw new Error('data.mdb is not a file of LMDB, or of another format than this one reads')
}
