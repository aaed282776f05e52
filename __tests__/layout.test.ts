/** The floors of DESIGN section 2: what may import what. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'

const lib = join(dirname(fileURLToPath(import.meta.url)), '..', 'lib')

/**
 * Top to bottom; rooms of one floor do not see each other. The root files are the room ''. `account` is an entry of its
 * own, `mcp-entra/account`: it takes what `entraAuth` returns, and nothing below it may load `express-session`.
 */
const floors = [
  ['cli'],
  ['account'],
  [''],
  ['setup'],
  ['gate', 'routes'],
  ['login', 'pages'],
  ['entra', 'tokens'],
  ['http', 'storage'],
  ['oauth'],
  ['async', 'crypto'],
]

interface Import {
  readonly specifier: string
  readonly how: 'type' | 'static' | 'dynamic'
}

interface Source {
  /** Path inside lib, with slashes. */
  readonly path: string
  readonly room: string
  readonly text: string
  readonly imports: readonly Import[]
}

const sources: readonly Source[] = readdirSync(lib, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((name) => {
    const path = relative(lib, join(lib, name)).replaceAll('\\', '/')
    const text = readFileSync(join(lib, name), 'utf8')
    return { path, room: roomOf(path), text: withoutComments(text), imports: importsOf(text) }
  })

interface Arrow extends Pick<Import, 'how'> {
  readonly from: string
  readonly room: string
  readonly ours: boolean
  readonly target: string
  readonly into: string | undefined
}

/** Every import as `file -> what it names`: of our own files their path inside lib, of packages the specifier. */
const arrows: readonly Arrow[] = sources.flatMap(({ path, room, imports }) =>
  imports.map(({ specifier, how }) => {
    const ours = specifier.startsWith('.')
    const target = ours ? posix.join(posix.dirname(path), specifier) : specifier
    return { from: path, room, how, ours, target, into: ours ? roomOf(target) : undefined }
  }),
)

describe('the layout of lib', () => {
  it('is read as it is: every file, and every form of import', () => {
    expect(sources.length).toBeGreaterThan(60)
    expect(arrows.length).toBeGreaterThan(200)
    const text = [
      "import a from 'a'",
      'import {',
      '  type B,',
      "} from './b.js'",
      "import type { C } from 'c'",
      "export * from 'd'",
      "export type { E } from 'e'",
      "import 'f'",
      "const g = await import('g')",
      "const g2 = await import(\n  'g2'\n)",
      "let h: import('h').H",
      "let i: typeof import('i')",
      "// import 'no'",
      "/** import('no') */",
    ].join('\n')
    expect(importsOf(text).map(({ specifier, how }) => `${how} ${specifier}`)).toEqual([
      'static a',
      'static ./b.js',
      'type c',
      'static d',
      'type e',
      'static f',
      'dynamic g',
      'dynamic g2',
      'type h',
      'type i',
    ])
  })

  it('has no rooms but those of the design', () => {
    const rooms = new Set(sources.map(({ room }) => room))
    expect([...rooms].sort()).toEqual([...floors.flat(), 'testing'].sort())
  })

  it('lets imports go down or sideways inside a folder, never up', () => {
    const floorOf = (room: string) => floors.findIndex((rooms) => rooms.includes(room))
    const wrong = arrows.filter(({ room, into }) => {
      if (into === undefined || room === 'testing' || into === 'testing' || into === room)
        return false
      return floorOf(into) <= floorOf(room)
    })
    expect(shown(wrong)).toEqual([])
  })

  it('has no circle of imports, types included', () => {
    const targets = new Map(
      sources.map(({ path }) => [
        path,
        arrows
          .filter(({ from, ours }) => ours && from === path)
          .map(({ target }) => target.replace(/\.js$/, '.ts')),
      ]),
    )
    const done = new Set<string>()
    const circles: string[] = []
    const visit = (path: string, trail: readonly string[]) => {
      if (trail.includes(path))
        circles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '))
      else if (!done.has(path))
        for (const next of targets.get(path) ?? []) visit(next, [...trail, path])
      done.add(path)
    }
    for (const { path } of sources) visit(path, [])
    expect(circles).toEqual([])
  })

  it('imports only files that exist', () => {
    const paths = new Set(sources.map(({ path }) => path))
    const wrong = arrows.filter(
      ({ ours, target }) => ours && !paths.has(target.replace(/\.js$/, '.ts')),
    )
    expect(shown(wrong)).toEqual([])
  })

  it('keeps testing apart: nobody but the command imports it, and it imports no more than oauth and crypto', () => {
    // The contract suite for other people's stores needs to say what a store is: the interface, no code.
    const contract = ({ how, target }: Arrow) => how === 'type' && target === 'storage/storage.js'
    const wrong = arrows.filter((arrow) =>
      arrow.room === 'testing'
        ? arrow.into !== undefined &&
          !['testing', 'oauth', 'crypto'].includes(arrow.into) &&
          !contract(arrow)
        : arrow.into === 'testing' && arrow.room !== 'cli',
    )
    expect(shown(wrong)).toEqual([])
  })

  it('keeps Entra out of oauth, http, crypto and storage', () => {
    const entra = /^(?:entra\/|@azure\/)/
    const below = ['oauth', 'http', 'crypto', 'storage']
    const wrong = arrows.filter(({ room, target }) => below.includes(room) && entra.test(target))
    expect(shown(wrong)).toEqual([])
  })

  it('keeps the command to itself: nobody imports it, and nobody else its argument parser', () => {
    const wrong = arrows.filter(
      ({ room, into, target }) => room !== 'cli' && (into === 'cli' || target === 'commander'),
    )
    expect(shown(wrong)).toEqual([])
    expect(arrows.some(({ target }) => target === 'commander')).toBe(true)
  })

  it('knows no Express anywhere: not in entra, and nowhere but as a type elsewhere', () => {
    const express = /^(?:express|express-serve-static-core|connect)(?:$|\/)/
    const wrong = arrows.filter(
      ({ room, how, target }) => express.test(target) && (room === 'entra' || how !== 'type'),
    )
    expect(shown(wrong)).toEqual([])
  })

  it('loads the Azure packages and undici lazily, and imports nothing but types of them otherwise', () => {
    const heavy = /^(?:@azure\/|undici$)/
    const wrong = arrows.filter(({ how, target }) => heavy.test(target) && how === 'static')
    expect(shown(wrong)).toEqual([])
    for (const name of ['@azure/msal-node', 'undici']) {
      expect(arrows.some(({ how, target }) => target === name && how === 'dynamic')).toBe(true)
    }
  })

  it('reads no environment variable, but for the file that hands it to the command', () => {
    const readers = sources.filter(
      ({ room, path, text }) =>
        room !== 'testing' &&
        path !== 'cli/main.ts' &&
        (/\bprocess\s*(?:\?\.|\.)\s*env\b/.test(text) ||
          /\benv\b[^'"`]*\bfrom 'node:process'/.test(text)),
    )
    expect(readers.map(({ path }) => path)).toEqual([])
  })
})

function roomOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] ?? '') : ''
}

function shown(list: readonly { from: string; target: string }[]): string[] {
  return list.map(({ from, target }) => `${from} -> ${target}`)
}

/** Line comments count only after a blank or at the start of a line, so that `https://` in a text is none. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}

function importsOf(text: string): Import[] {
  const pattern =
    /^(?:import|export)\s+(type\s+)?[\w*{][^'"`;=]*?\bfrom\s+'([^']+)'|^import\s+'([^']+)'|(\bawait\s+|\breturn\s+|=>\s*|=\s*|[([,]\s*)?\bimport\(\s*'([^']+)'\s*,?\s*\)/gm
  return [...withoutComments(text).matchAll(pattern)].map(
    ([, type, from, bare, called, inside]) => {
      if (inside !== undefined)
        return { specifier: inside, how: called === undefined ? 'type' : 'dynamic' }
      return { specifier: from ?? bare ?? '', how: type === undefined ? 'static' : 'type' }
    },
  )
}
