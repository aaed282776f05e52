/** Direct mode: tells clients that Entra itself is the authorization server. */
import type { EntraAuth } from './entra-auth.js'
import { allowAnyOrigin, answerPreflight } from './http/cors.js'
import type { Middleware } from './http/middleware.js'
import { pathOf } from './http/request-path.js'
import { sendJson, sendOAuthError } from './http/respond.js'
import { isAnswered } from './http/run-async.js'
import { OAuthError } from './oauth/errors.js'
import { protectedResourceMetadata } from './oauth/resource.js'
import { checkAuth } from './setup/check-auth.js'

const methods = ['GET', 'HEAD', 'OPTIONS']

/**
 * Serves the protected-resource metadata of each resource, naming Entra as its authorization server, for
 * clients that have an app registration of their own and get their tokens from Entra directly. Challenges and
 * metadata then name scopes as Entra wants them: `api://…/notes.read`.
 *
 * @throws TypeError when `entraAuth` has `keys` and was not told `mode: 'direct'`
 * @see RFC 9728
 * @example
 * app.use(resourceMetadata(auth))
 */
export function resourceMetadata(auth: EntraAuth): Middleware {
  checkAuth('resourceMetadata', auth)
  const context = auth.gate('resourceMetadata')
  const { issuer, upstreamScopes } = context.directMode('resourceMetadata')
  const documents = context.resources.map((resource): [string, unknown] => [
    new URL(resource.metadataUrl).pathname,
    protectedResourceMetadata({
      resource,
      resourceName: context.resourceName,
      authorizationServers: [issuer],
      scopes: upstreamScopes,
    }),
  ])
  const byPath = new Map([
    ['/.well-known/oauth-protected-resource', documents[0]?.[1]],
    ...documents,
  ] as [string, unknown][])
  context.mounts.noteDiscovery()
  return function resourceMetadataMiddleware(req, res, next) {
    const path = pathOf(req)
    if (!byPath.has(path)) return next()
    if (isAnswered(res)) return
    allowAnyOrigin(res)
    if (req.method === 'OPTIONS') return answerPreflight(req, res, methods)
    if (req.method !== 'GET' && req.method !== 'HEAD') {
      res.setHeader('Allow', methods.join(', '))
      return sendOAuthError(res, new OAuthError('invalid_request', 'Use GET.', { status: 405 }))
    }
    res.setHeader('Cache-Control', 'public, max-age=3600')
    sendJson(res, 200, byPath.get(path))
  }
}
