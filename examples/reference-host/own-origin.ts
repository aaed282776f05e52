/** Keeps web pages of other origins away from the MCP endpoint: any page a user visits can send requests to it. */
import type { RequestHandler, Response } from 'express'

const loopbackHost = /^(?:(?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i

/**
 * Accepts requests without `Origin` (programs), and those from the origin of `baseUrl`, from loopback (MCP
 * Inspector, for example) or from a listed origin. A host on loopback also answers to loopback names only,
 * because a web page can make its own host name resolve to 127.0.0.1 (DNS rebinding). Elsewhere the reverse
 * proxy decides what `Host` is, and nothing here depends on it.
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

/** A JSON-RPC error without an id, as the SDK's transport sends it. */
function refuse(res: Response, header: string): void {
  const error = {
    code: -32000,
    message: `Forbidden: this server does not answer to that ${header}.`,
  }
  res.status(403).json({ jsonrpc: '2.0', error, id: null })
}
