/** Scopes and roles, per route and per MCP tool. */
import type { EntraAuth } from './entra-auth.js'
import { type AuthInternals, internalsOf } from './gate/caller.js'
import {
  type Guard,
  keepGuard,
  type Need,
  readGuard,
  type ScopeGuardOptions,
} from './gate/guard-options.js'
import { type Judgement, judgeCall } from './gate/guard-verdict.js'
import { watchTools } from './gate/listed-tools.js'
import { calledTools, McpRequestError, refuseMcpRequest } from './gate/mcp-request.js'
import { type Refusal, refusalFor, sendRefusal } from './gate/refuse.js'
import type { Middleware } from './http/middleware.js'
import { isAnswered, runAsync } from './http/run-async.js'
import { OAuthError } from './oauth/errors.js'
import type { AuthenticatedRequest } from './require-bearer.js'
import { checkAuth, isAuth, looksLikeOptions } from './setup/check-auth.js'

export type { Requirement, ScopeGuardOptions } from './gate/guard-options.js'

/**
 * Lets a request pass when its caller holds what the route, and every MCP tool it calls, needs. Otherwise 403
 * `insufficient_scope` with everything that is needed, in one challenge. Reads JSON-RPC bodies, batches too,
 * and leaves them on `req.body`: hand that to your transport.
 *
 * With `auth` in front, scope names are checked when the guard is made; without it, at the first request. Names of
 * tools that the server's answer to `tools/list` does not show are a `warning`, once.
 *
 * @throws TypeError for a scope `entraAuth` does not know, an option there is not, or no requirement at all
 * @see RFC 6750 section 3.1, MCP Authorization "Runtime Insufficient Scope Errors"
 * @example
 * app.post('/api/notes', requireBearer(auth), scopeGuard(auth, 'notes.write'), handler)
 * app.all('/mcp', requireBearer(auth), scopeGuard(auth, { tools: { add_note: 'notes.write' } }), handler)
 * scopeGuard(auth, { tools: { add_note: 'notes.write', list_notes: [] }, otherTools: 'deny' })
 */
export function scopeGuard(auth: EntraAuth, ...scopes: string[]): Middleware
export function scopeGuard(auth: EntraAuth, options: ScopeGuardOptions): Middleware
export function scopeGuard(...scopes: string[]): Middleware
export function scopeGuard(options: ScopeGuardOptions): Middleware
export function scopeGuard(...given: (EntraAuth | string | ScopeGuardOptions)[]): Middleware {
  const [first, ...rest] = given
  if (given.length > 0 && (first == null || looksLikeOptions(first))) {
    checkAuth('scopeGuard', first, ', …')
  }
  const auth = isAuth(first) ? (first as EntraAuth) : undefined
  const guard = readGuard((auth ? rest : given) as (string | ScopeGuardOptions)[])
  if (auth) guard.checkNames(auth.scopes)
  const report = auth && { report: auth.gate('scopeGuard').report }
  const watch = watchTools(guard)
  const scopeGuardMiddleware: Middleware = (req, res, next) => {
    if (isAnswered(res)) return
    runAsync({ req, res, next, ...report }, async (goOn) => {
      const refusal = await judgeRequest(guard, req)
      if (isAnswered(res)) return
      if (refusal) return sendRefusal(res, refusal)
      watch(req, res)
      goOn()
    })
  }
  return keepGuard(scopeGuardMiddleware, guard)
}

/** What to answer to a request, or undefined when it may pass. */
async function judgeRequest(guard: Guard, req: AuthenticatedRequest): Promise<Refusal | undefined> {
  const { tools, checkNames } = guard
  const caller = internalsOf(req.auth, 'scopeGuard')
  checkNames(caller.scopes)
  try {
    const called = tools.size > 0 ? await calledTools(req) : []
    const judgement = judgeCall(guard, caller, called)
    if (judgement.verdict === 'yes') return undefined
    return await refuseCall(caller, judgement, [
      ...new Set(called.filter((tool) => tools.has(tool))),
    ])
  } catch (error) {
    if (error instanceof McpRequestError) return refuseMcpRequest(caller, error)
    throw error
  }
}

/** @param named for the operator: the tools that are called and that the guard names */
async function refuseCall(
  caller: AuthInternals,
  { verdict, unmet, onlyFor }: Judgement,
  named: readonly string[],
): Promise<Refusal> {
  if (verdict === 'step-up') {
    const scopes = [...new Set(unmet.flatMap((need) => need.scopes))]
    return caller.refuseScopes(scopes, `This needs the scope ${scopes.join(' ')}.`, named)
  }
  const description = onlyFor
    ? `This is open to callers of the kind ${onlyFor.join(' or ')} only.`
    : describeNeeds(unmet)
  const error = new OAuthError('access_denied', description)
  caller.report(error, named)
  return refusalFor(error)
}

/** Within one need a role is as good as its scopes. Several needs have to be met together. */
function describeNeeds(unmet: readonly Need[]): string {
  if (unmet.length === 0) return 'This server opens no tool of that name to callers.'
  const wanted = unmet.map(({ scopes, roles }) =>
    [
      ...(scopes.length > 0 ? [`the scope ${scopes.join(' ')}`] : []),
      ...(roles.length > 0 ? [`one of the roles ${roles.join(' ')}`] : []),
    ].join(' or '),
  )
  return `This needs ${[...new Set(wanted)].join(' and ')}. An administrator assigns roles.`
}
