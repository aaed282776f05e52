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
  /** The `id` of the request, where it is known: JSON-RPC has the answer repeat it. */
  readonly id: string | number | null

  constructor(status: number, rpcCode: number, message: string, id: unknown = null) {
    super(message)
    this.status = status
    this.rpcCode = rpcCode
    this.id = typeof id === 'string' || typeof id === 'number' ? id : null
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
  { status, rpcCode, message, id }: McpRequestError,
): void {
  // Node drops by itself only what nobody has begun to read; the connection is of use again when all is gone.
  res.req.resume()
  sendJson(res, status, { jsonrpc: '2.0', error: { code: rpcCode, message }, id })
}

async function jsonBody(req: MiddlewareRequest): Promise<object> {
  const parsed = isParsed(req) ? req.body : undefined
  if (typeof parsed === 'object' && parsed !== null && !Buffer.isBuffer(parsed)) return parsed
  // A parser that is not strict leaves bare numbers, booleans and null, and nothing to read again.
  if (parsed === null || typeof parsed === 'number' || typeof parsed === 'boolean')
    throw noMessage()
  if (mediaType(req) !== 'application/json') {
    throw new McpRequestError(415, -32700, 'Send application/json.')
  }
  const body = parseJson(await rawBody(req, parsed))
  // A string could hold a call for whoever parses it once more: nothing but a message goes on.
  if (typeof body !== 'object' || body === null) throw noMessage()
  req.body = body
  return body
}

function noMessage(): McpRequestError {
  return new McpRequestError(400, -32600, 'Invalid Request: the body is no JSON-RPC message.')
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
  if (method !== undefined && method !== member(body, 'method')) throw mismatch('Mcp-Method', body)
  if (name === undefined) return
  if (Array.isArray(name) || decoded(name) !== named(body)) throw mismatch('Mcp-Name', body)
}

/** What `Mcp-Name` repeats. @see MCP SEP-2243, and SEP-2663 for the methods of tasks */
function named(body: unknown): unknown {
  const params = member(body, 'params')
  const method = member(body, 'method')
  if (typeof method === 'string' && method.startsWith('tasks/')) return member(params, 'taskId')
  return member(params, 'name') ?? member(params, 'uri')
}

function mismatch(header: string, body: unknown): McpRequestError {
  const message = `Header mismatch: ${header} does not agree with the body.`
  return new McpRequestError(400, -32020, message, member(body, 'id'))
}

/** Names that no header can carry come as `=?base64?...?=`. */
function decoded(header: string): string {
  const encoded = /^=\?base64\?([A-Za-z0-9+/=]*)\?=$/.exec(header)?.[1]
  return encoded === undefined ? header : Buffer.from(encoded, 'base64').toString('utf8')
}
