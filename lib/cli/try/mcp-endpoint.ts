/**
 * An MCP server as small as it can be: stateless Streamable HTTP, JSON answers, tools. The SDKs are not among the
 * package's dependencies, and `try` has to run where only the package is installed.
 */
import type { ServerResponse } from 'node:http'
import { sendJson } from '../../http/respond.js'
import type { AuthenticatedRequest } from '../../require-bearer.js'

/** A tool. Its result becomes one text. */
export interface Tool {
  readonly description: string
  /** JSON Schema of its arguments. */
  readonly inputSchema: Readonly<Record<string, unknown>>
  /** @throws Error whose message the model reads */
  call(request: AuthenticatedRequest, args: Readonly<Record<string, unknown>>): unknown
}

type Tools = Readonly<Record<string, Tool>>

/** Versions of the protocol, the newest first. In what is used here they do not differ. */
const versions = ['2025-11-25', '2025-06-18', '2025-03-26']

const codes = { invalidRequest: -32600, unknownMethod: -32601, invalidParams: -32602 } as const

class RpcError extends Error {
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message)
  }
}

interface Message {
  readonly id?: unknown
  readonly method?: unknown
  readonly params?: Readonly<Record<string, unknown>>
}

/**
 * Answers a request whose body has been parsed (`scopeGuard` and `oboToken` do that).
 *
 * @see MCP 2025-11-25, Transports, Streamable HTTP
 */
export function mcpEndpoint(name: string, tools: Tools) {
  return async function answer(req: AuthenticatedRequest, res: ServerResponse): Promise<void> {
    if (req.method !== 'POST') {
      res.setHeader('Allow', 'POST')
      return sendError(res, 405, codes.invalidRequest, 'This server is stateless: use POST.')
    }
    const version = req.headers['mcp-protocol-version']
    if (version !== undefined && !versions.includes(String(version))) {
      return sendError(res, 400, codes.invalidRequest, `Versions here: ${versions.join(', ')}.`)
    }
    const message = req.body as Message | undefined
    if (typeof message !== 'object' || message === null || typeof message.method !== 'string') {
      return sendError(res, 400, codes.invalidRequest, 'Send one JSON-RPC request.')
    }
    if (message.id === undefined) return void res.writeHead(202).end()
    sendJson(res, 200, {
      jsonrpc: '2.0',
      id: message.id,
      ...(await reply(req, name, tools, message)),
    })
  }
}

async function reply(req: AuthenticatedRequest, name: string, tools: Tools, message: Message) {
  try {
    return { result: await resultOf(req, name, tools, message) }
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    return { error: { code: error.code, message: error.message } }
  }
}

async function resultOf(
  req: AuthenticatedRequest,
  name: string,
  tools: Tools,
  { method, params = {} }: Message,
): Promise<object> {
  switch (method) {
    case 'initialize':
      return {
        protocolVersion: versions.includes(String(params.protocolVersion))
          ? params.protocolVersion
          : versions[0],
        capabilities: { tools: {} },
        serverInfo: { name, version: '1.0.0' },
      }
    case 'ping':
      return {}
    case 'tools/list':
      return {
        tools: Object.entries(tools).map(([name, { description, inputSchema }]) => ({
          name,
          description,
          inputSchema,
        })),
      }
    case 'tools/call':
      return callTool(req, tools, params)
    default:
      throw new RpcError(codes.unknownMethod, 'There is no such method.')
  }
}

async function callTool(
  req: AuthenticatedRequest,
  tools: Tools,
  { name, arguments: args }: Readonly<Record<string, unknown>>,
): Promise<object> {
  const tool = typeof name === 'string' && Object.hasOwn(tools, name) ? tools[name] : undefined
  if (!tool) throw new RpcError(codes.invalidParams, 'There is no such tool.')
  try {
    const result = await tool.call(req, Object(args) as Readonly<Record<string, unknown>>)
    return { content: [{ type: 'text', text: JSON.stringify(result, null, 2) }] }
  } catch (error) {
    return { content: [{ type: 'text', text: (error as Error).message }], isError: true }
  }
}

function sendError(res: ServerResponse, status: number, code: number, message: string): void {
  sendJson(res, status, { jsonrpc: '2.0', error: { code, message }, id: null })
}
