/** Optional packages that are missing: said when the store is made, with the command that installs them. */
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { checkPeer } from '../../lib/storage/peer-package.js'
import { testKeys } from '../support/auth-options.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Options of `entraAuth`, as code. */
const options = `{
  baseUrl: 'https://mcp.contoso.com', tenantId: 'contoso.com', clientId: 'a', credential: clientSecret('b'),
  scopes: entraScopes({ clientId: 'a', required: ['notes.read'] }), keys: ['${testKeys[0]}'],
}`

/** Resolves these packages and no other. */
const resolves =
  (...names: readonly string[]) =>
  (specifier: string) => {
    if (names.some((name) => specifier.startsWith(name))) return `file:///${specifier}`
    throw new Error(`Cannot find package '${specifier}'`)
  }

describe('a package that is needed', () => {
  it('is named with its command when it is missing', () => {
    expect(() => checkPeer('fileStorage', 'lmdb', resolves('mcp-entra'))).toThrow(
      new TypeError('fileStorage needs the package "lmdb", which is not installed: npm i lmdb'),
    )
  })

  it('is fine when it is there', () => {
    expect(() => checkPeer('fileStorage', 'lmdb', resolves('mcp-entra', 'lmdb'))).not.toThrow()
  })

  it('is left alone in an application that was bundled: its packages are in the bundle', () => {
    expect(() => checkPeer('fileStorage', 'lmdb', resolves())).not.toThrow()
  })
})

describe('an application without the optional packages', () => {
  let directory = ''
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'mcp-entra-peers-'))
    const installed = join(directory, 'node_modules/mcp-entra')
    cpSync(join(root, 'dist'), join(installed, 'dist'), { recursive: true })
    cpSync(join(root, 'package.json'), join(installed, 'package.json'))
    writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
    for (const name of ['@azure/msal-node', 'cookie', 'jose', 'undici']) link(name)
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  const link = (name: string) => {
    const place = join(directory, 'node_modules', name)
    mkdirSync(dirname(place), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), place)
  }

  /** Runs code there. @returns what it throws */
  async function messageOf(code: string): Promise<string> {
    const program = `try { ${code}; console.log('no error') } catch (error) { console.log(error.name + ': ' + error.message) }`
    const args = ['--input-type=module', '--eval', program]
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: directory })
    return stdout.trim()
  }

  it.each([
    [
      "const { redisStorage } = await import('mcp-entra/redis'); redisStorage({ url: 'redis://localhost' })",
      'TypeError: redisStorage with a url needs the package "redis", which is not installed: npm i redis',
    ],
    [
      "const { fileStorage } = await import('mcp-entra/file'); fileStorage({ path: './state' })",
      'TypeError: fileStorage needs the package "lmdb", which is not installed: npm i lmdb',
    ],
    [
      `const { accountRoutes } = await import('mcp-entra/account'); const { clientSecret, entraAuth, entraScopes } = await import('mcp-entra'); accountRoutes(entraAuth(${options}))`,
      'TypeError: accountRoutes needs the package "express-session", which is not installed: npm i express-session',
    ],
  ])('hears of it at start: %s', async (code, message) => {
    expect(await messageOf(code)).toBe(message)
  })

  it('may use a client of its own, and with the package a url', async () => {
    const own = "const { redisStorage } = await import('mcp-entra/redis');"
    const client = '{ isOpen: true, withCommandOptions: () => ({}) }'
    expect(await messageOf(`${own} redisStorage(${client})`)).toBe('no error')
    link('redis')
    expect(await messageOf(`${own} redisStorage({ url: 'redis://localhost' })`)).toBe('no error')
  })
})
