/** Scopes and roles, per route and per MCP tool. */
import { isScopeToken, type ScopeStrategy } from './entra/scopes.js'
import type { EntraAuth } from './entra-auth.js'
import { type AuthInternals, internalsOf } from './gate/caller.js'
import { calledTools, McpRequestError, refuseMcpRequest } from './gate/mcp-request.js'
import { type Refusal, refusalFor, sendRefusal } from './gate/refuse.js'
import type { Middleware } from './http/middleware.js'
import { isAnswered, runAsync } from './http/run-async.js'
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

const nothing: Need = { scopes: [], roles: [] }

/** What a guard was made with. */
interface Guard {
  readonly route: Need
  readonly tools: ReadonlyMap<string, Need>
  /** @throws TypeError for a scope that the strategy does not have */
  readonly checkNames: (scopes: ScopeStrategy) => void
}

/**
 * Lets a request pass when its caller holds what the route, and every MCP tool it calls, needs. Otherwise 403
 * `insufficient_scope` with everything that is needed, in one challenge. Reads JSON-RPC bodies, batches too,
 * and leaves them on `req.body`: hand that to your transport.
 *
 * With `auth` in front, scope names are checked when the guard is made; without it, at the first request.
 *
 * @throws TypeError for a scope `entraAuth` does not know, or no requirement at all
 * @see RFC 6750 section 3.1, MCP Authorization "Runtime Insufficient Scope Errors"
 * @example
 * app.post('/api/notes', requireBearer(auth), scopeGuard(auth, 'notes.write'), handler)
 * app.all('/mcp', requireBearer(auth), scopeGuard(auth, { tools: { add_note: 'notes.write' } }), handler)
 */
export function scopeGuard(auth: EntraAuth, ...scopes: string[]): Middleware
export function scopeGuard(auth: EntraAuth, options: ScopeGuardOptions): Middleware
export function scopeGuard(...scopes: string[]): Middleware
export function scopeGuard(options: ScopeGuardOptions): Middleware
export function scopeGuard(...given: (EntraAuth | string | ScopeGuardOptions)[]): Middleware {
  const [first, ...rest] = given
  const auth = isAuth(first) ? first : undefined
  const guard = readOptions((auth ? rest : given) as (string | ScopeGuardOptions)[])
  if (auth) guard.checkNames(auth.scopes)
  const report = auth && { report: auth.gate('scopeGuard').report }
  return function scopeGuardMiddleware(req, res, next) {
    if (isAnswered(res)) return
    runAsync({ req, res, next, ...report }, async (goOn) => {
      const refusal = await judgeRequest(guard, req)
      if (isAnswered(res)) return
      if (refusal) return sendRefusal(res, refusal)
      goOn()
    })
  }
}

function isAuth(value: unknown): value is EntraAuth {
  return typeof (value as EntraAuth | undefined)?.gate === 'function'
}

function readOptions(given: readonly (string | ScopeGuardOptions)[]): Guard {
  const [first] = given
  const options: ScopeGuardOptions =
    typeof first === 'object' ? first : { scopes: given as readonly string[] }
  const route = readNeed(options)
  const tools = new Map(
    Object.entries(options.tools ?? {}).map(([tool, what]) => [tool, readToolNeed(tool, what)]),
  )
  if (tools.size === 0 && route.scopes.length + route.roles.length === 0) {
    throw new TypeError('scopeGuard: name a scope, a role or a tool to guard')
  }
  return { route, tools, checkNames: nameCheck([route, ...tools.values()]) }
}

/** Checks the names once for each strategy that the guard meets: nearly always one. */
function nameCheck(needs: readonly Need[]): Guard['checkNames'] {
  const names = needs.flatMap(({ scopes }) => scopes)
  let checked: ScopeStrategy | undefined
  return (strategy) => {
    if (strategy === checked) return
    strategy.check(names, 'scopeGuard')
    checked = strategy
  }
}

/** A misspelt option must not leave a tool open. */
function readToolNeed(tool: string, what: string | readonly string[] | Requirement): Need {
  const isList = typeof what === 'string' || Array.isArray(what)
  const need = readNeed(isList ? { scopes: what } : { ...(what as Requirement) })
  if (need.scopes.length + need.roles.length > 0) return need
  throw new TypeError(
    `scopeGuard: tools.${tool} names no scope and no role: leave the tool out if it needs none`,
  )
}

function readNeed({ scopes = [], roles = [] }: Requirement): Need {
  const list = (value: string | readonly string[]) =>
    typeof value === 'string' ? [value] : [...value]
  const need = { scopes: list(scopes), roles: list(roles) }
  need.scopes.forEach(checkName)
  return need
}

function checkName(name: unknown): void {
  if (isScopeToken(name)) return
  throw new TypeError(`scopeGuard: a scope is a name without spaces: ${JSON.stringify(name)}`)
}

/** What to answer to a request, or undefined when it may pass. */
async function judgeRequest(
  { route, tools, checkNames }: Guard,
  req: AuthenticatedRequest,
): Promise<Refusal | undefined> {
  const caller = internalsOf(req.auth, 'scopeGuard')
  checkNames(caller.scopes)
  try {
    const called = tools.size > 0 ? await calledTools(req) : []
    const needs = [route, ...called.map((tool) => tools.get(tool) ?? nothing)]
    const unmet = needs.filter((need) => !isMet(caller, need))
    if (unmet.length === 0) return undefined
    const named = [...new Set(called.filter((tool) => tools.has(tool)))]
    return await refuseNeeds(caller, req, unmet, named)
  } catch (error) {
    if (error instanceof McpRequestError) return refuseMcpRequest(caller, error)
    throw error
  }
}

function isMet({ claims, missingScopes }: AuthInternals, { scopes, roles }: Need): boolean {
  if (roles.length > 0 && holdsOne(claims().roles, roles)) return true
  if (scopes.length === 0) return roles.length === 0
  return missingScopes(scopes).length === 0
}

function holdsOne(held: readonly string[] = [], wanted: readonly string[]): boolean {
  return wanted.some((role) => held.includes(role))
}

async function refuseNeeds(
  caller: AuthInternals,
  { auth }: AuthenticatedRequest,
  unmet: readonly Need[],
  called: readonly string[],
): Promise<Refusal> {
  const scopes = [...new Set(unmet.flatMap((need) => need.scopes))]
  const roles = [...new Set(unmet.flatMap((need) => need.roles))]
  // No login brings a role, and none brings an app a scope: then there is nothing to challenge for.
  const canStepUp = auth?.extra.user !== undefined && unmet.every((need) => need.scopes.length > 0)
  if (canStepUp) {
    return caller.refuseScopes(scopes, `This needs the scope ${scopes.join(' ')}.`, called)
  }
  const wanted = [
    ...(scopes.length > 0 ? [`the scope ${scopes.join(' ')}`] : []),
    ...(roles.length > 0 ? [`one of the roles ${roles.join(' ')}`] : []),
  ]
  const description = `This needs ${wanted.join(' or ')}. An administrator assigns roles.`
  const error = new OAuthError('access_denied', description)
  caller.report(error, called)
  return refusalFor(error)
}
