/** Directories for file storages that leave with their test, and a look into the file itself. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open } from 'lmdb'

/** Makes a directory for each call, and removes them all in the end. */
export function temporaryDirectories(): { make(): string; remove(): void } {
  const made: string[] = []
  return {
    make() {
      const directory = mkdtempSync(join(tmpdir(), 'mcp-entra-file-'))
      made.push(directory)
      return join(directory, 'state')
    },
    remove() {
      for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** How many records, and places in the order of expiry, the file holds: expired ones too. */
export async function counts(path: string): Promise<{ records: number; expiries: number }> {
  const root = open(path, { noSubdir: false, overlappingSync: false, eventTurnBatching: false })
  const count = (name: string) =>
    root.openDB(name, { encoding: 'binary', keyEncoding: 'binary' }).getKeysCount({})
  const held = { records: count('records'), expiries: count('expiries') }
  await root.close()
  return held
}
