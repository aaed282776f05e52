/**
 * The tool guard in front of both SDK generations on versions of zod (v1 allows `^3.25 || ^4.0`, v2 `^4.2`, and an
 * override what it likes): those before 4.4 copy a `__proto__` key by key, and the server finds a name that the body
 * does not have.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from '@jest/globals'

interface Outcome {
  readonly status: number
  readonly ran: readonly string[]
}

const call = (params: string) => `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`
const listNotes = call('{"name":"list_notes"}')
const addNote = call('{"name":"add_note"}')
const proto = call('{"__proto__":{"name":"add_note","arguments":{}}}')
/** No body that a reader may send runs `add_note`, whatever the SDK makes of it. */
const attacks = [
  proto,
  `[${proto}]`,
  `[${listNotes},${proto}]`,
  call('{"\\u005f_proto__":{"name":"add_note"}}'),
  call('{"name":["add_note"]}'),
  call('{"name":{"__proto__":"add_note"}}'),
  call('{"name":"list_notes","__proto__":{"name":"add_note"}}'),
  '{"jsonrpc":"2.0","id":1,"__proto__":{"method":"tools/call","params":{"name":"add_note"}}}',
  '{"jsonrpc":"2.0","id":1,"method":"tools/call","__proto__":{"params":{"name":"add_note"}}}',
  '{"jsonrpc":"2.0","id":1,"method":["tools/call"],"params":{"name":"add_note"}}',
  `[[${addNote}]]`,
  '{"jsonrpc":"2.0","method":"tools/call","params":{"__proto__":{"name":"add_note"}}}',
]
const versions = [
  { zod: 'zod-3-25', copiesProto: true },
  { zod: 'zod-4-0', copiesProto: true },
  { zod: 'zod-4-3', copiesProto: true },
  { zod: 'zod', copiesProto: false },
]
const generations = ['v1', 'v2'].flatMap((generation) =>
  versions.map((version) => ({ generation, ...version })),
)

let report: Record<string, Outcome>

beforeAll(async () => {
  const script = fileURLToPath(new URL('./zod-versions.mjs', import.meta.url))
  const bodies = [listNotes, addNote, ...attacks]
  const { stdout } = await promisify(execFile)(process.execPath, [
    script,
    JSON.stringify({ generations, bodies }),
  ])
  report = JSON.parse(stdout) as Record<string, Outcome>
})

describe.each(generations)('SDK $generation on $zod', ({ generation, zod, copiesProto }) => {
  const outcome = (way: string, body: string) => report[`${generation} ${zod} ${way} ${body}`]

  it('runs the tools that a caller may call, and no other', () => {
    for (const way of ['guarded', 'parsed']) {
      expect(outcome(way, listNotes)).toEqual({ status: 200, ran: ['list_notes'] })
      expect(outcome(way, addNote)).toEqual({ status: 403, ran: [] })
    }
    expect(outcome('open', addNote)).toEqual({ status: 200, ran: ['add_note'] })
  })

  it(`${copiesProto ? 'does' : 'does not'} run a tool named by a __proto__ when nothing guards it`, () => {
    expect(outcome('open', proto)).toEqual({ status: 200, ran: copiesProto ? ['add_note'] : [] })
  })

  it.each(attacks)('runs nothing behind the guard for %s', (body) => {
    for (const way of ['guarded', 'parsed']) {
      expect(outcome(way, body)).toEqual({ status: 400, ran: [] })
    }
  })
})
