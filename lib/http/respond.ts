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

/** A page for a person. */
export interface Page {
  readonly html: string
  /** Of its text (BCP 47). */
  readonly language: string
  readonly contentSecurityPolicy: string
}

/** Sends a page that must not be framed or cached, and whose URL is not sent on as a referrer. */
export function sendPage(res: ServerResponse, status: number, page: Page): void {
  noStore(res)
  res.setHeader('Content-Language', page.language)
  res.setHeader('Content-Security-Policy', page.contentSecurityPolicy)
  res.setHeader('X-Frame-Options', 'DENY')
  res.setHeader('Referrer-Policy', 'no-referrer')
  send(res, status, 'text/html; charset=utf-8', page.html)
}

/** Redirects. Use 303 after a POST, so that browsers do not send the form on (RFC 9700 section 4.12). */
export function redirect(res: ServerResponse, status: 302 | 303, location: string): void {
  noStore(res)
  res.setHeader('Referrer-Policy', 'no-referrer')
  res.setHeader('Location', location)
  res.statusCode = status
  res.setHeader('Content-Length', '0')
  res.end()
}

/** Sends an error as JSON, with `Retry-After` if it has one. @see RFC 6749 section 5.2 */
export function sendOAuthError(res: ServerResponse, error: OAuthError): void {
  noStore(res)
  setRetryAfter(res, error)
  sendJson(res, error.status, error.toBody())
}

/** Sets `Retry-After`, if the error has one. */
export function setRetryAfter(
  res: ServerResponse,
  { retryAfter: seconds }: { readonly retryAfter?: number | undefined },
): void {
  if (seconds !== undefined) res.setHeader('Retry-After', String(seconds))
}

/** Closes the connection after the answer, when the request body has not been read. */
export function closeIfUnread(req: IncomingMessage, res: ServerResponse): void {
  if (!req.complete) res.setHeader('Connection', 'close')
}

function send(res: ServerResponse, status: number, type: string, text: string): void {
  res.statusCode = status
  res.setHeader('Content-Type', type)
  res.setHeader('Content-Length', Buffer.byteLength(text))
  res.setHeader('X-Content-Type-Options', 'nosniff')
  // As text, node:http sends it in one write with the headers.
  res.end(text)
}
