/** What `lib/` is made of: `node __tests__/rooms.mjs [lib]` prints files and lines of each room, and the imports between them. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const lib = process.argv[2] ?? 'lib'
const files = readdirSync(lib, { recursive: true }).filter((path) => path.endsWith('.ts'))
const rooms = new Map()
const arrows = new Set()
for (const path of files) {
  const text = readFileSync(join(lib, path), 'utf8')
  const room = rooms.get(dirname(path)) ?? { room: dirname(path), files: 0, lines: 0 }
  rooms.set(room.room, {
    ...room,
    files: room.files + 1,
    lines: room.lines + text.split('\n').length - 1,
  })
  for (const [, target] of text.matchAll(/(?:from|import\() ?'(\.[^']+)'/g)) {
    const into = dirname(normalize(join(dirname(path), target)))
    if (into !== room.room) arrows.add(`${room.room} -> ${into}`)
  }
}
console.table([...rooms.values()].sort((a, b) => a.room.localeCompare(b.room)))
console.log(`${files.length} files, ${rooms.size} rooms, ${arrows.size} imports between them`)
