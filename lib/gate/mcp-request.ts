/**
 * Finds out which MCP tools a request calls. The body is read once, and left on `req.body` for the transport. It
 * fails closed: a message that another parser could read differently (inherited members, a member twice, other
 * letters) is refused, because nobody checks a call that the guard does not see.
 */
import { isParsed, isPlainUtf8, mediaType, readUtf8 } from '../http/body.js'
import { checkJson, JsonError, parseJson } from '../http/json-text.js'
import type { MiddlewareRequest } from '../http/middleware.js'
import { OAuthError } from '../oauth/errors.js'
import type { Refusal } from './refuse.js'

/** In bytes, as much as the SDK's transports take. A server that needs more puts its own parser in front of us. */
const bodyLimit = 4 * 1024 * 1024
/** Most messages in a batch. Clients that batch at all send a handful. */
const mostMessages = 100

/** A request that no MCP server can serve. */
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
 * The names of the tools that a request calls. A request without a body calls none.
 *
 * @throws McpRequestError for a body that is not JSON-RPC, is too large, can be read in two ways, or disagrees
 *   with `Mcp-Method`/`Mcp-Name`
 * @see MCP Transports (2025-11-25; 2026-07-28 "Standard Headers"), JSON-RPC 2.0 section 6 (batches)
 */
export async function calledTools(req: MiddlewareRequest): Promise<readonly string[]> {
  if (req.method !== 'POST' && !hasBody(req)) return []
  const body = await jsonBody(req)
  const messages: readonly unknown[] = Array.isArray(body) ? body : [body]
  if (messages.length > mostMessages) {
    throw new McpRequestError(413, -32600, `A batch has ${mostMessages} messages at most.`)
  }
  const called = messages.map(calledTool).filter((tool) => tool !== undefined)
  checkHeaders(req, body)
  return called
}

/** The method does not matter: a parser in front also reads the body of a GET, and a handler may use it. */
function hasBody({ headers, stream }: MiddlewareRequest & { readonly stream?: unknown }): boolean {
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)
    return true
  // HTTP/2 frames a body without either header.
  return (stream as { endAfterHeaders?: unknown } | undefined)?.endAfterHeaders === false
}

/** Answers in JSON-RPC's own terms, and tells the operator. */
export function refuseMcpRequest(
  { report }: { report(error: OAuthError): void },
  { status, rpcCode, message, id }: McpRequestError,
): Refusal {
  report(new OAuthError('invalid_request', message, { status }))
  return { status, body: { jsonrpc: '2.0', error: { code: rpcCode, message }, id } }
}

async function jsonBody(req: MiddlewareRequest): Promise<object> {
  try {
    return isRead(req) ? readParsed(req.body) : await readUnparsed(req)
  } catch (error) {
    if (error instanceof JsonError) throw jsonRefusal(error)
    if (!(error instanceof OAuthError)) throw error
    throw new McpRequestError(error.status, -32600, error.description)
  }
}

/** Whether a parser in front has left a value. Text and bytes still have to be parsed. */
function isRead(req: MiddlewareRequest): boolean {
  return isParsed(req) && typeof req.body !== 'string' && !Buffer.isBuffer(req.body)
}

/** A member that came twice cannot be seen here, but the transport gets this same object and reads what we read. */
function readParsed(body: unknown): object {
  checkJson(body)
  return messageIn(body)
}

async function readUnparsed(req: MiddlewareRequest): Promise<object> {
  if (mediaType(req) !== 'application/json') {
    throw new McpRequestError(415, -32700, 'Send application/json.')
  }
  if (!isPlainUtf8(req)) {
    throw new McpRequestError(415, -32700, 'Send JSON in UTF-8, uncompressed.')
  }
  const body = messageIn(parseJson(await readUtf8(req, bodyLimit)))
  req.body = body
  return body
}

/** Only messages go on: a string could hold a call for a handler that parses it once more. */
function messageIn(body: unknown): object {
  if (typeof body === 'object' && body !== null) return body
  throw invalid('The body is not a JSON-RPC message.')
}

function jsonRefusal({ reason, message }: JsonError): McpRequestError {
  if (reason === 'syntax') return new McpRequestError(400, -32700, `Parse error: ${message}`)
  if (reason === 'size') return new McpRequestError(413, -32600, message)
  return invalid(message)
}

function invalid(why: string, message?: unknown): McpRequestError {
  return new McpRequestError(400, -32600, `Invalid Request: ${why}`, member(message, 'id'))
}

function calledTool(message: unknown): string | undefined {
  if (typeof message !== 'object' || message === null || Array.isArray(message)) {
    throw invalid('A message is an object.')
  }
  checkSpelling(message, messageMembers, message)
  const method = member(message, 'method')
  if (isResponse(message)) return undefined
  if (!isText(method)) throw invalid('The `method` is a string.', message)
  if (method === 'tools/call') return toolName(message)
  if (/^\s*tools\/call\s*$/i.test(method))
    throw invalid('Write the method as `tools/call`.', message)
  return undefined
}

function toolName(message: object): string {
  const params = member(message, 'params')
  checkSpelling(params, callMembers, message)
  const name = member(params, 'name')
  if (isText(name)) return name
  throw invalid('The `name` of a tool is a string.', message)
}

/** A response has no method, not even an inherited one: a parser in front may have made `__proto__` a prototype. */
function isResponse(message: object): boolean {
  if ('method' in message) return false
  return Object.hasOwn(message, 'result') || Object.hasOwn(message, 'error')
}

/** Whether it is a string that every encoding can carry. The next parser may change half a surrogate pair. */
function isText(value: unknown): value is string {
  return typeof value === 'string' && !/\p{Surrogate}/u.test(value)
}

const messageMembers = byFoldedName(['jsonrpc', 'id', 'method', 'params', 'result', 'error'])
const callMembers = byFoldedName(['name', 'arguments'])

/** Some parsers (Go's, for one) read `Method` and `paramſ` as `method` and `params`. */
function checkSpelling(value: unknown, names: ReadonlyMap<string, string>, message: object): void {
  // A string has a key for each of its characters: millions of them.
  if (typeof value !== 'object' || value === null) return
  for (const key of Object.keys(value)) {
    const meant = names.get(key) ?? names.get(foldCase(key))
    if (meant !== undefined && meant !== key)
      throw invalid(`Spell \`${meant}\` exactly so.`, message)
  }
}

/** By the name itself too: nearly every key is found so, without folding it (a tenth of what the guard costs). */
function byFoldedName(names: readonly string[]): ReadonlyMap<string, string> {
  return new Map([
    ...names.map((name): [string, string] => [name, name]),
    ...names.map((name): [string, string] => [foldCase(name), name]),
  ])
}

function foldCase(name: string): string {
  return name.toLowerCase().toUpperCase()
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Record<string, unknown>)[name]
}

/** The body decides. Headers that say something else would mislead a component that trusts them. */
function checkHeaders({ headers }: MiddlewareRequest, body: unknown): void {
  const method = headers['mcp-method']
  const name = headers['mcp-name']
  if (method !== undefined && method !== member(body, 'method')) throw mismatch('Mcp-Method', body)
  if (name === undefined) return
  if (Array.isArray(name) || decodeName(name) !== nameIn(body)) throw mismatch('Mcp-Name', body)
}

/** The value that `Mcp-Name` has to repeat. @see MCP SEP-2243, and SEP-2663 for the methods of tasks */
function nameIn(body: unknown): unknown {
  const params = member(body, 'params')
  const method = member(body, 'method')
  if (typeof method === 'string' && method.startsWith('tasks/')) return member(params, 'taskId')
  return member(params, 'name') ?? member(params, 'uri')
}

function mismatch(header: string, body: unknown): McpRequestError {
  const message = `Header mismatch: ${header} does not agree with the body.`
  return new McpRequestError(400, -32020, message, member(body, 'id'))
}

/** Names that a header cannot carry come as `=?base64?...?=`. */
function decodeName(header: string): string {
  const encoded = /^=\?base64\?([A-Za-z0-9+/=]*)\?=$/.exec(header)?.[1]
  return encoded === undefined ? header : Buffer.from(encoded, 'base64').toString('utf8')
}
