/** Clients of both SDK generations that are connected in one line. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
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

describe('connect, where', () => {
  it('only SDK v1 is installed, takes that', async () => {
    expect(await connectWithout(['@modelcontextprotocol/client'])).toBe('whoami')
  })

  it('neither is, says what to install', async () => {
    const without = ['@modelcontextprotocol/']
    expect(await connectWithout(without)).toBe(
      'connect: needs the MCP SDK: npm i -D @modelcontextprotocol/sdk',
    )
    expect(await connectWithout(without, { sdk: 2 })).toBe(
      'connect: needs the MCP SDK: npm i -D @modelcontextprotocol/client',
    )
  })
})

/** Connects in a process that finds no package whose name begins like this. @returns a tool, or what the error says */
async function connectWithout(prefixes: readonly string[], options: object = {}): Promise<string> {
  const hooks = `export async function resolve(name, context, next) {
    if (!${JSON.stringify(prefixes)}.some((prefix) => name.startsWith(prefix))) return next(name, context)
    throw Object.assign(new Error('Cannot find ' + name), { code: 'ERR_MODULE_NOT_FOUND' })
  }`
  const code = `
    import { register } from 'node:module'
    register('data:text/javascript,' + ${JSON.stringify(encodeURIComponent(hooks))})
    const { connect } = await import('mcp-entra/testing')
    const options = ${JSON.stringify({ as, ...options })}
    const told = await connect(${JSON.stringify(`${world.url}/mcp`)}, options)
      .then((client) => client.listTools())
      .then(({ tools }) => tools[0].name, (error) => error.message)
    console.log(told)
    process.exit()
  `
  const args = ['--input-type=module', '--eval', code]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root })
  return stdout.trim()
}

const root = fileURLToPath(new URL('../../..', import.meta.url))
