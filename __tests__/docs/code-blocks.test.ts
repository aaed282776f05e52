/** Every block of code in the documentation: compiled, parsed or run. */
import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { type CodeBlock, readPages } from '../support/markdown.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = `${root}build/docs-blocks/`
const context = fileURLToPath(new URL('../support/docs/context.d.ts', import.meta.url))

/** TypeDoc's blocks are signatures and examples from the code, which the code's own tests hold. */
const blocks = readPages()
  .filter(({ path }) => path !== 'docs/options.md')
  .flatMap(({ blocks }) => blocks)
const of = (...languages: readonly string[]) =>
  blocks.filter(({ language }) => languages.includes(language))

describe('a block of code', () => {
  it('says what language it is in, and is in one that is looked at here', () => {
    const known = ['ts', 'js', 'sh', 'json', 'nginx', 'http', 'text']
    const wrong = blocks.filter(
      ({ language, info }) =>
        !known.includes(language) || !/^(?:|fragment|run|[\w-]+\.mjs)$/.test(info),
    )
    expect(wrong.map(({ at, language, info }) => `${at} ${language} ${info}`)).toEqual([])
    expect(of('ts').length).toBeGreaterThan(5)
    expect(of('sh').length).toBeGreaterThan(2)
  })
})

describe('TypeScript and JavaScript', () => {
  beforeAll(async () => {
    await rm(folder, { recursive: true, force: true })
    await mkdir(`${folder}fragments`, { recursive: true })
    await cp(context, `${folder}fragments/context.d.ts`)
  })

  it.each([
    ['whole programs in TypeScript', 'ts', '', []],
    ['fragments, which use what context.d.ts declares', 'ts', 'fragment', []],
    ['programs in JavaScript', 'js', '.mjs', ['--allowJs', '--checkJs']],
  ] as const)(
    '%s compile',
    async (_title, language, info, options) => {
      const chosen = of(language).filter((block) =>
        info === '.mjs' ? block.info.endsWith(info) : block.info === info,
      )
      expect(chosen.length).toBeGreaterThan(0)
      const files = await Promise.all(chosen.map((block) => writeBlock(block, info === 'fragment')))
      const given = info === 'fragment' ? [...files, `${folder}fragments/context.d.ts`] : files
      expect(await compile(given, options)).toBe('')
    },
    120_000,
  )

  it('would not compile with an option that does not exist', async () => {
    const file = `${folder}wrong.ts`
    await writeFile(file, "import { entraScopes } from 'mcp-entra'\nentraScopes({ nonsense: 1 })\n")
    expect(await compile([file], [])).toMatch(/nonsense/)
  }, 120_000)
})

describe('JSON', () => {
  it('is JSON', () => {
    for (const { text } of of('json')) expect(() => JSON.parse(text)).not.toThrow()
  })
})

describe('shell', () => {
  it.each(of('sh').map((block) => [block.at, block] as const))(
    '%s is read by bash',
    (_at, block) => {
      const { status, stderr } = spawnSync('bash', ['-n'], { input: block.text, encoding: 'utf8' })
      expect([status, stderr]).toEqual([0, ''])
    },
  )

  it('names scripts of package.json, and files that exist', async () => {
    const { scripts } = JSON.parse(await readFile(`${root}package.json`, 'utf8'))
    const bench = JSON.parse(await readFile(`${root}bench/package.json`, 'utf8')).scripts
    const missing = of('sh').flatMap(({ at, text }) => {
      const own = at.startsWith('bench/') ? bench : scripts
      const run = [...text.matchAll(/\bnpm( --prefix bench)? run (\w[\w:-]*\w)/g)]
        .filter(([, prefix, name = '']) => !(name in (prefix ? bench : own)))
        .map(([line]) => line)
      const files = [...text.matchAll(/\bnode (?:--\S+ )*((?:bench|docs|build|examples)\/\S+)/g)]
        .filter(([, path = '']) => !existsSync(root + path))
        .map(([line]) => line)
      return [...run, ...files].map((line) => `${at}: ${line}`)
    })
    expect(missing).toEqual([])
  })

  it.each(
    of('sh')
      .filter(({ info }) => info === 'run')
      .map((block) => [block.at, block] as const),
  )('%s runs', (_at, block) => {
    const { status, stdout } = spawnSync('bash', ['-e'], { input: block.text, encoding: 'utf8' })
    expect(status).toBe(0)
    expect(stdout).not.toBe('')
  })
})

/** Writes a block where the package's own name leads to what has been built. @returns the path */
async function writeBlock({ at, text, language }: CodeBlock, isFragment: boolean): Promise<string> {
  const name = at.replace(/[^\w]/g, '-') + (language === 'ts' ? '.ts' : '.mjs')
  const path = `${folder}${isFragment ? 'fragments/' : ''}${name}`
  await writeFile(path, `${text}\nexport {}\n`)
  return path
}

/** What the compiler says: nothing when all is well. */
async function compile(files: readonly string[], options: readonly string[]): Promise<string> {
  const args = [
    `${root}node_modules/typescript/bin/tsc`,
    '--noEmit',
    '--ignoreConfig',
    ...['--module', 'nodenext', '--target', 'es2023', '--types', 'node'],
    ...['--strict', '--skipLibCheck'],
    ...options,
    ...files,
  ]
  const ran = promisify(execFile)(process.execPath, args, { cwd: root })
  return ran.then(
    ({ stdout }) => stdout,
    ({ stdout }: { stdout: string }) => stdout,
  )
}
