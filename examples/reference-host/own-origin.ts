/** Keeps web pages of other origins away from the MCP endpoint: a page needs no bad client to send requests. */
import type { RequestHandler, Response } from 'express'

const loopbackHost = /^(?:(?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i

/**
 * Lets requests pass that carry no `Origin` (programs) or one of ours: that of `baseUrl`, any on loopback
 * (MCP Inspector and the like), and those listed. A host on loopback answers to loopback names only, for a
 * page elsewhere can have a name of its own point at 127.0.0.1 (DNS rebinding). Everywhere else `Host` is what
 * the reverse proxy makes of it, and nothing here depends on it.
 *
 * @see MCP 2025-11-25 and 2026-07-28, Transports, Security Warning
 */
export function ownOrigin(baseUrl: string, allowedOrigins: readonly string[] = []): RequestHandler {
  const own = new URL(baseUrl)
  const origins = new Set([own.origin, ...allowedOrigins])
  const local = loopbackHost.test(own.hostname)
  return function ownOriginMiddleware({ headers: { origin, host } }, res, next) {
    if (origin !== undefined && !origins.has(origin) && !isLoopback(origin)) {
      return refuse(res, 'Origin')
    }
    if (local && !isLoopback(`http://${host}`)) return refuse(res, 'Host')
    next()
  }
}

function isLoopback(url: string): boolean {
  return URL.canParse(url) && loopbackHost.test(new URL(url).hostname)
}

/** A JSON-RPC error without an id, as the transport has it. */
function refuse(res: Response, header: string): void {
  const error = {
    code: -32000,
    message: `Forbidden: this server does not answer to that ${header}.`,
  }
  res.status(403).json({ jsonrpc: '2.0', error, id: null })
}
