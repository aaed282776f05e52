/** Both generations of the MCP SDK's client, as one. */
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { TestProvider } from './sdk-provider.js'

export interface ToolResult {
  readonly isError?: boolean
  readonly content: readonly { readonly text: string }[]
}

/** What a test needs of a client. */
export interface Connection {
  tools(): Promise<readonly string[]>
  call(name: string, args?: Record<string, unknown>): Promise<ToolResult>
  close(): Promise<void>
}

export interface Generation {
  readonly name: string
  connect(url: string, provider: TestProvider): Promise<Connection>
  finish(url: string, provider: TestProvider, answer: URLSearchParams): Promise<void>
}

/** What both generations' clients have, in their own types. */
interface SdkClient {
  listTools(): Promise<{ tools: { name: string }[] }>
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<unknown>
  close(): Promise<void>
}

function connection(client: SdkClient): Connection {
  return {
    tools: async () => (await client.listTools()).tools.map(({ name }) => name),
    call: async (name, args = {}) =>
      (await client.callTool({ name, arguments: args })) as ToolResult,
    close: () => client.close(),
  }
}

const info = { name: 'test', version: '1' }

const v1: Generation = {
  name: 'SDK v1',
  async connect(url, provider) {
    const client = new ClientV1(info)
    await client.connect(new TransportV1(new URL(`${url}/mcp`), { authProvider: provider }))
    return connection(client as SdkClient)
  },
  async finish(url, provider, answer) {
    const transport = new TransportV1(new URL(`${url}/mcp`), { authProvider: provider })
    await transport.finishAuth(answer.get('code') ?? '')
  },
}

/** Checks the issuer of the metadata and `iss` of the answer. */
const v2: Generation = {
  name: 'SDK v2',
  async connect(url, provider) {
    const client = new ClientV2(info)
    await client.connect(new TransportV2(new URL(`${url}/mcp`), { authProvider: provider }))
    return connection(client as SdkClient)
  },
  async finish(url, provider, answer) {
    const transport = new TransportV2(new URL(`${url}/mcp`), { authProvider: provider })
    await transport.finishAuth(answer)
  },
}

export const generations: readonly Generation[] = [v1, v2]

/** The JSON of a tool's answer. @throws Error when it is an error */
export function toolJson({ isError, content }: ToolResult): unknown {
  const text = content[0]?.text ?? ''
  if (isError) throw new Error(`the tool failed: ${text}`)
  return JSON.parse(text)
}
