/** The examples of servers in other frameworks and SDKs, run as a newcomer runs them, against one emulated Entra. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { connect, signIn, startEntra } from 'mcp-entra/testing'
import type { Entra } from '../support/host.js'
import { callMcp, challengeParams } from '../support/oauth-client.js'
import { environmentFor, killPrograms, type Program, printed, run } from '../support/programs.js'
import { send } from '../support/proxy.js'

let entra: Entra
beforeAll(async () => {
  entra = await startEntra()
})
afterEach(killPrograms)
afterAll(() => entra.close())

const as = 'ada@contoso.example'

async function start(name: string): Promise<Program> {
  return printed(run([`${name}.js`], await environmentFor(entra)), 'MCP server:')
}

async function whoami(url: string, sdk: 1 | 2 = 1): Promise<unknown> {
  const client = await connect(`${url}/mcp`, { as, sdk })
  const { content } = await client.callTool({ name: 'whoami' })
  await client.close()
  return JSON.parse(content[0]?.text ?? '')
}

describe.each(['sdk-v2', 'express-4', 'connect', 'fastify', 'hono', 'nestjs'])(
  'examples/%s',
  (name) => {
    it('asks for a token, and then knows who is calling', async () => {
      const { url } = await start(name)
      const challenge = await callMcp(url, 'none', 'tools/list')
      expect([challenge.status, challengeParams(challenge).scope]).toEqual([401, 'notes.read'])
      for (const sdk of [1, 2] as const)
        expect(await whoami(url, sdk)).toMatchObject({ username: as })
    })
  },
)

describe.each(['sdk-v2', 'fastify', 'hono', 'nestjs'])('the guard of examples/%s', (name) => {
  it('judges which tool is called, and hands the body on', async () => {
    const { url } = await start(name)
    const reader = await connect(`${url}/mcp`, { as })
    await expect(reader.callTool({ name: 'add_note' })).rejects.toThrow(/insufficient.scope/i)
    await reader.close()
    const writer = await connect(`${url}/mcp`, { as, scope: 'notes.read notes.write' })
    const { content } = await writer.callTool({ name: 'add_note' })
    expect(content).toEqual([{ type: 'text', text: '"written"' }])
    await writer.close()
  })

  it('leaves no other spelling of the path open', async () => {
    const { url } = await start(name)
    const { accessToken } = await signIn(`${url}/mcp`, { as })
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add_note' } }
    for (const path of [
      '/mcp',
      '//mcp',
      '/mcp/',
      '/%6dcp',
      '/MCP',
      '/mcp;a',
      '/./mcp',
      '/a/../mcp',
    ]) {
      for (const token of ['none', accessToken]) {
        const { status, body } = await send(url + path, {
          method: 'POST',
          headers: {
            authorization: `Bearer ${token}`,
            'content-type': 'application/json',
            accept: 'application/json, text/event-stream',
          },
          body: JSON.stringify(call),
        })
        expect([path, status, body.includes('written')]).toEqual([path, expect.any(Number), false])
        expect([401, 403, 404]).toContain(status)
      }
    }
  })
})

describe('examples/sdk-v2', () => {
  it.each<[string, object, string]>([
    ['2025', {}, 'legacy'],
    ['2026-07-28', { versionNegotiation: { mode: 'auto' } }, 'modern'],
  ])('serves clients of the era %s', async (_era, options, served) => {
    const { url } = await start('sdk-v2')
    const { accessToken } = await signIn(`${url}/mcp`, { as })
    const client = new Client({ name: 'test', version: '1' }, options)
    const headers = { authorization: `Bearer ${accessToken}` }
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers } }),
    )
    const { content } = await client.callTool({ name: 'whoami', arguments: {} })
    const [first] = content as { text: string }[]
    expect(JSON.parse(first?.text ?? '')).toMatchObject({ username: as, era: served })
    await client.close()
  })
})
