/** The documentation as a whole: links lead somewhere, and nothing that can be set or imported is left out. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { readPages } from '../support/markdown.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const pages = readPages()
const handWritten = pages.filter(({ path }) => !/CHANGELOG|RESULTS|docs\/options/.test(path))

describe('links', () => {
  const inside = pages.flatMap((page) =>
    page.links
      .filter((link) => !/^[a-z]+:/.test(link))
      .map((link) => ({ from: page.path, link, ...target(page.path, link) })),
  )

  it('lead to files that exist', () => {
    expect(inside.length).toBeGreaterThan(50)
    const broken = inside.filter(({ path }) => !existsSync(root + path))
    expect(broken.map(({ from, link }) => `${from}: ${link}`)).toEqual([])
  })

  it('lead to headings that exist', () => {
    const broken = inside.filter(({ path, anchor }) => {
      const page = pages.find((page) => page.path === path)
      return anchor !== undefined && page !== undefined && !page.anchors.has(anchor)
    })
    expect(broken.map(({ from, link }) => `${from}: ${link}`)).toEqual([])
  })

  it('out of the repository are https', () => {
    const outside = handWritten.flatMap(({ path, links }) =>
      links.filter((link) => /^[a-z]+:/.test(link)).map((link) => `${path}: ${link}`),
    )
    expect(outside.filter((each) => !each.includes(': https://'))).toEqual([])
  })

  it('lead from README to every page of docs', () => {
    const linked = inside.filter(({ from }) => from === 'README.md').map(({ path }) => path)
    const docs = pages.map(({ path }) => path).filter((path) => path.startsWith('docs/'))
    expect(docs.filter((path) => !linked.includes(path))).toEqual([])
  })
})

describe('what the package exports', () => {
  const exported = readExports()
  const options = readFileSync(`${root}docs/options.md`, 'utf8')
  const told = handWritten.map(({ text }) => text).join('\n')
  const isTold = (name: string) => new RegExp(`(?<![\\w.])${name}(?!\\w)`).test(told)

  it('is found: values, types and options', () => {
    const names = exported.map(({ name }) => name)
    expect(names).toEqual(
      expect.arrayContaining(['entraAuth', 'EntraAuthOptions', 'redisStorage', 'startEntra']),
    )
    const auth = exported.find(({ name }) => name === 'EntraAuthOptions')
    expect(auth?.members).toEqual(expect.arrayContaining(['baseUrl', 'registration', 'clients']))
  })

  it('is in options.md', () => {
    const headings = new Set(
      [...options.matchAll(/^### (\w+)(?:\(\))?$/gm)].map(([, name = '']) => name),
    )
    expect(exported.map(({ name }) => name).filter((name) => !headings.has(name))).toEqual([])
  })

  it('is explained elsewhere too, if it can be called', () => {
    const callable = exported.filter(({ isValue }) => isValue).map(({ name }) => name)
    expect(callable.filter((name) => !isTold(name))).toEqual([])
  })

  it('has no option that only options.md knows', () => {
    const settings = exported.filter(
      ({ name, subpath }) =>
        subpath !== './testing' &&
        /(?:Options|^Lifetimes|^Downstream|^Requirement|^PreRegisteredClient)$/.test(name),
    )
    const untold = settings.flatMap(({ name, members }) =>
      members.filter((member) => !isTold(member)).map((member) => `${name}.${member}`),
    )
    expect(untold).toEqual([])
  })
})

function target(from: string, link: string): { path: string; anchor: string | undefined } {
  const [path = '', anchor] = link.split('#')
  return {
    path: path === '' ? from : posix.join(posix.dirname(from), decodeURI(path)),
    anchor,
  }
}

interface Export {
  readonly subpath: string
  readonly name: string
  readonly isValue: boolean
  /** Of an interface, its own and those it extends. */
  readonly members: readonly string[]
}

/** All exports of all subpaths, as the declarations have them that users get. */
function readExports(): readonly Export[] {
  const json = execFileSync(process.execPath, [`${root}docs/make/exports.js`], { encoding: 'utf8' })
  return JSON.parse(json) as Export[]
}
