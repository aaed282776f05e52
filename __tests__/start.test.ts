/** What the package loads when it is imported, and what only when it is needed: a start is paid for each time. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from '@jest/globals'

const root = fileURLToPath(new URL('..', import.meta.url))

describe('importing the package', () => {
  it.each(['mcp-entra', 'mcp-entra/redis', 'mcp-entra/file', 'mcp-entra/account'])(
    '%s loads no client',
    async (name) => {
      const packages = packagesOf(await load(name))
      expect(packages.filter((one) => !['jose', 'cookie'].includes(one))).toEqual([])
    },
  )

  it('reads few files of its own', async () => {
    const own = (await load('mcp-entra')).filter((url) => url.includes('/dist/'))
    const ours = own.filter((url) => !url.includes('/node_modules/'))
    expect(ours.length).toBeGreaterThan(0)
    expect(ours.length).toBeLessThan(10)
  })

  it('is seen as it is: own files, modules, and CommonJS with all that it requires', async () => {
    const urls = await load('mcp-entra', 'express', 'undici')
    expect(urls.some((url) => url.endsWith('/dist/bundle/index.js'))).toBe(true)
    expect(packagesOf(urls)).toEqual(
      expect.arrayContaining(['jose', 'cookie', 'express', 'body-parser', 'undici']),
    )
  })
})

/** Imports packages in a process of its own. @returns the URL of each file that was loaded, as its debugger sees it */
async function load(...names: readonly string[]): Promise<readonly string[]> {
  const code = `
    import { Session } from 'node:inspector'
    const session = new Session()
    session.connect()
    const urls = []
    session.on('Debugger.scriptParsed', ({ params }) => urls.push(params.url))
    session.post('Debugger.enable')
    for (const name of ${JSON.stringify(names)}) await import(name)
    console.log(JSON.stringify(urls))
  `
  const args = ['--input-type=module', '--eval', code]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
  return JSON.parse(stdout) as readonly string[]
}

/** The packages that these files belong to. */
function packagesOf(urls: readonly string[]): readonly string[] {
  const names = urls.map((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1])
  return [...new Set(names)].filter((name) => name !== undefined)
}
