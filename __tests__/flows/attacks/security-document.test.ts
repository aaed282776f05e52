/** SECURITY.md says which test shows what: every one of them is there. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const text = readFileSync(here('../../../SECURITY.md'), 'utf8')

interface Reference {
  readonly file: string
  readonly title: string
}

/** `file`: "title" */
function referencesIn(markdown: string): Reference[] {
  return [...markdown.matchAll(/`([\w/.-]+)`: "([^"]+)"/g)].map(([, file = '', title = '']) => ({
    file,
    title,
  }))
}

/** The source of a test file: a title stands in it as a whole string. */
function holds({ file, title }: Reference): boolean {
  const path = here(`../../${file}.test.ts`)
  if (!existsSync(path)) return false
  const source = readFileSync(path, 'utf8').replaceAll("\\'", "'")
  return ["'", '"', '`'].some((quote) =>
    source
      .split(`${quote}${title}${quote},`)
      .slice(0, -1)
      .some((before) => before.trimEnd().endsWith('(')),
  )
}

/** Rows of the tables of a section, heads and rules left out. */
function rowsOf(section: string): string[] {
  const start = text.indexOf(`## ${section}`)
  const rest = text.slice(start + 3)
  const end = rest.search(/\n#+ /)
  return rest
    .slice(0, end < 0 ? undefined : end)
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
}

const sections = [
  ['What is guaranteed', 15],
  ['Attacks, and what stops them', 40],
  ['MCP authorization, for servers', 35],
  ['RFC 9700 (OAuth 2.0 Security Best Current Practice)', 20],
] as const

describe('SECURITY.md', () => {
  it('names tests that exist, by file and title', () => {
    const references = referencesIn(text)
    expect(references.length).toBeGreaterThan(150)
    const missing = references.filter((reference) => !holds(reference))
    expect(missing).toEqual([])
  })

  it.each(sections)('has a test or a reason in every row of "%s"', (section, least) => {
    const rows = rowsOf(section)
    expect(rows.length).toBeGreaterThanOrEqual(least)
    const bare = rows.filter((row) => {
      const last = row.split(' | ').at(-1) ?? ''
      return referencesIn(last).length === 0 && !/^(?:Reason|Not applicable)\b/.test(last)
    })
    expect(bare).toEqual([])
  })

  it('speaks of every requirement on a server that the spec has', () => {
    const ids = rowsOf('MCP authorization, for servers').map((row) => row.split('|')[1] ?? '')
    const covered = new Set(
      ids.flatMap((cell) =>
        cell.split(',').flatMap((part) => {
          const [, kind = '', from = '', to = from] =
            /^\s*(RS|AS)(\d+)(?: to (?:RS|AS)(\d+))?\s*$/.exec(part) ?? []
          const count = Math.max(0, Number(to) - Number(from) + 1)
          return kind ? Array.from({ length: count }, (_, i) => `${kind}${Number(from) + i}`) : []
        }),
      ),
    )
    const all = [
      ...Array.from({ length: 25 }, (_, i) => `RS${i + 1}`),
      ...Array.from({ length: 24 }, (_, i) => `AS${i + 1}`),
    ]
    expect(all.filter((id) => !covered.has(id))).toEqual([])
  })

  it('would not do with a title that is nearly right', () => {
    const file = 'flows/attacks/security-document'
    expect(holds({ file, title: 'names tests that exist, by file and title' })).toBe(true)
    expect(holds({ file, title: 'names tests that exist' })).toBe(false)
    expect(holds({ file: 'flows/attacks/nowhere', title: 'x' })).toBe(false)
  })
})
