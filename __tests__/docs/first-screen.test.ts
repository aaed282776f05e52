/** The server on README's first screen, as a newcomer pastes and runs it: a sign-in, and both of its tools. */
import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { startEntra } from 'mcp-entra/testing'
import type { Entra } from '../support/host.js'
import { readPages } from '../support/markdown.js'
import { ada, callMcp, login, toolText } from '../support/oauth-client.js'
import { environmentFor, killPrograms, printed, run } from '../support/programs.js'

const folder = fileURLToPath(new URL('../../build/first-screen/', import.meta.url))
const readme = readPages().find(({ path }) => path === 'README.md')
const server = readme?.blocks.find(({ info }) => info === 'server.mjs')

let entra: Entra
beforeAll(async () => {
  entra = await startEntra()
  await mkdir(folder, { recursive: true })
  await writeFile(`${folder}server.mjs`, server?.text ?? '')
})
afterEach(killPrograms)
afterAll(() => entra.close())

describe("README's first screen", () => {
  it('is a server to paste', () => {
    expect(server?.text).toMatch(/entraAuth\(/)
    expect(readme?.text.indexOf(server?.text ?? '?')).toBeLessThan(1500)
  })

  it('knows who is calling, and calls Graph on behalf of them', async () => {
    const env = await environmentFor(entra)
    const { url } = await printed(run([`${folder}server.mjs`], env), 'MCP server:')
    const { access_token } = await login(url)
    const call = async (name: string) =>
      toolText(await callMcp(url, access_token, 'tools/call', { name }))
    expect(await call('whoami')).toMatchObject({ oid: ada })
    expect(await call('my_profile')).toMatchObject({ id: ada })
  })

  it('says what is missing when nothing is set', async () => {
    const program = run([`${folder}server.mjs`], {})
    expect(await program.ended).toBe(1)
    expect(program.output()).toMatch(
      /TypeError: clientSecret: the secret is empty: give the "Value"/,
    )
  })
})
