/** Scopes and roles, per route and per MCP tool. */

import type { ServerResponse } from 'node:http'
import { type AuthInfo, type AuthInternals, internalsOf } from './gate/caller.js'
import { calledTools, McpRequestError, sendMcpRequestError } from './gate/mcp-request.js'
import { allowAnyOrigin } from './http/cors.js'
import type { Middleware, Next } from './http/middleware.js'
import { sendOAuthError } from './http/respond.js'
import { isAnswered, runAsync } from './http/run-async.js'
import { checkScopes } from './known-scopes.js'
import { OAuthError } from './oauth/errors.js'
import type { AuthenticatedRequest } from './require-bearer.js'

/** What a caller must hold: all of the scopes, or, where roles are named, one of the roles instead. */
export interface Requirement {
  readonly scopes?: string | readonly string[]
  /** App roles, of users and of apps. Any one of them will do. */
  readonly roles?: string | readonly string[]
}

/** Options of {@link scopeGuard}. */
export interface ScopeGuardOptions extends Requirement {
  /** What each MCP tool needs besides: scopes by name, or a {@link Requirement}. */
  readonly tools?: Readonly<Record<string, string | readonly string[] | Requirement>>
}

interface Need {
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
}

/**
 * Lets a request pass when its caller holds what the route, and every MCP tool it calls, needs. Otherwise 403
 * `insufficient_scope` with everything that is needed, in one challenge. Reads JSON-RPC bodies, batches too,
 * and leaves them on `req.body`: hand that to your transport.
 *
 * @throws TypeError for a scope `entraAuth` does not know, or no requirement at all
 * @see RFC 6750 section 3.1, MCP Authorization "Runtime Insufficient Scope Errors"
 * @example
 * app.post('/api/notes', requireBearer(auth), scopeGuard('notes.write'), handler)
 * app.all('/mcp', requireBearer(auth), scopeGuard({ tools: { add_note: 'notes.write' } }), handler)
 */
export function scopeGuard(...scopes: string[]): Middleware
export function scopeGuard(options: ScopeGuardOptions): Middleware
export function scopeGuard(...given: (string | ScopeGuardOptions)[]): Middleware {
  const { route, tools } = readOptions(given)
  return function scopeGuardMiddleware(req, res, next) {
    if (isAnswered(res)) return
    runAsync(req, res, next, (goOn) => guard(route, tools, req, res, goOn))
  }
}

function readOptions(given: readonly (string | ScopeGuardOptions)[]) {
  const [first] = given
  const options: ScopeGuardOptions =
    typeof first === 'object' ? first : { scopes: given as readonly string[] }
  const route = need(options)
  const tools = new Map(
    Object.entries(options.tools ?? {}).map(([tool, what]) => [tool, toolNeed(tool, what)]),
  )
  if (tools.size === 0 && route.scopes.length + route.roles.length === 0) {
    throw new TypeError('scopeGuard: name a scope, a role or a tool to guard')
  }
  return { route, tools }
}

/** A misspelt option must not leave a tool open. */
function toolNeed(tool: string, what: string | readonly string[] | Requirement): Need {
  const isList = typeof what === 'string' || Array.isArray(what)
  const wanted = need(isList ? { scopes: what } : { ...(what as Requirement) })
  if (wanted.scopes.length + wanted.roles.length > 0) return wanted
  throw new TypeError(
    `scopeGuard: tools.${tool} names no scope and no role: leave the tool out if it needs none`,
  )
}

function need({ scopes = [], roles = [] }: Requirement): Need {
  const list = (value: string | readonly string[]) =>
    typeof value === 'string' ? [value] : [...value]
  const wanted = { scopes: list(scopes), roles: list(roles) }
  checkScopes('scopeGuard', wanted.scopes)
  return wanted
}

async function guard(
  route: Need,
  tools: ReadonlyMap<string, Need>,
  req: AuthenticatedRequest,
  res: ServerResponse,
  next: Next,
): Promise<void> {
  const caller = internalsOf(req.auth, 'scopeGuard')
  const needs = [route]
  if (tools.size > 0) {
    try {
      for (const tool of await calledTools(req)) needs.push(tools.get(tool) ?? noNeed)
    } catch (error) {
      if (error instanceof McpRequestError) return sendMcpRequestError(res, error, caller.report)
      throw error
    }
    if (isAnswered(res)) return
  }
  const unmet = needs.filter((one) => !isMet(caller, one))
  if (unmet.length === 0) return next()
  await refuse(caller, req.auth as AuthInfo, res, unmet)
}

const noNeed: Need = { scopes: [], roles: [] }

function isMet({ claims, missingScopes }: AuthInternals, { scopes, roles }: Need): boolean {
  const held = claims.roles ?? []
  if (roles.some((role) => held.includes(role))) return true
  if (scopes.length === 0) return roles.length === 0
  return missingScopes(scopes).length === 0
}

async function refuse(
  caller: AuthInternals,
  auth: AuthInfo,
  res: ServerResponse,
  unmet: readonly Need[],
): Promise<void> {
  const scopes = [...new Set(unmet.flatMap((one) => one.scopes))]
  const roles = [...new Set(unmet.flatMap((one) => one.roles))]
  // No login brings a role, and none brings an app a scope: then there is nothing to challenge for.
  const canStepUp = auth.extra.user !== undefined && unmet.every((one) => one.scopes.length > 0)
  if (canStepUp)
    return caller.refuseScopes(res, scopes, `This needs the scope ${scopes.join(' ')}.`)
  const wanted = [
    ...(scopes.length > 0 ? [`the scope ${scopes.join(' ')}`] : []),
    ...(roles.length > 0 ? [`one of the roles ${roles.join(' ')}`] : []),
  ]
  const description = `This needs ${wanted.join(' or ')}. An administrator assigns roles.`
  const error = new OAuthError('access_denied', description)
  caller.report(error)
  allowAnyOrigin(res)
  sendOAuthError(res, error)
}
