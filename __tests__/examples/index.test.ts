/** The index of the examples: it names each of them, and each says how to run it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'

const folder = new URL('../../examples/', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, folder), 'utf8')
const links = [...read('README.md').matchAll(/^\| \[[^\]]+\]\(([^)]+)\)/gm)].map(
  ([, link = '']) => link,
)

/** Each file of its own, and each folder that is one example. */
const examples = readdirSync(folder, { withFileTypes: true })
  .filter(({ name }) => /^[\w-]+(?:\.ts)?$/.test(name) && name !== 'azure')
  .map((entry) => entry.name)
  .concat(readdirSync(new URL('azure/', folder)).map((name) => `azure/${name}`))

describe('examples/README.md', () => {
  it('names every example, and no other', () => {
    expect(links.length).toBeGreaterThan(20)
    expect([...links].sort()).toEqual([...examples].sort())
    expect(links.filter((link) => !existsSync(new URL(link, folder)))).toEqual([])
  })

  it.each(links.filter((link) => link.endsWith('.ts')))('%s says how to run it', (link) => {
    const name = link.replace(/\.ts$/, '')
    const comment = read(link).slice(0, read(link).indexOf('*/'))
    expect(comment).toMatch(
      new RegExp(`\`[^\`]*npm run (?:example:${name}\\b|example:one build/examples/${name}\\.js)`),
    )
  })
})
