/** What is published: the files, what linters of packages say of them, and what package.json promises. */
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { publint } from 'publint'
import { type Packed, packInto, projectsFolder, readManifest } from '../support/fresh-project.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const manifest = await readManifest()

let folder: string
let packed: Packed
let paths: readonly string[]
beforeAll(async () => {
  folder = await projectsFolder()
  packed = await packInto(folder)
  paths = packed.files.map(({ path }) => path)
}, 60_000)
afterAll(() => rm(folder, { recursive: true }))

describe('the tarball', () => {
  it('holds every file that package.json names', () => {
    const targets = Object.values(manifest.exports).flatMap((target) =>
      typeof target === 'string' ? [target] : Object.values(target),
    )
    const named = [...targets, ...Object.values(manifest.bin ?? {})]
    expect(paths).toEqual(
      expect.arrayContaining(named.map((target) => target.replace(/^\.\//, ''))),
    )
  })

  it('holds licence, README and CHANGELOG, and nothing that is not meant for users', () => {
    expect(paths).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'CHANGELOG.md']))
    const places = /^(dist\/|LICENSE$|package\.json$|[A-Z]+\.md$)/
    expect(paths.filter((path) => !places.test(path))).toEqual([])
  })

  it('holds nothing of an older build: all that is in it has a source', async () => {
    const sources = await readdir(join(root, 'lib'), { recursive: true })
    const made = paths.filter(
      (path) => path.startsWith('dist/') && !path.startsWith('dist/bundle/'),
    )
    const sourceOf = (path: string) => path.slice('dist/'.length).replace(/(\.d)?\.[jt]s$/, '.ts')
    expect(made.length).toBeGreaterThan(0)
    expect(made.filter((path) => !sources.includes(sourceOf(path)))).toEqual([])
  })

  it('holds no source map, and no file points to one', async () => {
    expect(paths.filter((path) => path.endsWith('.map'))).toEqual([])
    const texts = await read(paths.filter((path) => path.startsWith('dist/')))
    expect(texts.filter(([, text]) => text.includes('sourceMappingURL'))).toEqual([])
  })

  it('shows nothing internal in its declarations', async () => {
    const texts = await read(paths.filter((path) => path.endsWith('.d.ts')))
    expect(texts.length).toBeGreaterThan(0)
    expect(texts.filter(([, text]) => text.includes('@internal'))).toEqual([])
    const entraAuth = texts.find(([path]) => path === 'dist/entra-auth.d.ts')?.[1]
    expect(entraAuth).toContain('interface EntraAuth')
    expect(entraAuth).not.toMatch(/Context/)
  })

  it('imports in its declarations only what its users have', async () => {
    const texts = await read(paths.filter((path) => path.endsWith('.d.ts')))
    const imported = texts.flatMap(([, text]) =>
      [...text.matchAll(/(?:from|import\()\s*['"]([^.'"][^'"]*)['"]/g)].map(([, name]) => name),
    )
    const { dependencies, peerDependencies } = manifest
    const known = ['mcp-entra', ...Object.keys(dependencies), ...Object.keys(peerDependencies)]
    const isKnown = (name = '') =>
      name.startsWith('node:') || known.some((one) => name === one || name.startsWith(`${one}/`))
    expect(imported.filter((name) => !isKnown(name))).toEqual([])
  })

  it('satisfies publint', async () => {
    const { messages } = await publint({ pack: { tarball: await data() }, strict: true })
    expect(messages).toEqual([])
  })

  it('satisfies are-the-types-wrong, as a package of modules alone', async () => {
    const result = await checkPackage(createPackageFromTarballData(new Uint8Array(await data())))
    if (!result.types) throw new Error('no types')
    // What its profile `esm-only` leaves out: TypeScript's old `node10`, which knows no `exports`, and TypeScript before
    // 5.8, which lets no CommonJS file require a module.
    const left = result.problems.filter(
      (problem) =>
        !('resolutionKind' in problem && /^node10|^node16-cjs/.test(problem.resolutionKind)),
    )
    expect(left).toEqual([])
    expect(Object.keys(result.entrypoints)).toEqual(Object.keys(manifest.exports))
  })
})

describe('package.json', () => {
  it('runs nothing on the machines of those who install', () => {
    const hooks = ['preinstall', 'install', 'postinstall', 'prepublish', 'preprepare', 'prepare']
    expect(Object.keys(manifest.scripts).filter((name) => hooks.includes(name))).toEqual([])
  })

  it('says whose it is, where it lives, and under which licence', async () => {
    for (const field of ['author', 'license', 'homepage', 'bugs', 'repository']) {
      expect([field, manifest[field]]).toEqual([field, expect.anything()])
    }
    const licence = await readFile(join(root, 'LICENSE'), 'utf8')
    expect(licence).toMatch(
      new RegExp(`^${manifest.license} License\n\nCopyright .* the mcp-entra`),
    )
  })
})

async function data(): Promise<ArrayBuffer> {
  const { buffer, byteOffset, byteLength } = await readFile(packed.tarball)
  return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer
}

/** Path and text of each. */
function read(names: readonly string[]): Promise<readonly (readonly [string, string])[]> {
  return Promise.all(
    names.map(async (path) => [path, await readFile(join(root, path), 'utf8')] as const),
  )
}
