/** The OAuth proxy: its endpoints, their methods, CORS, and one error boundary around them. */
import type { ServerResponse } from 'node:http'
import { advertisedScopes } from './entra/scopes.js'
import type { EntraAuth } from './entra-auth.js'
import { allowAnyOrigin, answerPreflight } from './http/cors.js'
import type { Middleware, Next } from './http/middleware.js'
import { closeIfUnread, sendJson, sendOAuthError, sendPage, setRetryAfter } from './http/respond.js'
import { asError, isAbandoned, isAnswered, runAsync } from './http/run-async.js'
import { FetchFailure } from './http/safe-fetch.js'
import { OAuthError } from './oauth/errors.js'
import { protectedResourceMetadata, wellKnownPath } from './oauth/resource.js'
import { problemPage } from './pages/problem-page.js'
import { authorize } from './routes/authorize.js'
import { callback } from './routes/callback.js'
import { consent } from './routes/consent.js'
import type { EndpointRequest, ProxyContext } from './routes/context.js'
import { jwks } from './routes/jwks.js'
import { authorizationServerMetadata } from './routes/metadata.js'
import { register } from './routes/register.js'
import { revoke } from './routes/revoke.js'
import { token } from './routes/token.js'

type Endpoint = (request: EndpointRequest, res: ServerResponse) => void | Promise<void>

interface Route {
  readonly method: 'GET' | 'POST'
  readonly endpoint: Endpoint
  /** Programs call it: it gets CORS, and its errors are JSON. Otherwise a person reads a page. */
  readonly forPrograms: boolean
}

/** Seconds for which the documents of discovery may be cached. */
const discoverySeconds = 3600

/**
 * The proxy flow: metadata, registration, consent, login at Entra, tokens, revocation, keys.
 * Mount it at the root of the application, whatever path `baseUrl` has.
 *
 * @throws TypeError when `keys` or `credential` were not given to `entraAuth`
 * @see RFC 6749, RFC 7591, RFC 7636, RFC 7009, RFC 8414, RFC 9207, RFC 9728
 * @example
 * app.use(oauthRoutes(auth))
 */
export function oauthRoutes(auth: EntraAuth): Middleware {
  const context = auth.proxy('oauthRoutes')
  const routes = routeTable(context)
  return function oauthRoutesMiddleware(req, res, next) {
    const url = req.originalUrl ?? req.url ?? '/'
    const question = url.indexOf('?')
    const route = routes.get(question < 0 ? url : url.slice(0, question))
    if (!route) return next()
    if (isAnswered(res)) return
    const query = new URLSearchParams(question < 0 ? '' : url.slice(question + 1))
    const request = { req, query, arrivedAt: context.now() }
    runAsync({ req, res, next }, async (goOn) => {
      try {
        await answer(route, request, res)
      } catch (error) {
        fail(context, route, request, res, error, goOn)
      }
    })
  }
}

function routeTable(context: ProxyContext): ReadonlyMap<string, Route> {
  const { basePath, callbackPath } = context
  const page = (method: Route['method'], endpoint: Endpoint): Route => ({
    method,
    endpoint,
    forPrograms: false,
  })
  const api = (method: Route['method'], endpoint: Endpoint): Route => ({
    method,
    endpoint,
    forPrograms: true,
  })
  return new Map([
    ...discoveryDocuments(context).map(
      ([path, body]) => [path, api('GET', document(body))] as const,
    ),
    ...(context.features.registration
      ? [[`${basePath}/register`, api('POST', register(context))] as const]
      : []),
    [`${basePath}/authorize`, page('GET', authorize(context))],
    [`${basePath}/consent`, page('POST', consent(context))],
    [`${basePath}${callbackPath}`, page('GET', callback(context))],
    [`${basePath}/token`, api('POST', token(context))],
    [`${basePath}/revoke`, api('POST', revoke(context))],
    [`${basePath}/jwks`, api('GET', document(jwks(context)))],
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

async function answer(route: Route, request: EndpointRequest, res: ServerResponse): Promise<void> {
  const { req } = request
  if (route.forPrograms) allowAnyOrigin(res)
  const methods = route.method === 'GET' ? ['GET', 'HEAD', 'OPTIONS'] : [route.method, 'OPTIONS']
  if (req.method === 'OPTIONS') return answerPreflight(req, res, methods)
  if (!methods.includes(req.method ?? '')) {
    res.setHeader('Allow', methods.join(', '))
    throw new OAuthError('invalid_request', `Use ${route.method}.`, { status: 405 })
  }
  await route.endpoint(request, res)
}

function fail(
  context: ProxyContext,
  route: Route,
  { req, query }: EndpointRequest,
  res: ServerResponse,
  error: unknown,
  next: Next,
): void {
  if (isAbandoned(req)) return
  const endpoint = req.url?.split('?', 1)[0]
  if (!(error instanceof OAuthError)) {
    // When the request has been answered, `next` does not hear of the error. Having been answered is not an error itself.
    if (isAnswered(res) && !isHeadersSent(error))
      context.report('failure', { endpoint, reason: 'server_error', cause: error })
    return next(asError(error))
  }
  const name = error.status >= 500 ? 'failure' : 'refusal'
  context.report(name, {
    endpoint,
    reason: error.code,
    detail: error.description,
    ...(error.status >= 500 && { cause: error.cause }),
    origin: originOf(error),
  })
  if (isAnswered(res)) return
  closeIfUnread(req, res)
  if (!route.forPrograms) {
    const look = context.looks.forReader(req, query.get('ui_locales') ?? undefined)
    setRetryAfter(res, error)
    return sendPage(res, error.status, problemPage(look, error))
  }
  if (error.code === 'invalid_client' && req.headers.authorization !== undefined) {
    res.setHeader('WWW-Authenticate', 'Basic realm="token endpoint"')
  }
  sendOAuthError(res, error)
}

/** Whether an endpoint tried to answer after a timeout had answered. */
function isHeadersSent(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 'ERR_HTTP_HEADERS_SENT'
}

/** The sender of a client id decides where its document is fetched, and so whether that can succeed. */
function originOf({ cause }: OAuthError): 'stranger' | undefined {
  return cause instanceof FetchFailure ? 'stranger' : undefined
}
