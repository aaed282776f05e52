/**
 * The packed declarations in projects of TypeScript 5.4 to 7, with nobody's declarations skipped: beside both SDKs, beside
 * Express 4 and Connect, and with nothing beside them but Node's.
 */
import { readFile, rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  describeWithRegistry,
  type FreshProject,
  freshProject,
  ownVersion,
  packInto,
  projectsFolder,
  readManifest,
  subpathsOf,
} from '../support/fresh-project.js'

const types = fileURLToPath(new URL('../types', import.meta.url))

/** The lowest, and the last of each major: the SDKs' own declarations take long, and are left out with one of them. */
const compilers = { '5.4': '5.4.5', '5.9': '5.9.3', '6.0': '6.0.3', '7.0': '7.0.2' }
const besideSdks = ['5.4', '6.0', '7.0'].flatMap((name) => [
  ['v1', name] as const,
  ['v2', name] as const,
])
/** The first here that lets a CommonJS file `require` modules is 5.9. */
const requiring = ['5.9', '6.0', '7.0']

/** Each compiler under a name of its own. */
const typescripts = Object.fromEntries(
  Object.entries(compilers).map(([name, exact]) => [
    `typescript-${name}`,
    `npm:typescript@${exact}`,
  ]),
)

/** As `__tests__/types/` has it, as far as 5.4 knows it. */
const options = {
  target: 'es2022',
  module: 'nodenext',
  moduleResolution: 'nodenext',
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  noEmit: true,
}

const subpaths = subpathsOf(await readManifest())
const config = (files: readonly string[], lib: readonly string[] = ['es2023']) =>
  JSON.stringify({ compilerOptions: { ...options, lib }, files })

/** A file that uses everything that can be imported, as a module and as CommonJS. */
const all = `export const all = [${subpaths.map((_name, at) => `of${at}`)}]
`
const imports = subpaths
  .map(
    (name, at) => `import * as of${at} from '${name}'
`,
  )
  .join('')
const requires = subpaths
  .map(
    (name, at) => `import of${at} = require('${name}')
`,
  )
  .join('')
const own = {
  'imports.ts': imports + all,
  'requires.cts': requires + all,
  'own-5.4.json': config(['imports.ts']),
  'own.json': config(['imports.ts', 'requires.cts']),
}

describeWithRegistry('the declarations, installed', () => {
  let folder: string
  let tarball: string
  beforeAll(async () => {
    folder = await projectsFolder()
    tarball = (await packInto(folder)).tarball
  }, 60_000)
  afterAll(() => rm(folder, { recursive: true }))

  describe('beside', () => {
    let project: FreshProject
    beforeAll(async () => {
      const names = [
        ...['@modelcontextprotocol/sdk', '@modelcontextprotocol/server', 'express', 'zod'],
        ...['@modelcontextprotocol/express', '@modelcontextprotocol/node'],
        ...['@types/express', '@types/node'],
        ...['express-session', '@types/express-session', 'connect-redis', 'redis'],
      ]
      const versions = await Promise.all(names.map(async (name) => [name, await ownVersion(name)]))
      const servers = ['v1', 'v2'].map(async (sdk) => [
        `${sdk}.ts`,
        await readFile(`${types}/${sdk}/server.ts`, 'utf8'),
      ])
      project = await freshProject(tarball, {
        dependencies: { ...typescripts, ...Object.fromEntries(versions) },
        files: {
          ...Object.fromEntries(await Promise.all(servers)),
          // SDK v1 needs the library `dom` (`HeadersInit`).
          'v1.json': config(['v1.ts'], ['es2023', 'dom']),
          'v2.json': config(['v2.ts']),
        },
      })
    }, 120_000)

    it.each(besideSdks)(
      'SDK %s and Express compile with TypeScript %s',
      async (sdk, name) => {
        const compiler = `node_modules/typescript-${name}/bin/tsc`
        expect(await project.run('node', [compiler, '-p', `${sdk}.json`])).toBe('')
      },
      120_000,
    )
  })

  describe('beside Express 4 and Connect', () => {
    let project: FreshProject
    beforeAll(async () => {
      project = await freshProject(tarball, {
        dependencies: {
          ...typescripts,
          '@types/express': '4.17.13',
          '@types/connect': await ownVersion('@types/connect'),
          '@types/node': await ownVersion('@types/node'),
        },
        files: {
          'frameworks.ts': await readFile(`${types}/older/frameworks.ts`, 'utf8'),
          'tsconfig.json': config(['frameworks.ts']),
        },
      })
    }, 120_000)

    it.each(Object.keys(compilers))(
      'compile with TypeScript %s',
      async (name) => {
        expect(await project.run('node', [`node_modules/typescript-${name}/bin/tsc`])).toBe('')
      },
      120_000,
    )
  })

  describe('alone, with the library of ECMAScript and no optional peer,', () => {
    let project: FreshProject
    beforeAll(async () => {
      const dependencies = { ...typescripts, '@types/node': await ownVersion('@types/node') }
      project = await freshProject(tarball, { dependencies, files: own })
    }, 120_000)

    it.each(Object.keys(compilers))(
      'compile with TypeScript %s',
      async (name) => {
        const compiler = `node_modules/typescript-${name}/bin/tsc`
        const which = requiring.includes(name) ? 'own.json' : 'own-5.4.json'
        expect(await project.run('node', [compiler, '-p', which])).toBe('')
      },
      120_000,
    )
  })
})
