/** The notes server behind the four middlewares, on plain `node:http`. */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'
import type { EntraAuth } from '../../entra-auth.js'
import { allowAnyOrigin, answerPreflight } from '../../http/cors.js'
import type { Middleware, MiddlewareRequest } from '../../http/middleware.js'
import { sendJson } from '../../http/respond.js'
import { isLoopbackHost } from '../../oauth/loopback.js'
import { oauthRoutes } from '../../oauth-routes.js'
import { oboToken } from '../../obo-token.js'
import { requireBearer } from '../../require-bearer.js'
import { scopeGuard } from '../../scope-guard.js'
import { mcpEndpoint } from './mcp-endpoint.js'
import { notesTools } from './notes-tools.js'

/** In full: Entra has to know which API it is for. */
export const graphScopes = ['https://graph.microsoft.com/User.Read']

/** @param fail hears of errors that nobody else has answered */
export function notesApp(
  auth: EntraAuth,
  graphUrl: string,
  fail: (error: unknown) => void,
): RequestListener {
  const answer = mcpEndpoint('notes', notesTools(graphUrl))
  const atMcp = chain([
    (req, res, next) => {
      allowAnyOrigin(res)
      if (req.method === 'OPTIONS') answerPreflight(req, res, ['POST', 'OPTIONS'])
      else next()
    },
    requireBearer(auth),
    scopeGuard(auth, { tools: { add_note: 'notes.write' } }),
    oboToken(auth, { graph: { scopes: graphScopes, tools: ['my_profile'] } }),
    (req, res, next) => void answer(req, res).catch(next),
  ])
  const handle = chain([
    onlyFromHere,
    oauthRoutes(auth),
    (req, res, next) => (pathOf(req) === '/mcp' ? atMcp(req, res, next) : next()),
    (_req, res) => sendJson(res, 404, { error: 'not_found', error_description: 'Use /mcp.' }),
  ])
  return (req, res) =>
    handle(req, res, (error) => {
      fail(error)
      if (res.headersSent) res.destroy()
      else sendJson(res, 500, { error: 'server_error' })
    })
}

function chain(middlewares: readonly Middleware[]): Middleware {
  return (req, res, done) => {
    const go = (index: number, error?: unknown): void => {
      const next = middlewares[index]
      if (error !== undefined || !next) return done(error)
      next(req, res, (failure) => go(index + 1, failure))
    }
    go(0)
  }
}

/**
 * Any page that a user visits can send requests to this machine, and make its own host name resolve to it. So both
 * names have to be of loopback.
 *
 * @see MCP 2025-11-25, Transports, Security Warning
 */
function onlyFromHere(req: MiddlewareRequest, res: ServerResponse, next: () => void): void {
  const { host = '', origin = `http://${host}` } = req.headers
  const isHere = (url: string) => URL.canParse(url) && isLoopbackHost(new URL(url).hostname)
  // Browsers send `Origin: null` with a form that came after a redirect, such as that of the consent page.
  const isForm = origin === 'null' && pathOf(req) !== '/mcp'
  if (isHere(`http://${host}`) && (isHere(origin) || isForm)) return next()
  sendJson(res, 403, { error: 'access_denied', error_description: 'Only from this machine.' })
}

function pathOf(req: IncomingMessage): string {
  return (req.url ?? '/').split('?', 1)[0] ?? '/'
}
