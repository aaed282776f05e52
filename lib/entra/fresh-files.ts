/** Files that others replace while the server runs: certificates, projected tokens. */
import { readFile, stat } from 'node:fs/promises'
import { singleFlight } from '../async/single-flight.js'

interface Version<T> {
  readonly stamp: string
  readonly value: T
}

/**
 * Makes a function that returns what was made from the files, and makes it again after one of them has changed. While
 * the files cannot be read or do not fit together (one half of a pair has been replaced), it returns the value from
 * before.
 *
 * @param first the value to begin with, for when the files cannot be read at first
 * @throws (the function it returns, as a rejection) what reading or making threw, when there is no value from before
 */
export function freshFiles<T extends object | string>(
  paths: readonly string[],
  make: (texts: readonly string[]) => T,
  first?: T,
): () => Promise<T> {
  const reads = singleFlight<T>()
  let last: Version<T> | undefined = first === undefined ? undefined : { stamp: '', value: first }

  async function readIfChanged(): Promise<T> {
    try {
      // The stamp comes before the contents, so that a change in between is seen the next time.
      const stamp = await stampOf(paths)
      if (stamp !== last?.stamp) {
        const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8')))
        last = { stamp, value: make(texts) }
      }
      return last.value
    } catch (error) {
      if (last) return last.value
      throw error
    }
  }

  return function readFresh() {
    return reads.run('files', readIfChanged)
  }
}

async function stampOf(paths: readonly string[]): Promise<string> {
  const stats = await Promise.all(paths.map((path) => stat(path, { bigint: true })))
  return stats.map(({ ino, size, mtimeNs }) => `${ino} ${size} ${mtimeNs}`).join('\n')
}
