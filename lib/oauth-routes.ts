/** The OAuth proxy: its endpoints, and the path of each. */
import { advertisedScopes } from './entra/scopes.js'
import type { EntraAuth } from './entra-auth.js'
import type { Middleware } from './http/middleware.js'
import { sendJson } from './http/respond.js'
import { protectedResourceMetadata, wellKnownPath } from './oauth/resource.js'
import { authorize } from './routes/authorize.js'
import { callback } from './routes/callback.js'
import { consent } from './routes/consent.js'
import type { ProxyContext } from './routes/context.js'
import { jwks } from './routes/jwks.js'
import { authorizationServerMetadata } from './routes/metadata.js'
import { mountAdvice } from './routes/mount-advice.js'
import { register } from './routes/register.js'
import { revoke } from './routes/revoke.js'
import {
  apiRoute,
  type Endpoint,
  pageRoute,
  type RouteTable,
  runRoute,
} from './routes/run-route.js'
import { token } from './routes/token.js'
import { checkAuth } from './setup/check-auth.js'

/** Seconds for which the documents of discovery may be cached. */
const discoverySeconds = 3600

/**
 * The proxy flow: metadata, registration, consent, login at Entra, tokens, revocation, keys.
 * Mount it at the root of the application, whatever path `baseUrl` has.
 *
 * @throws TypeError when `keys` or `credential` were not given to `entraAuth`, or for anything but its result
 * @see RFC 6749, RFC 7591, RFC 7636, RFC 7009, RFC 8414, RFC 9207, RFC 9728
 * @example
 * app.use(oauthRoutes(auth))
 */
export function oauthRoutes(auth: EntraAuth): Middleware {
  checkAuth('oauthRoutes', auth)
  const context = auth.proxy('oauthRoutes')
  const routes = routeTable(context)
  const advice = mountAdvice(context)
  context.mounts.noteDiscovery()
  return function oauthRoutesMiddleware(req, res, next) {
    advice.see(req)
    runRoute(context, routes, req, res, next, advice.miss)
  }
}

function routeTable(context: ProxyContext): RouteTable {
  const { basePath, callbackPath } = context
  return new Map([
    ...discoveryDocuments(context).map(
      ([path, body]) => [path, apiRoute('GET', document(body))] as const,
    ),
    ...(context.features.registration
      ? [[`${basePath}/register`, apiRoute('POST', register(context))] as const]
      : []),
    [`${basePath}/authorize`, pageRoute('GET', authorize(context))],
    [`${basePath}/consent`, pageRoute('POST', consent(context))],
    [`${basePath}${callbackPath}`, pageRoute('GET', callback(context))],
    [`${basePath}/token`, apiRoute('POST', token(context))],
    [`${basePath}/revoke`, apiRoute('POST', revoke(context))],
    [`${basePath}/jwks`, apiRoute('GET', document(jwks(context)))],
  ])
}

/** Each document at its own path, and the first of each kind at the root as well: some clients look only there. */
function discoveryDocuments(context: ProxyContext): [string, unknown][] {
  const { resources, scopes, baseUrl, basePath, resourceName } = context
  const server = authorizationServerMetadata(context)
  const described = resources.map((resource): [string, unknown] => [
    new URL(resource.metadataUrl).pathname,
    protectedResourceMetadata({
      resource,
      resourceName,
      authorizationServers: [baseUrl],
      scopes: advertisedScopes(scopes),
    }),
  ])
  return [
    ['/.well-known/oauth-protected-resource', described[0]?.[1]],
    ['/.well-known/oauth-authorization-server', server],
    [wellKnownPath('oauth-authorization-server', basePath), server],
    ...described,
  ]
}

function document(body: unknown): Endpoint {
  return (_request, res) => {
    res.setHeader('Cache-Control', `public, max-age=${discoverySeconds}`)
    sendJson(res, 200, body)
  }
}
