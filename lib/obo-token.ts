/** Tokens for downstream APIs, exchanged on behalf of the user before a route or a tool runs. */

import type { ServerResponse } from 'node:http'
import { EntraError } from './entra/errors.js'
import type { EntraAuth } from './entra-auth.js'
import { type AuthInfo, type AuthInternals, internalsOf, withInternals } from './gate/caller.js'
import type { GateContext } from './gate/context.js'
import { calledTools, McpRequestError, sendMcpRequestError } from './gate/mcp-request.js'
import { allowAnyOrigin } from './http/cors.js'
import type { Middleware, Next } from './http/middleware.js'
import { sendOAuthError } from './http/respond.js'
import { isAnswered, runAsync } from './http/run-async.js'
import { bearerChallenge } from './oauth/challenge.js'
import { OAuthError } from './oauth/errors.js'
import type { AuthenticatedRequest } from './require-bearer.js'

/** One downstream API. */
export interface Downstream {
  /** Full names, all of one API: `https://graph.microsoft.com/User.Read`. */
  readonly scopes: readonly string[]
  /** MCP tools that need it: exchanged before one of them runs. Without it: before every request. */
  readonly tools?: readonly string[]
}

/**
 * Exchanges the caller's token for tokens of other APIs, so that `downstreamToken(auth, name)` has them at
 * hand. What goes wrong is answered here, in HTTP, where an MCP client can act on it: 401 `insufficient_claims`
 * when Entra wants more of the user, 403 for missing consent and for apps, 503 for an outage.
 *
 * @throws TypeError for scopes without an API in front, of two APIs, or without a `credential` in `entraAuth`
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
 * @example
 * oboToken(auth, { graph: { scopes: ['https://graph.microsoft.com/User.Read'], tools: ['my_profile'] } })
 */
export function oboToken(auth: EntraAuth, apis: Readonly<Record<string, Downstream>>): Middleware {
  const context = auth.gate('oboToken')
  context.checkExchange('oboToken')
  const all = Object.entries(apis)
  if (all.length === 0) throw new TypeError('oboToken: name at least one downstream API')
  for (const [name, { scopes }] of all) checkDownstream(name, scopes)
  const byName = Object.freeze(Object.fromEntries(all.map(([name, { scopes }]) => [name, scopes])))
  return function oboTokenMiddleware(req, res, next) {
    if (isAnswered(res)) return
    runAsync(req, res, next, (goOn) => exchangeNow(context, all, byName, req, res, goOn))
  }
}

const oidcScopes = ['openid', 'profile', 'email', 'offline_access']

/** Entra gives one token for one API (AADSTS28000), and takes a bare name for one of Graph's. */
function checkDownstream(name: string, scopes: readonly string[]): void {
  const where = `oboToken: ${name}.scopes`
  if (!Array.isArray(scopes) || scopes.length === 0)
    throw new TypeError(`${where} must name a scope`)
  const apis = scopes.map((scope) => {
    const slash = typeof scope === 'string' ? scope.lastIndexOf('/') : -1
    if (slash < 1 || oidcScopes.includes(scope)) {
      throw new TypeError(
        `${where}: "${scope}" names no API: write "https://graph.microsoft.com/${scope}"`,
      )
    }
    if (/^[a-z][a-z0-9+.-]*:\/\/[^/]*\/?$/i.test(scope)) {
      throw new TypeError(
        `${where}: "${scope}" names an API and no scope: write "${scope.replace(/\/$/, '')}/.default", or one of its scopes`,
      )
    }
    return scope.slice(0, slash)
  })
  if (new Set(apis).size > 1) {
    throw new TypeError(`${where} are of two APIs: give each its own name in oboToken`)
  }
  if (scopes.length > 1 && scopes.some((scope) => scope.endsWith('/.default'))) {
    throw new TypeError(`${where} mixes .default with named scopes: AADSTS70011`)
  }
}

async function exchangeNow(
  context: GateContext,
  all: readonly (readonly [string, Downstream])[],
  byName: AuthInternals['downstream'],
  req: AuthenticatedRequest,
  res: ServerResponse,
  next: Next,
): Promise<void> {
  const caller = internalsOf(req.auth, 'oboToken')
  const auth = req.auth as AuthInfo
  req.auth = {
    ...auth,
    extra: withInternals({ ...auth.extra }, () => ({
      ...caller,
      downstream: { ...caller.downstream, ...byName },
    })),
  }
  try {
    const needed = await neededNow(all, req)
    await Promise.all(needed.map(({ scopes }) => caller.exchange({ scopes })))
  } catch (error) {
    if (error instanceof McpRequestError) return sendMcpRequestError(res, error, caller.report)
    if (error instanceof OAuthError) return refuse(context, res, auth, error)
    throw error
  }
  next()
}

async function neededNow(
  all: readonly (readonly [string, Downstream])[],
  req: AuthenticatedRequest,
): Promise<readonly Downstream[]> {
  const perTool = all.some(([, { tools }]) => tools !== undefined)
  const called = perTool ? await calledTools(req) : []
  return all
    .map(([, api]) => api)
    .filter(({ tools }) => tools === undefined || tools.some((tool) => called.includes(tool)))
}

function refuse(
  context: GateContext,
  res: ServerResponse,
  auth: AuthInfo,
  error: OAuthError,
): void {
  if (isAnswered(res)) return
  if (error.status === 401) res.setHeader('WWW-Authenticate', challenge(context, auth, error))
  allowAnyOrigin(res)
  sendOAuthError(res, error)
}

/** @see https://learn.microsoft.com/entra/identity-platform/claims-challenge (`claims` in standard base64) */
function challenge(context: GateContext, auth: AuthInfo, error: OAuthError): string {
  const claims = error.cause instanceof EntraError ? error.cause.claims : undefined
  return bearerChallenge({
    error: error.code,
    error_description: error.description,
    claims: claims && Buffer.from(claims).toString('base64'),
    authorization_uri: claims && auth.extra.user && context.authorizationUri(auth.extra.user.tid),
    // A client of the proxy logs in again for what it has: without this, for the required scopes alone.
    scope: auth.extra.tokenKind === 'proxy' ? context.challengeScopes(auth.scopes) : undefined,
    resource_metadata: auth.resourceMetadataUrl,
  })
}
