/** Answers requests by a table of routes: methods, CORS, and one error boundary around all endpoints. */
import type { ServerResponse } from 'node:http'
import { randomReference } from '../crypto/reference.js'
import { allowAnyOrigin, answerPreflight } from '../http/cors.js'
import { factsOf } from '../http/event-facts.js'
import type { MiddlewareRequest, Next } from '../http/middleware.js'
import { targetOf } from '../http/request-path.js'
import { closeIfUnread, sendOAuthError, sendPage, setRetryAfter } from '../http/respond.js'
import { asError, isAbandoned, isAnswered, runAsync } from '../http/run-async.js'
import { FetchFailure } from '../http/safe-fetch.js'
import { OAuthError } from '../oauth/errors.js'
import { originForm } from '../oauth/request-target.js'
import type { Look } from '../pages/look.js'
import { problemPage } from '../pages/problem-page.js'
import type { EndpointRequest, ProxyContext } from './context.js'

/** Answers one kind of request. What it throws is answered and reported by the boundary. */
export type Endpoint = (request: EndpointRequest, res: ServerResponse) => void | Promise<void>

/** What happens at one path. */
export interface Route {
  readonly method: 'GET' | 'POST'
  readonly endpoint: Endpoint
  /** Programs call it: it gets CORS, and its errors are JSON. Otherwise a person reads a page. */
  readonly forPrograms: boolean
}

/** Routes by their whole path. */
export type RouteTable = ReadonlyMap<string, Route>

/** A route that programs call. */
export function apiRoute(method: Route['method'], endpoint: Endpoint): Route {
  return { method, endpoint, forPrograms: true }
}

/** A route whose answers a person reads. */
export function pageRoute(method: Route['method'], endpoint: Endpoint): Route {
  return { method, endpoint, forPrograms: false }
}

type RunContext = Pick<ProxyContext, 'report' | 'looks' | 'now'>

/**
 * Answers a request whose path is in the table, and goes on with every other one.
 *
 * @param onMiss hears of those before they go on
 */
export function runRoute(
  context: RunContext,
  routes: RouteTable,
  req: MiddlewareRequest,
  res: ServerResponse,
  next: Next,
  onMiss?: (path: string, res: ServerResponse) => void,
): void {
  const url = targetOf(req)
  const question = url.indexOf('?')
  const path = question < 0 ? url : url.slice(0, question)
  const route = routes.get(path)
  if (!route) {
    onMiss?.(path, res)
    return next()
  }
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
  context: RunContext,
  route: Route,
  request: EndpointRequest,
  res: ServerResponse,
  error: unknown,
  next: Next,
): void {
  const { req } = request
  if (isAbandoned(req, error)) return
  const endpoint = originForm(req.url ?? '').split('?', 1)[0] ?? ''
  if (!(error instanceof OAuthError)) {
    // When the request has been answered, `next` does not hear of the error. Having been answered is not an error itself.
    if (isAnswered(res) && !isHeadersSent(error))
      context.report('failure', { endpoint, reason: 'server_error', cause: error })
    return next(asError(error))
  }
  const reference = route.forPrograms ? undefined : randomReference()
  const facts = { ...factsOf(error), reference }
  const { code: reason, description: detail, status, cause } = error
  const event = { endpoint, reason, detail, origin: originOf(error) }
  if (status >= 500) context.report('failure', { ...event, cause }, facts)
  else context.report('refusal', event, facts)
  if (isAnswered(res)) return
  closeIfUnread(req, res)
  if (reference !== undefined) {
    const look = context.looks.forReader(req, request.query.get('ui_locales') ?? undefined)
    return sendProblem(res, look, error, reference)
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

/** Sends the page that says why a sign-in cannot go on. @param reference what has been reported has it too */
export function sendProblem(
  res: ServerResponse,
  look: Look,
  error: OAuthError,
  reference: string,
): void {
  setRetryAfter(res, error)
  sendPage(res, error.status, problemPage(look, error, reference))
}
