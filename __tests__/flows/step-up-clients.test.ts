/**
 * Step-up through real clients: the oldest SDK v1 with OAuth for this transport (1.10), today's, and SDK v2. Up to
 * 1.22 the SDK leaves a 403 to the application, which calls `auth()` as it does after a 401.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { auth as authV2 } from '@modelcontextprotocol/client'
import { auth as authV1 } from '@modelcontextprotocol/sdk/client/auth.js'
import { auth as authOldest } from 'mcp-sdk-1-10/client/auth.js'
import { Client as OldestClient } from 'mcp-sdk-1-10/client/index.js'
import { StreamableHTTPClientTransport as OldestTransport } from 'mcp-sdk-1-10/client/streamableHttp.js'
import { startWorld, type World } from '../support/host.js'
import {
  type Connection,
  type Generation,
  generations,
  type ToolResult,
  toolJson,
} from '../support/sdk-generations.js'
import { TestProvider } from '../support/sdk-provider.js'

const oldest: Generation = {
  name: 'SDK v1.10',
  async connect(url, provider) {
    const client = new OldestClient({ name: 'test', version: '1' })
    const transport = new OldestTransport(new URL(`${url}/mcp`), { authProvider: provider })
    // Its types do without `exactOptionalPropertyTypes`.
    await client.connect(transport as unknown as Parameters<OldestClient['connect']>[0])
    return {
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      call: async (name, args = {}) =>
        (await client.callTool({ name, arguments: args })) as unknown as ToolResult,
      close: () => client.close(),
    }
  },
  async finish(url, provider, answer) {
    const transport = new OldestTransport(new URL(`${url}/mcp`), { authProvider: provider })
    await transport.finishAuth(answer.get('code') ?? '')
  },
}

/** What an application does that wants its user to log in for more. */
const authorize: Readonly<
  Record<string, (provider: TestProvider, serverUrl: string) => Promise<string>>
> = {
  'SDK v1.10': (provider, serverUrl) => authOldest(provider, { serverUrl }),
  'SDK v1': (provider, serverUrl) =>
    authV1(provider, { serverUrl, scope: 'notes.read notes.write' }),
  'SDK v2': (provider, serverUrl) =>
    authV2(provider, { serverUrl, scope: 'notes.read notes.write' }),
}

async function signedIn(url: string, generation: Generation) {
  const provider = new TestProvider('ada@contoso.example')
  await expect(generation.connect(url, provider)).rejects.toThrow()
  await generation.finish(url, provider, await provider.signIn())
  return { provider, connection: await generation.connect(url, provider) }
}

const addNote = (connection: Connection, text: string) => connection.call('add_note', { text })

describe.each([oldest, ...generations])('$name', (generation) => {
  let plain: World
  let offering: World
  beforeAll(async () => {
    plain = await startWorld()
    offering = await startWorld({ offered: ['notes.write'] })
  })
  afterAll(async () => void (await Promise.all([plain.close(), offering.close()])))

  it('is sent to log in after a 403, keeps its tokens meanwhile, and then the call works', async () => {
    const { provider, connection } = await signedIn(plain.url, generation)
    const { access_token, refresh_token } = provider.tokens()
    await expect(addNote(connection, 'one')).rejects.toThrow()
    if (provider.sentTo.length === 1) {
      expect(await authorize[generation.name]?.(provider, `${plain.url}/mcp`)).toBe('REDIRECT')
    }
    expect(provider.sentTo).toHaveLength(2)
    expect(provider.tokens()).toMatchObject({ access_token, refresh_token })
    expect(toolJson(await connection.call('list_notes'))).toEqual([])
    provider.sentTo.at(-1)?.searchParams.set('scope', 'notes.read notes.write')
    await generation.finish(plain.url, provider, await provider.signIn())
    expect(toolJson(await addNote(connection, 'one'))).toEqual(['one'])
    await connection.close()
  })

  it('gets an offered scope at its first login, whatever it is told by and without a step-up', async () => {
    const { provider, connection } = await signedIn(offering.url, generation)
    expect(provider.tokens().scope).toBe('notes.read notes.write')
    expect(toolJson(await addNote(connection, 'one'))).toEqual(['one'])
    expect(provider.sentTo).toHaveLength(1)
    await connection.close()
  })
})
