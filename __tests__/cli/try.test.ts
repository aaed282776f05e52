/** `mcp-entra try`, used by the real clients of both SDK generations. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { freePort } from '../../bench/free-port.js'
import { cli } from '../support/cli.js'
import { send } from '../support/http-server.js'
import { type Generation, generations, toolJson } from '../support/sdk-generations.js'
import { TestProvider } from '../support/sdk-provider.js'

interface Printed {
  readonly mcp: string
  readonly entra: string
  readonly graph: string
  readonly users: readonly string[]
  readonly environment: Readonly<Record<string, string>>
}

const interrupt = new AbortController()
let printed: Printed
let ended: ReturnType<typeof cli>
let url: string
beforeAll(async () => {
  await new Promise<void>((resolve) => {
    ended = cli(['try', '--port', '0', '--json'], {
      interrupted: interrupt.signal,
      onOutput: (text) => {
        printed = JSON.parse(text) as Printed
        resolve()
      },
    })
    ended.then(() => resolve())
  })
  url = printed.mcp.replace(/\/mcp$/, '')
})
afterAll(() => interrupt.abort())

async function signIn({ connect, finish }: Generation, provider: TestProvider): Promise<void> {
  await expect(connect(url, provider)).rejects.toThrow()
  await finish(url, provider, await provider.signIn())
}

describe.each(generations)('a client of $name', (generation) => {
  it('registers, signs in, and calls every tool', async () => {
    const provider = new TestProvider('ada@contoso.example')
    await signIn(generation, provider)
    const client = await generation.connect(url, provider)
    expect(await client.tools()).toEqual(['whoami', 'list_notes', 'add_note', 'my_profile'])
    expect(toolJson(await client.call('whoami'))).toMatchObject({
      user: { username: 'ada@contoso.example' },
      scopes: ['notes.read'],
    })
    expect(toolJson(await client.call('list_notes'))).toEqual([])
    expect(toolJson(await client.call('my_profile'))).toMatchObject({ displayName: 'Ada Lovelace' })
    await client.close()
  })

  it('steps up for add_note, and users have notes of their own', async () => {
    const user = generation.name === 'SDK v1' ? 'bob@contoso.example' : 'ada@contoso.example'
    const provider = new TestProvider(user)
    await signIn(generation, provider)
    const client = await generation.connect(url, provider)
    await expect(client.call('add_note', { text: 'milk' })).rejects.toThrow()
    expect(provider.sentTo.at(-1)?.searchParams.get('scope')).toContain('notes.write')
    await generation.finish(url, provider, await provider.signIn())
    const again = await generation.connect(url, provider)
    expect(toolJson(await again.call('add_note', { text: 'milk' }))).toEqual(['milk'])
    expect((await again.call('add_note', { text: '' })).isError).toBe(true)
    await client.close()
    await again.close()
  })
})

describe('try', () => {
  it('prints what a server of one’s own needs, and that works', async () => {
    const { environment, graph, users } = printed
    expect(users).toContain('ada@contoso.example')
    expect(environment).toMatchObject({ AZURE_AUTHORITY_HOST: printed.entra, GRAPH_URL: graph })
    const checked = await cli(['doctor', '--scope', 'notes.read'], {
      env: {
        ...environment,
        BASE_URL: 'http://localhost:3000',
        MCP_ENTRA_KEYS: 'qH2n8Yw0Vd6uEwZ3tXg5Lr1SkPb9Jc7M',
      },
    })
    expect(checked.code).toBe(0)
    expect((await cli(['doctor', printed.mcp])).code).toBe(0)
  })

  it.each([[{ host: 'evil.example' }], [{ origin: 'https://evil.example' }], [{ origin: 'null' }]])(
    'answers nobody but this machine: %j',
    async (headers) => {
      const { status } = await send(printed.mcp, { method: 'POST', headers }, ['{}'])
      expect(status).toBe(403)
    },
  )

  it.each([
    ['GET', {}, '', 405],
    ['POST', { 'content-type': 'application/json' }, '[]', 400],
    ['POST', { 'content-type': 'application/json' }, '{"jsonrpc":"2.0","id":1}', 400],
    [
      'POST',
      { 'content-type': 'application/json', 'mcp-protocol-version': '1999-01-01' },
      '{"jsonrpc":"2.0","id":1,"method":"ping"}',
      400,
    ],
    [
      'POST',
      { 'content-type': 'application/json' },
      '{"jsonrpc":"2.0","method":"notifications/initialized"}',
      202,
    ],
    [
      'POST',
      { 'content-type': 'application/json' },
      '{"jsonrpc":"2.0","id":1,"method":"constructor"}',
      200,
    ],
    [
      'POST',
      { 'content-type': 'application/json' },
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"toString"}}',
      200,
    ],
  ])('%s %j %s is answered with %i', async (method, headers, body, status) => {
    const provider = new TestProvider('ada@contoso.example')
    const [generation] = generations
    if (!generation) throw new Error('no generation')
    await signIn(generation, provider)
    const authorization = `Bearer ${provider.tokens().access_token}`
    const answer = await send(
      printed.mcp,
      { method, headers: { ...headers, authorization } },
      body ? [body] : [],
    )
    expect(answer.status).toBe(status)
    if (status === 200) expect(JSON.parse(answer.text)).toHaveProperty('error')
  })

  it('lets MCP Inspector in a browser in: preflight, challenge, and nothing of other sites', async () => {
    const origin = 'http://localhost:6274'
    const headers = {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,mcp-protocol-version',
    }
    const preflight = await send(printed.mcp, { method: 'OPTIONS', headers })
    expect(preflight.status).toBe(204)
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'authorization,mcp-protocol-version',
    })
    const challenged = await send(printed.mcp, { method: 'POST', headers: { origin } })
    expect(challenged.status).toBe(401)
    expect(challenged.headers['access-control-expose-headers']).toContain('WWW-Authenticate')
  })

  it('says which port is taken, and that there is another', async () => {
    const port = await freePort()
    const server = createServer().listen(port, '127.0.0.1')
    await once(server, 'listening')
    const { code, err } = await cli(['try', '--port', String(port)])
    server.close()
    expect(code).toBe(1)
    expect(err).toContain(`port ${port} is taken: choose another one with --port`)
  })

  it.each(['x', '-1', '65535'])('refuses the port %s', async (port) => {
    expect((await cli(['try', `--port=${port}`])).code).toBe(2)
  })

  it('prints URLs for people, and ends with Ctrl-C', async () => {
    const port = await freePort()
    const stop = new AbortController()
    const { code, out } = await cli(['try', '--port', String(port)], {
      interrupted: stop.signal,
      onOutput: () => setImmediate(() => stop.abort()),
    })
    expect(code).toBe(0)
    expect(out).toContain(`http://localhost:${port}/mcp`)
    expect(out).toContain(`AZURE_AUTHORITY_HOST=http://localhost:${port + 1}`)
    await expect(fetch(`http://localhost:${port}/mcp`)).rejects.toThrow()
  })

  it('ends, and leaves nothing open', async () => {
    interrupt.abort()
    expect((await ended).code).toBe(0)
    await expect(fetch(printed.entra)).rejects.toThrow()
  })
})
