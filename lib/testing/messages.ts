/** Requests and replies as plain values, so that endpoints need no sockets. */
import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'

/** Parameters by name. The first one counts when a name comes twice. */
export type Params = Readonly<Record<string, string>>

/** A request with its body read. */
export interface EntraRequest {
  readonly method: string
  readonly path: string
  readonly query: Params
  /** The body, when it is a form. */
  readonly form: Params
  readonly headers: IncomingHttpHeaders
}

/** An answer to be written. */
export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The AADSTS number, for the request log. */
  readonly error?: number | undefined
}

const noStore = { 'Cache-Control': 'no-store, no-cache', Pragma: 'no-cache' }

/** A JSON answer. */
export function json(status: number, body: unknown, headers: Reply['headers'] = {}): Reply {
  const type = { 'Content-Type': 'application/json; charset=utf-8' }
  return { status, headers: { ...noStore, ...type, ...headers }, body: JSON.stringify(body) }
}

/** A page that may run only the given script. */
export function html(status: number, body: string, script?: string): Reply {
  const scripts = script === undefined ? '' : `; script-src 'sha256-${digest(script)}'`
  const headers = {
    ...noStore,
    'Content-Type': 'text/html; charset=utf-8',
    // No form-action: browsers would apply it to the redirect after the form too.
    'Content-Security-Policy': `default-src 'none'; style-src 'unsafe-inline'${scripts}; frame-ancestors 'none'`,
    'X-Content-Type-Options': 'nosniff',
    'Referrer-Policy': 'no-referrer',
  }
  return { status, headers, body }
}

/** A redirect, after a form as well. */
export function redirect(location: string): Reply {
  return { status: 302, headers: { ...noStore, Location: location }, body: '' }
}

/** The same reply with more headers. */
export function withHeaders(reply: Reply, headers: Reply['headers']): Reply {
  return { ...reply, headers: { ...reply.headers, ...headers } }
}

/** The value of a header that came exactly once. */
export function header(request: EntraRequest, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

/** Parameters of a query or a form. */
export function toParams(search: URLSearchParams): Params {
  return Object.fromEntries([...search].reverse())
}

/** Escapes text for HTML, including attribute values. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64')
}
