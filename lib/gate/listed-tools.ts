/**
 * Finds the names in a guard that no tool has: a misspelt name guards nothing, and leaves the tool open. What tools
 * there are only the answer to `tools/list` says, so answers to it are read on their way out, until one was complete.
 * Nothing else is looked at, and afterwards nothing at all.
 */
import type { ServerResponse } from 'node:http'
import { nearest } from '../entra/option-names.js'
import type { MiddlewareRequest } from '../http/middleware.js'
import { type AuthInfo, type AuthInternals, internalsOf } from './caller.js'
import type { Guard } from './guard-options.js'
import { judgeCall } from './guard-verdict.js'

/** Looks at a request that goes on, whose body has been parsed. */
export type WatchTools = (req: GuardedRequest, res: ServerResponse) => void

type GuardedRequest = MiddlewareRequest & { readonly auth?: AuthInfo }

/** Longest answer to read, in bytes. */
const longestAnswer = 4 * 1024 * 1024
/** Answers that say nothing, because they are compressed or refusals, before it gives up. */
const mostAttempts = 20

/**
 * Watches answers to `tools/list` until one is complete, without `nextCursor`, and warns once of names that it has not
 * shown. A tool that its caller can never call may be missing there: servers leave those out with `mayCall`.
 */
export function watchTools(guard: Guard): WatchTools {
  const { otherTools } = guard
  const named = [...guard.tools.keys()]
  const listed = new Set<string>()
  let attemptsLeft = mostAttempts
  let isDone = named.length === 0

  const learn = (text: string, caller: AuthInternals) => {
    const pages = messagesIn(text)
      .map(toolsIn)
      .filter((page) => page !== undefined)
    for (const name of pages.flatMap(({ names }) => names)) listed.add(name)
    if (!pages.some(({ isLast }) => isLast) || isDone) return
    isDone = true
    const mayBeHidden = (name: string) => judgeCall(guard, caller, [name]).verdict === 'no'
    const stray = named.filter((name) => !listed.has(name) && !mayBeHidden(name))
    if (stray.length > 0) caller.warn(strayWarning(stray, [...listed], otherTools))
  }

  return function watch(req, res) {
    if (isDone || attemptsLeft === 0 || !asksForTools(req.body)) return
    attemptsLeft -= 1
    const caller = internalsOf(req.auth, 'scopeGuard')
    readAnswer(res, (text) => learn(text, caller))
  }
}

function strayWarning(
  stray: readonly string[],
  listed: readonly string[],
  otherTools: 'allow' | 'deny',
) {
  const names = stray.map((name) => {
    const near = nearest(name, listed)
    return near === undefined ? `"${name}"` : `"${name}" (did you mean "${near}"?)`
  })
  const open =
    otherTools === 'allow'
      ? "A tool of another name is open to all whom the route lets in; otherTools: 'deny' closes it. "
      : ''
  return {
    reason: 'unknown_tools',
    detail: `scopeGuard names tools that the answer to tools/list did not show: ${names.join(', ')}`,
    hint: `Compare the names in scopeGuard({ tools }) with those of the server's tools. ${open}Where callers see different tools, this one may not have been shown all.`,
  } as const
}

function asksForTools(body: unknown): boolean {
  const messages: readonly unknown[] = Array.isArray(body) ? body : [body]
  return messages.some((message) => (message as { method?: unknown })?.method === 'tools/list')
}

/** Hands over the text of an answer when it has been sent. An answer that is too long is not read. */
function readAnswer(res: ServerResponse, onAnswer: (text: string) => void): void {
  const { write, end } = res
  const chunks: Buffer[] = []
  let size = 0
  const keep = ([chunk, encoding]: readonly unknown[]) => {
    const bytes = bytesOf(chunk, encoding)
    size += bytes.length
    if (size <= longestAnswer) chunks.push(bytes)
  }
  res.write = ((...args: Parameters<typeof write>) => {
    keep(args)
    return write.apply(res, args)
  }) as typeof write
  res.end = ((...args: Parameters<typeof end>) => {
    keep(args)
    Object.assign(res, { write, end })
    const sent = end.apply(res, args)
    if (size <= longestAnswer) onAnswer(Buffer.concat(chunks).toString())
    return sent
  }) as typeof end
}

function bytesOf(chunk: unknown, encoding: unknown): Buffer {
  if (chunk instanceof Uint8Array) return Buffer.from(chunk)
  if (typeof chunk !== 'string') return Buffer.alloc(0)
  return Buffer.from(chunk, Buffer.isEncoding(String(encoding)) ? (encoding as 'utf8') : 'utf8')
}

/** The messages of an answer, in JSON or as server-sent events. @see MCP Transports, WHATWG HTML section 9.2 */
function messagesIn(text: string): readonly unknown[] {
  const whole = parse(text)
  if (whole !== undefined) return Array.isArray(whole) ? whole : [whole]
  return text.split(/\r?\n\r?\n/).flatMap((event) => {
    const data = [...event.matchAll(/^data: ?(.*)$/gm)].map(([, line]) => line)
    const message = parse(data.join('\n'))
    return Array.isArray(message) ? message : [message]
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** @see MCP Tools, "Listing Tools" */
function toolsIn(message: unknown) {
  const { tools, nextCursor } = (message as { result?: { tools?: unknown; nextCursor?: unknown } })
    ?.result ?? { tools: undefined }
  if (!Array.isArray(tools)) return undefined
  const names = tools.map((tool: { name?: unknown } | null) => String(tool?.name))
  return { names, isLast: nextCursor === undefined || nextCursor === null }
}
