/** CORS for the endpoints that clients in a browser call. They use no cookies, so any origin may call them. */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Seconds a browser may remember a preflight. */
const preflightSeconds = 86_400

/** Allows any origin and shows it the challenge. */
export function allowAnyOrigin(res: ServerResponse): void {
  if (!res.hasHeader('Access-Control-Allow-Origin'))
    res.setHeader('Access-Control-Allow-Origin', '*')
  exposeChallenge(res)
}

/** Lets a script read `WWW-Authenticate`. */
export function exposeChallenge(res: ServerResponse): void {
  expose(res, 'WWW-Authenticate', /(?:^|,)\s*(?:www-authenticate|\*)\s*(?:,|$)/i)
}

/**
 * Sets the nonce for the next DPoP proof, and lets a script read it. Out of a cache it would be an old one.
 *
 * @see RFC 9449 section 8.2
 */
export function sendDpopNonce(res: ServerResponse, nonce: string): void {
  res.setHeader('DPoP-Nonce', nonce)
  if (!res.hasHeader('Cache-Control')) res.setHeader('Cache-Control', 'no-store')
  expose(res, 'DPoP-Nonce', /(?:^|,)\s*(?:dpop-nonce|\*)\s*(?:,|$)/i)
}

function expose(res: ServerResponse, header: string, already: RegExp): void {
  const name = 'Access-Control-Expose-Headers'
  const exposed = res.getHeader(name)
  if (exposed === undefined) return void res.setHeader(name, header)
  if (!already.test(String(exposed))) res.setHeader(name, `${exposed}, ${header}`)
}

/** Answers a preflight: 204 with what is allowed. */
export function answerPreflight(
  req: IncomingMessage,
  res: ServerResponse,
  methods: readonly string[],
): void {
  const wanted = req.headers['access-control-request-headers']
  res.statusCode = 204
  res.setHeader('Access-Control-Allow-Methods', methods.join(', '))
  res.setHeader('Access-Control-Allow-Headers', safeHeaderList(wanted))
  res.setHeader('Access-Control-Max-Age', preflightSeconds)
  res.appendHeader('Vary', 'Access-Control-Request-Headers')
  res.setHeader('Content-Length', '0')
  res.end()
}

function safeHeaderList(wanted: string | undefined): string {
  const fallback = 'Authorization, Content-Type, DPoP, MCP-Protocol-Version'
  return wanted && /^[A-Za-z0-9-]+(?:\s*,\s*[A-Za-z0-9-]+)*$/.test(wanted) ? wanted : fallback
}
