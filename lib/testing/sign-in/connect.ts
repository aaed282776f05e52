/** `connect`: an MCP SDK client of either generation, connected as a user who has signed in. */
import { type SignInOptions, signIn } from './sign-in.js'

/** Options of {@link connect}. */
export interface ConnectOptions extends SignInOptions {
  /**
   * Which generation of the MCP SDK: 1 is `@modelcontextprotocol/sdk`, 2 is `@modelcontextprotocol/client` (default: 2
   * when it is installed, else 1).
   */
  readonly sdk?: 1 | 2
}

/** What a tool has answered. */
export interface ToolAnswer {
  readonly content: readonly { readonly type: string; readonly text?: string }[]
  readonly structuredContent?: Readonly<Record<string, unknown>>
  readonly isError?: boolean
}

/** What both generations' clients have in common, and tests of tools need. */
export interface ConnectedClient {
  listTools(): Promise<{ readonly tools: readonly { readonly name: string }[] }>
  /** Rejects when the server refuses the call, as `scopeGuard` does. The SDK's error has the status in it. */
  callTool(call: {
    readonly name: string
    readonly arguments?: Record<string, unknown>
  }): Promise<ToolAnswer>
  close(): Promise<void>
}

/**
 * Signs a user in, as {@link signIn} does, and connects a client of the MCP SDK with the access token. The token is not
 * refreshed, and a 403 does not begin another sign-in: a test sees what the server answers. Name the SDK's own type to
 * have all of its client: `connect<Client>(url, …)`.
 *
 * @param url the MCP endpoint, such as `http://localhost:3000/mcp`
 * @throws SignInRefused when server, user or Entra say no
 * @throws Error when neither generation of the SDK is installed, or not the one that was asked for
 * @example
 * const client = await connect('http://localhost:3000/mcp', { as: 'ada@contoso.example' })
 * const { content } = await client.callTool({ name: 'whoami' })
 * await client.close()
 */
export async function connect<Client = ConnectedClient>(
  url: string | URL,
  options: ConnectOptions,
): Promise<Client> {
  const { Client, StreamableHTTPClientTransport } = await importSdk(options.sdk)
  const { accessToken } = await signIn(url, options)
  const client = new Client({ name: 'mcp-entra-testing', version: '1.0.0' })
  const headers = { authorization: `Bearer ${accessToken}` }
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } })
  await client.connect(transport)
  return client as Client
}

/** The two classes by their names, which are the same in both generations. */
interface Sdk {
  readonly Client: new (info: {
    name: string
    version: string
  }) => { connect(transport: object): Promise<void> }
  readonly StreamableHTTPClientTransport: new (
    url: URL,
    options: { requestInit: RequestInit },
  ) => object
}

async function importSdk(generation: 1 | 2 | undefined): Promise<Sdk> {
  try {
    if (generation === 1) return await importV1()
    if (generation === 2) return await importV2()
    return await importV2().catch(importV1)
  } catch (cause) {
    const name = generation === 2 ? '@modelcontextprotocol/client' : '@modelcontextprotocol/sdk'
    throw new Error(`connect: needs the MCP SDK: npm i -D ${name}`, { cause })
  }
}

async function importV1(): Promise<Sdk> {
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js')
  const transport = await import('@modelcontextprotocol/sdk/client/streamableHttp.js')
  return { Client, ...transport } as unknown as Sdk
}

async function importV2(): Promise<Sdk> {
  return (await import('@modelcontextprotocol/client')) as unknown as Sdk
}
