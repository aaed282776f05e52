/** Answers in plain `node:http`, so that they work under Express 4, Express 5 and Connect alike. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { OAuthError } from '../oauth/errors.js'

/** `Cache-Control: no-store`, and `Pragma` for caches of 1996. @see RFC 6749 section 5.1 */
export function noStore(res: ServerResponse): void {
  res.setHeader('Cache-Control', 'no-store')
  res.setHeader('Pragma', 'no-cache')
}

/** Sends JSON. */
export function sendJson(res: ServerResponse, status: number, body: unknown): void {
  send(res, status, 'application/json', JSON.stringify(body))
}

/** Sends a page that no one may frame, cache, or learn our URLs from. */
export function sendPage(res: ServerResponse, status: number, html: string, csp: string): void {
  noStore(res)
  res.setHeader('Content-Security-Policy', csp)
  res.setHeader('X-Frame-Options', 'DENY')
  res.setHeader('Referrer-Policy', 'no-referrer')
  send(res, status, 'text/html; charset=utf-8', html)
}

/** Redirects. 303 after a POST, so that no browser sends the form on (RFC 9700 section 4.12). */
export function redirect(res: ServerResponse, status: 302 | 303, location: string): void {
  noStore(res)
  res.setHeader('Referrer-Policy', 'no-referrer')
  res.setHeader('Location', location)
  res.statusCode = status
  res.setHeader('Content-Length', '0')
  res.end()
}

/** Sends an error as JSON, with `Retry-After` when it says so. @see RFC 6749 section 5.2 */
export function sendOAuthError(res: ServerResponse, error: OAuthError): void {
  noStore(res)
  retryAfter(res, error)
  sendJson(res, error.status, error.toBody())
}

/** Sets `Retry-After`, when there is one: whole seconds. */
export function retryAfter(
  res: ServerResponse,
  { retryAfter: seconds }: { readonly retryAfter?: number | undefined },
): void {
  if (seconds !== undefined) res.setHeader('Retry-After', String(seconds))
}

/** Ends a connection whose request body nobody is going to read. */
export function closeIfUnread(req: IncomingMessage, res: ServerResponse): void {
  if (!req.complete) res.setHeader('Connection', 'close')
}

function send(res: ServerResponse, status: number, type: string, text: string): void {
  const bytes = Buffer.from(text)
  res.statusCode = status
  res.setHeader('Content-Type', type)
  res.setHeader('Content-Length', bytes.length)
  res.setHeader('X-Content-Type-Options', 'nosniff')
  res.end(bytes)
}
