/** Which MCP tools a request calls. The body is read once, and left on `req.body` for the transport. */
import type { ServerResponse } from 'node:http'
import { isParsed, mediaType, readBody } from './http/body.js'
import { sendJson } from './http/respond.js'
import { OAuthError } from './oauth/errors.js'
import type { MiddlewareRequest } from './oauth-routes.js'

/** Bytes: what the SDK's transports take. */
const bodyLimit = 4 * 1024 * 1024

/** A request no MCP server could make sense of. */
export class McpRequestError extends Error {
  override readonly name = 'McpRequestError'
  readonly status: number
  readonly rpcCode: number

  constructor(status: number, rpcCode: number, message: string) {
    super(message)
    this.status = status
    this.rpcCode = rpcCode
  }
}

/**
 * The names of the tools that a request calls: none for anything but a POST.
 *
 * @throws McpRequestError for a body that is no JSON, is too large, or disagrees with `Mcp-Method`/`Mcp-Name`
 * @see MCP Transports (2025-11-25; 2026-07-28 "Standard Headers"), JSON-RPC 2.0 section 6 (batches)
 */
export async function calledTools(req: MiddlewareRequest): Promise<readonly string[]> {
  if (req.method !== 'POST') return []
  const body = await jsonBody(req)
  checkHeaders(req, body)
  return (Array.isArray(body) ? body : [body]).flatMap(calledTool)
}

/** Answers in JSON-RPC's own terms. */
export function sendMcpRequestError(
  res: ServerResponse,
  { status, rpcCode, message }: McpRequestError,
): void {
  // Node drops by itself only what nobody has begun to read; the connection is of use again when all is gone.
  res.req.resume()
  sendJson(res, status, { jsonrpc: '2.0', error: { code: rpcCode, message }, id: null })
}

async function jsonBody(req: MiddlewareRequest): Promise<object> {
  const parsed = isParsed(req) ? req.body : undefined
  if (typeof parsed === 'object' && parsed !== null && !Buffer.isBuffer(parsed)) return parsed
  if (mediaType(req) !== 'application/json') {
    throw new McpRequestError(415, -32700, 'Send application/json.')
  }
  const body = parseJson(await rawBody(req, parsed))
  // A string could hold a call for whoever parses it once more: nothing but a message goes on.
  if (typeof body !== 'object' || body === null) {
    throw new McpRequestError(400, -32600, 'Invalid Request: the body is no JSON-RPC message.')
  }
  req.body = body
  return body
}

async function rawBody(req: MiddlewareRequest, read: unknown): Promise<string> {
  if (typeof read === 'string' || Buffer.isBuffer(read)) return read.toString()
  try {
    return (await readBody(req, bodyLimit)).toString('utf8')
  } catch (error) {
    if (error instanceof OAuthError)
      throw new McpRequestError(error.status, -32600, error.description)
    throw error
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new McpRequestError(400, -32700, 'Parse error: the body is not JSON.')
  }
}

function calledTool(message: unknown): readonly string[] {
  const method = member(message, 'method')
  if (method !== 'tools/call') return []
  const name = member(member(message, 'params'), 'name')
  return typeof name === 'string' ? [name] : []
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Record<string, unknown>)[name]
}

/** The body decides; headers that say something else are a trick played on whoever trusts them. */
function checkHeaders({ headers }: MiddlewareRequest, body: unknown): void {
  const method = headers['mcp-method']
  const name = headers['mcp-name']
  if (method !== undefined && method !== member(body, 'method')) throw mismatch('Mcp-Method')
  if (name === undefined) return
  const params = member(body, 'params')
  const named = member(params, 'name') ?? member(params, 'uri')
  if (Array.isArray(name) || decoded(name) !== named) throw mismatch('Mcp-Name')
}

function mismatch(header: string): McpRequestError {
  return new McpRequestError(
    400,
    -32020,
    `Header mismatch: ${header} does not agree with the body.`,
  )
}

/** Names that no header can carry come as `=?base64?...?=`. */
function decoded(header: string): string {
  const encoded = /^=\?base64\?([A-Za-z0-9+/=]*)\?=$/.exec(header)?.[1]
  return encoded === undefined ? header : Buffer.from(encoded, 'base64').toString('utf8')
}
