/** The gate: a good token becomes `req.auth`, anything else a challenge that tells the client how to get one. */
import type { ServerResponse } from 'node:http'
import { checkOptionNames } from './entra/option-names.js'
import type { EntraAuth } from './entra-auth.js'
import type { AuthInfo } from './gate/caller.js'
import type { GateContext } from './gate/context.js'
import { gateAdvice } from './gate/gate-advice.js'
import { isOwn } from './gate/own-token.js'
import { sendRefusal } from './gate/refuse.js'
import { type Gate, makeGate, type Verdict, verifyBearer } from './gate/verify-bearer.js'
import { isBoundToken, verifyBound } from './gate/verify-bound.js'
import { exposeChallenge, sendDpopNonce } from './http/cors.js'
import type { Middleware, MiddlewareRequest, Next } from './http/middleware.js'
import { asError, isAnswered, runAsync } from './http/run-async.js'
import type { Resource } from './oauth/resource.js'
import { checkAuth } from './setup/check-auth.js'

/** Options of {@link requireBearer}. */
export interface RequireBearerOptions {
  /** Which of `entraAuth`'s `resources` this route belongs to (default: the first). */
  readonly resource?: string
}

/** A request that came through the gate. */
export type AuthenticatedRequest = MiddlewareRequest & { auth?: AuthInfo }

/**
 * Lets requests with a good access token pass, with `req.auth` set: tokens of the proxy and Entra's own alike, and
 * those that are bound to a key (DPoP) with a proof of it.
 * No token is a 401 with a bare challenge, a bad one a 401 `invalid_token`, a missing required scope a 403,
 * an outage a 503: never a 401.
 *
 * @throws TypeError for a resource `entraAuth` does not know
 * @see RFC 6750 section 3, RFC 9449 section 7, RFC 9728 section 5, MCP Authorization "Token Handling"
 * @example
 * app.all('/mcp', requireBearer(auth), handler)
 */
export function requireBearer(auth: EntraAuth, options: RequireBearerOptions = {}): Middleware {
  checkAuth('requireBearer', auth)
  checkOptionNames('requireBearer', options, ['resource'])
  const context = auth.gate('requireBearer')
  const resource = findResource(context, options.resource)
  const gate = makeGate(context, resource)
  const advise = gateAdvice(context, resource)
  return function requireBearerMiddleware(req: AuthenticatedRequest, res, next) {
    if (isAnswered(res)) return
    exposeChallenge(res)
    let verdict: Verdict | Promise<Verdict>
    try {
      verdict = verify(gate, req)
    } catch (error) {
      return next(asError(error))
    }
    if (!(verdict instanceof Promise)) return carryOut(context, advise, verdict, req, res, next)
    runAsync({ req, res, next, report: context.report }, async (goOn) => {
      const late = await verdict
      if (!isAnswered(res)) carryOut(context, advise, late, req, res, goOn)
    })
  }
}

function verify(gate: Gate, req: MiddlewareRequest): Verdict | Promise<Verdict> {
  const { authorization, dpop } = req.headers
  if (!gate.context.dpop || !isBoundToken(authorization)) return verifyBearer(gate, authorization)
  const { method = '', originalUrl, url = '/' } = req
  return verifyBound(gate, gate.context.dpop, {
    authorization,
    proof: dpop === undefined ? undefined : String(dpop),
    method,
    url: originalUrl ?? url,
  })
}

function carryOut(
  { openResponses }: GateContext,
  advise: (req: MiddlewareRequest) => void,
  verdict: Verdict,
  req: AuthenticatedRequest,
  res: ServerResponse,
  next: Next,
): void {
  if ('refusal' in verdict) {
    if (verdict.refusal.status === 401) advise(req)
    return sendRefusal(res, verdict.refusal)
  }
  const { auth, verified, dpopNonce } = verdict
  req.auth = auth
  if (dpopNonce !== undefined) sendDpopNonce(res, dpopNonce)
  if (openResponses && isOwn(verified)) openResponses.watch(res, verified)
  next()
}

function findResource({ resources }: GateContext, path: string | undefined): Resource {
  if (path === undefined) return resources[0]
  const found = resources.find((resource) => resource.path === path)
  if (found) return found
  const known = resources.map((resource) => `"${resource.path}"`).join(', ')
  throw new TypeError(
    `requireBearer: no such resource: "${path}": entraAuth's resources are ${known}`,
  )
}
