/** The whole journey with the real SDK clients, both generations. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { startWorld, type World } from './support/host.js'
import { postForm } from './support/oauth-client.js'
import { TestProvider } from './support/sdk-provider.js'

interface ToolResult {
  readonly isError?: boolean
  readonly content: readonly { readonly text: string }[]
}

/** What the journey needs of a client. */
interface Connection {
  tools(): Promise<readonly string[]>
  call(name: string, args?: Record<string, unknown>): Promise<ToolResult>
  close(): Promise<void>
}

interface Generation {
  readonly name: string
  connect(url: string, provider: TestProvider): Promise<Connection>
  finish(url: string, provider: TestProvider, answer: URLSearchParams): Promise<void>
}

const v1: Generation = {
  name: 'SDK v1',
  async connect(url, provider) {
    const client = new ClientV1({ name: 'journey', version: '1' })
    await client.connect(new TransportV1(new URL(`${url}/mcp`), { authProvider: provider }))
    return {
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      call: async (name, args = {}) =>
        (await client.callTool({ name, arguments: args })) as unknown as ToolResult,
      close: () => client.close(),
    }
  },
  async finish(url, provider, answer) {
    const transport = new TransportV1(new URL(`${url}/mcp`), { authProvider: provider })
    await transport.finishAuth(answer.get('code') ?? '')
  },
}

const v2: Generation = {
  name: 'SDK v2',
  async connect(url, provider) {
    const client = new ClientV2({ name: 'journey', version: '1' })
    await client.connect(new TransportV2(new URL(`${url}/mcp`), { authProvider: provider }))
    return {
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      call: async (name, args = {}) =>
        (await client.callTool({ name, arguments: args })) as unknown as ToolResult,
      close: () => client.close(),
    }
  },
  async finish(url, provider, answer) {
    const transport = new TransportV2(new URL(`${url}/mcp`), { authProvider: provider })
    await transport.finishAuth(answer)
  },
}

function read(result: ToolResult): unknown {
  expect(result.isError ?? false).toBe(false)
  return JSON.parse(result.content[0]?.text ?? '')
}

describe.each([v1, v2])('a real client ($name)', (generation) => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  })
  afterAll(() => world.close())

  async function signedIn(
    user: string,
  ): Promise<{ provider: TestProvider; connection: Connection }> {
    const provider = new TestProvider(user)
    await expect(generation.connect(world.url, provider)).rejects.toThrow()
    expect(provider.sentTo).toHaveLength(1)
    await generation.finish(world.url, provider, await provider.signIn())
    return { provider, connection: await generation.connect(world.url, provider) }
  }

  it('discovers, registers, logs in, steps up, goes to Graph, refreshes and is revoked', async () => {
    const { provider, connection } = await signedIn('ada@contoso.example')
    const [asked] = provider.sentTo
    expect(asked?.searchParams.get('scope')).toBe('notes.read')
    expect(asked?.searchParams.get('resource')).toBe(`${world.url}/mcp`)
    expect(await connection.tools()).toEqual(['whoami', 'list_notes', 'add_note', 'my_profile'])

    const who = read(await connection.call('whoami')) as {
      user: { username: string }
      client: string
    }
    expect(who.user.username).toBe('ada@contoso.example')
    expect(who.client).toBe(provider.clientInformation().client_id)
    expect(read(await connection.call('list_notes'))).toEqual([])
    expect(read(await connection.call('my_profile'))).toMatchObject({
      userPrincipalName: 'ada@contoso.example',
    })

    // The refused write: the client goes for the scopes of the challenge.
    await expect(connection.call('add_note', { text: 'first' })).rejects.toThrow()
    expect(provider.sentTo).toHaveLength(2)
    expect(provider.sentTo[1]?.searchParams.get('scope')?.split(' ').sort()).toEqual([
      'notes.read',
      'notes.write',
    ])
    await generation.finish(world.url, provider, await provider.signIn())
    expect(read(await connection.call('add_note', { text: 'first' }))).toEqual(['first'])
    expect(read(await connection.call('list_notes'))).toEqual(['first'])

    // A dead access token is refreshed without the user.
    const before = provider.tokens()
    provider.saveTokens({ ...before, access_token: 'no longer good' })
    expect(read(await connection.call('list_notes'))).toEqual(['first'])
    expect(provider.tokens().refresh_token).not.toBe(before.refresh_token)
    expect(provider.sentTo).toHaveLength(2)

    // Revocation ends it, and the next call starts over.
    const revoked = await postForm(`${world.url}/revoke`, {
      token: provider.tokens().refresh_token,
      client_id: provider.clientInformation().client_id,
    })
    expect(revoked.status).toBe(200)
    await new Promise((resolve) => setTimeout(resolve, 1050))
    await expect(connection.call('list_notes')).rejects.toThrow()
    expect(provider.sentTo).toHaveLength(3)
    await connection.close()
  })

  it('keeps two users apart at once', async () => {
    const [ada, bob] = await Promise.all([
      signedIn('ada@contoso.example'),
      signedIn('bob@contoso.example'),
    ])
    const rounds = Array.from({ length: 5 }, async () => {
      const [adaWho, bobWho, adaProfile, bobProfile] = await Promise.all([
        ada.connection.call('whoami'),
        bob.connection.call('whoami'),
        ada.connection.call('my_profile'),
        bob.connection.call('my_profile'),
      ])
      expect(read(adaWho)).toMatchObject({ user: { username: 'ada@contoso.example' } })
      expect(read(bobWho)).toMatchObject({ user: { username: 'bob@contoso.example' } })
      expect(read(adaProfile)).toMatchObject({ userPrincipalName: 'ada@contoso.example' })
      expect(read(bobProfile)).toMatchObject({ userPrincipalName: 'bob@contoso.example' })
    })
    await Promise.all(rounds)
    await Promise.all([ada.connection.close(), bob.connection.close()])
  })
})
