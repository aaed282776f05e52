/** Clients of both SDK generations that are connected in one line. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Client as ClientV2 } from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { type ConnectOptions, connect, SignInRefused } from 'mcp-entra/testing'
import { startWorld, type World } from '../../support/host.js'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const as = 'ada@contoso.example'

describe.each<[string, Partial<ConnectOptions>, typeof ClientV1 | typeof ClientV2]>([
  ['1', { sdk: 1 }, ClientV1],
  ['2', { sdk: 2 }, ClientV2],
  ['undefined', {}, ClientV2],
])('connect with sdk: %s', (_name, options, Class) => {
  it('returns a client of that generation that calls tools as the user', async () => {
    const client = await connect(`${world.url}/mcp`, { as, ...options })
    expect(client).toBeInstanceOf(Class)
    const { tools } = await client.listTools()
    expect(tools.map(({ name }) => name)).toContain('whoami')
    const { content, isError } = await client.callTool({ name: 'whoami' })
    expect(isError).toBeFalsy()
    expect(JSON.parse(content[0]?.text ?? '')).toMatchObject({ user: { username: as } })
    await client.close()
  })

  it('shows the server as it is: a tool that lacks a scope is a 403', async () => {
    const client = await connect(`${world.url}/mcp`, { as, ...options })
    const call = { name: 'add_note', arguments: { text: 'Buy milk' } }
    await expect(client.callTool(call)).rejects.toThrow(/insufficient.scope/i)
    await client.close()
    const writer = await connect(`${world.url}/mcp`, { as, scope: 'notes.write', ...options })
    const { content } = await writer.callTool(call)
    expect(JSON.parse(content[0]?.text ?? '')).toContain('Buy milk')
    await writer.close()
  })
})

describe('connect', () => {
  it('has all of a generation for those who name its type', async () => {
    const client = await connect<ClientV1>(`${world.url}/mcp`, { as, sdk: 1 })
    expect(client.getServerCapabilities()?.tools).toBeDefined()
    await client.close()
  })

  it('refuses as signIn does', async () => {
    const denied = connect(`${world.url}/mcp`, { as, consent: 'deny' })
    await expect(denied).rejects.toBeInstanceOf(SignInRefused)
  })
})
