/** Files that others replace under a running server: certificates, projected tokens. */
import { readFile, stat } from 'node:fs/promises'

interface Held<T> {
  readonly stamp: string
  readonly made: T
}

/**
 * Makes a function that tells what the files hold, made anew after one of them has changed. While they cannot
 * be read or make no sense together (half of a pair has been replaced), it is what they held before.
 *
 * @param first what they are known to hold, for when they cannot be read at first
 * @throws what reading or making threw (the function, as a rejection), when there is nothing from before
 */
export function freshFiles<T extends object | string>(
  paths: readonly string[],
  make: (texts: readonly string[]) => T,
  first?: T,
): () => Promise<T> {
  let last: Held<T> | undefined = first === undefined ? undefined : { stamp: '', made: first }
  let flight: Promise<T> | undefined

  async function look(): Promise<T> {
    try {
      // Before the contents: what changes in between is seen the next time.
      const stamp = await stampOf(paths)
      if (stamp !== last?.stamp) {
        const texts = await Promise.all(paths.map((path) => readFile(path, 'utf8')))
        const made = make(texts)
        last = { stamp, made }
      }
      return last.made
    } catch (error) {
      if (last) return last.made
      throw error
    }
  }

  return function current() {
    flight ??= look().finally(() => {
      flight = undefined
    })
    return flight
  }
}

async function stampOf(paths: readonly string[]): Promise<string> {
  const stats = await Promise.all(paths.map((path) => stat(path, { bigint: true })))
  return stats.map(({ ino, size, mtimeNs }) => `${ino} ${size} ${mtimeNs}`).join('\n')
}
