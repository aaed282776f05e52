/** What Entra wants of a user reaches them in the session of their client (SEP-1036): the tool call itself asks. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import {
  ElicitRequestSchema,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/sdk/types.js'
import {
  createMcpHandler,
  McpServer,
  UrlElicitationRequiredError as RequiredV2,
} from '@modelcontextprotocol/server'
import {
  askUser,
  downstreamCredential,
  downstreamToken,
  oauthRoutes,
  oboToken,
  requireBearer,
} from 'mcp-entra'
import { mailRead, userRead } from '../support/downstream-host.js'
import { startGate } from '../support/gate.js'
import { type Entra, type Listening, startWorld, type World } from '../support/host.js'
import { startTestEntra } from '../support/proxy.js'
import { type ToolResult, toolJson } from '../support/sdk-generations.js'
import { TestProvider } from '../support/sdk-provider.js'

const adaName = 'ada@contoso.example'
const info = { name: 'test', version: '1' }
const capabilities = { elicitation: { url: {} } }

/** A host on SDK v2, for both revisions: one tool whose API is exchanged before it runs, and one that asks itself. */
async function startV2Host(entra: Entra): Promise<Listening> {
  const handler = createMcpHandler(() => {
    const server = new McpServer(info)
    server.registerTool('my_profile', { description: 'Profile' }, async ({ http }) => ({
      content: [
        { type: 'text', text: JSON.stringify(await downstreamToken(http?.authInfo, 'graph')) },
      ],
    }))
    server.registerTool('my_mail', { description: 'Mail' }, async (ctx) => {
      try {
        const { token } = await downstreamCredential(ctx.http?.authInfo).getToken(mailRead)
        return { content: [{ type: 'text', text: JSON.stringify(token) }] }
      } catch (error) {
        return askUser(error, ctx, RequiredV2)
      }
    })
    return server
  })
  const mcp = toNodeHandler(handler)
  return startGate(entra, {
    mount(app, auth) {
      app.use(oauthRoutes(auth))
      app.all(
        '/mcp',
        requireBearer(auth),
        oboToken(auth, { graph: { scopes: [userRead], tools: ['my_profile'] } }),
        (req, res) => mcp(req, res, req.body),
      )
    },
  })
}

/** A user's client that has signed in, and shows URLs. */
interface Session {
  call(name: string): Promise<ToolResult>
  close(): Promise<void>
}

async function signedIn(url: string): Promise<TestProvider> {
  const provider = new TestProvider(adaName)
  const endpoint = new URL(`${url}/mcp`)
  const transport = new TransportV1(endpoint, { authProvider: provider })
  await expect(new ClientV1(info).connect(transport)).rejects.toThrow()
  const answer = await provider.signIn()
  await new TransportV1(endpoint, { authProvider: provider }).finishAuth(answer.get('code') ?? '')
  return provider
}

/** SDK v1: the call fails with the error that has the URL in it, and is repeated. */
async function connectV1(url: string, provider: TestProvider): Promise<Session> {
  const client = new ClientV1(info, { capabilities })
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept' }))
  await client.connect(new TransportV1(new URL(`${url}/mcp`), { authProvider: provider }) as never)
  return {
    call: async (name) => (await client.callTool({ name, arguments: {} })) as ToolResult,
    close: () => client.close(),
  }
}

describe('SDK v1 in front of the reference host', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  })
  afterAll(() => world.close())
  afterEach(() => {
    world.entra.requireMfa(adaName, false)
    world.entra.consent('all', userRead)
  })

  it.each([
    ['MFA', () => world.entra.requireMfa(adaName, true)],
    ['consent', () => world.entra.withdrawConsent('all', userRead)],
  ])('gets a URL when %s is wanted, and the same call works after it', async (_what, demand) => {
    const provider = await signedIn(world.url)
    const session = await connectV1(world.url, provider)
    demand()
    const refused = await session.call('my_profile').catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(UrlElicitationRequiredError)
    const [elicitation] = (refused as UrlElicitationRequiredError).elicitations
    expect(elicitation).toMatchObject({
      mode: 'url',
      message: expect.stringContaining('localhost'),
    })
    const page = await provider.browser.open(elicitation?.url ?? '')
    expect([page.status, page.html]).toEqual([
      200,
      expect.stringContaining('go back to your application'),
    ])
    expect(toolJson(await session.call('my_profile'))).toMatchObject({ userPrincipalName: adaName })
    // Nobody had to log in again, and refreshing works as before.
    provider.saveTokens({ ...provider.tokens(), access_token: 'no longer good' })
    expect(toolJson(await session.call('my_profile'))).toMatchObject({ userPrincipalName: adaName })
    expect(provider.sentTo).toHaveLength(1)
    await session.close()
  })
})

describe('SDK v2', () => {
  let entra: Entra
  let host: Listening
  beforeAll(async () => {
    entra = await startTestEntra()
    host = await startV2Host(entra)
  })
  afterAll(() => host.close())
  afterEach(() => {
    entra.requireMfa(adaName, false)
    entra.withdrawConsent('all', mailRead)
  })

  /** 2026-07-28: the client asks its user by itself, and repeats the call. */
  async function connectV2(provider: TestProvider, open: (url: string) => Promise<string>) {
    const client = new ClientV2(info, { capabilities, versionNegotiation: { mode: 'auto' } })
    client.setRequestHandler('elicitation/create', async ({ params }) => ({
      action: (await open((params as { url: string }).url)) as 'accept',
    }))
    await client.connect(new TransportV2(new URL(`${host.url}/mcp`), { authProvider: provider }))
    return client
  }

  it.each([
    ['my_profile', () => entra.requireMfa(adaName, true)],
    ['my_mail', () => undefined],
  ])(
    'of 2026-07-28 sends its user there in the middle of %s, which then goes on',
    async (name, demand) => {
      const provider = await signedIn(host.url)
      const opened: string[] = []
      const client = await connectV2(provider, async (url) => {
        opened.push(url)
        expect((await provider.browser.open(url)).status).toBe(200)
        return 'accept'
      })
      demand()
      const result = (await client.callTool({ name, arguments: {} })) as ToolResult
      expect(toolJson(result)).toEqual(expect.stringMatching(/^eyJ/))
      expect(opened).toHaveLength(1)
      expect(provider.sentTo).toHaveLength(1)
      await client.close()
    },
  )

  it('waits for a user who has agreed and is still at Entra', async () => {
    const provider = await signedIn(host.url)
    let finished: Promise<unknown> | undefined
    const client = await connectV2(provider, async (url) => {
      finished = provider.browser.open(url)
      return 'accept'
    })
    entra.requireMfa(adaName, true)
    const result = (await client.callTool({ name: 'my_profile', arguments: {} })) as ToolResult
    expect(toolJson(result)).toEqual(expect.stringMatching(/^eyJ/))
    await finished
    await client.close()
  })

  it('hears that the tool has failed when its user declines', async () => {
    const provider = await signedIn(host.url)
    const client = await connectV2(provider, async () => 'decline')
    entra.requireMfa(adaName, true)
    const result = (await client.callTool({ name: 'my_profile', arguments: {} })) as ToolResult
    expect([result.isError, result.content[0]?.text]).toEqual([
      true,
      expect.stringContaining('declined'),
    ])
    await client.close()
  })

  it.each(['my_profile', 'my_mail'])(
    'of 2025-11-25 gets the error of SDK v1 from %s',
    async (name) => {
      const provider = await signedIn(host.url)
      const session = await connectV1(host.url, provider)
      entra.requireMfa(adaName, true)
      const answers: unknown[] = []
      // For the mail it wants MFA first, and then consent.
      for (let round = 0; round < 3; round++) {
        const answer = await session.call(name).catch((error: unknown) => error)
        answers.push(answer)
        if (!(answer instanceof UrlElicitationRequiredError)) break
        await provider.browser.open(answer.elicitations[0]?.url ?? '')
      }
      expect(answers).toHaveLength(name === 'my_mail' ? 3 : 2)
      expect(toolJson(answers.at(-1) as ToolResult)).toEqual(expect.stringMatching(/^eyJ/))
      expect(provider.sentTo).toHaveLength(1)
      await session.close()
    },
  )
})
