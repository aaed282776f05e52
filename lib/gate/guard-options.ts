/** The options of `scopeGuard`: what they are, and what is wrong with them if something is. */
import { type CallerKind, callerKinds } from '../entra/caller-claims.js'
import { checkOptionNames } from '../entra/option-names.js'
import { isScopeToken, type ScopeStrategy } from '../entra/scopes.js'

/** What a caller must hold: all of the scopes, or, where roles are named, one of the roles instead. */
export interface Requirement {
  readonly scopes?: string | readonly string[]
  /** App roles, of users, agents and apps. Any one of them will do. */
  readonly roles?: string | readonly string[]
  /**
   * Kinds of callers, whatever else they hold (default: all). `['user', 'agent-for-user']` are people, with or without
   * an agent. What each kind is, {@link callerOf} says.
   */
  readonly callers?: readonly CallerKind[]
}

/** Options of {@link scopeGuard}. */
export interface ScopeGuardOptions extends Requirement {
  /**
   * What each MCP tool needs besides: scopes by name, or a {@link Requirement}. With `otherTools: 'deny'` also `[]`:
   * the tool is open to all whom the route lets in.
   */
  readonly tools?: Readonly<Record<string, string | readonly string[] | Requirement>>
  /**
   * Whether tools that `tools` does not name may be called by all whom the route lets in (default `allow`). With `deny`
   * a tool that is new, or misspelt here, is closed: 403 `access_denied`. `tools/list` shows it all the same.
   */
  readonly otherTools?: 'allow' | 'deny'
}

/** A {@link Requirement} as it is read. */
export interface Need {
  readonly scopes: readonly string[]
  readonly roles: readonly string[]
  /** Undefined: all kinds. */
  readonly callers?: readonly CallerKind[]
}

export const nothing: Need = { scopes: [], roles: [] }

/** What a guard was made with. */
export interface Guard {
  readonly route: Need
  readonly tools: ReadonlyMap<string, Need>
  readonly otherTools: 'allow' | 'deny'
  /** @throws TypeError for a scope that the strategy does not have */
  readonly checkNames: (scopes: ScopeStrategy) => void
}

/** Beside the middleware and not on it, so that nobody comes to depend on its shape. */
const guards = new WeakMap<object, Guard>()

/** Remembers what a middleware was made with, for {@link guardOf}. */
export function keepGuard<T extends object>(middleware: T, guard: Guard): T {
  guards.set(middleware, guard)
  return middleware
}

/** @throws TypeError when `scopeGuard` did not make it */
export function guardOf(middleware: object): Guard {
  const guard = guards.get(middleware)
  if (guard) return guard
  throw new TypeError('mayCall: pass what scopeGuard returned: mayCall(guard, auth, tool)')
}

/**
 * Reads what `scopeGuard` was given: names of scopes, or one object of options.
 *
 * @throws TypeError that names the option and the remedy
 */
export function readGuard(given: readonly (string | ScopeGuardOptions)[]): Guard {
  const options = optionsOf(given)
  const otherTools = readOtherTools(options)
  const route = readNeed(options)
  const tools = new Map(
    Object.entries(options.tools ?? {}).map(([tool, what]) => [
      tool,
      readToolNeed(tool, what, otherTools),
    ]),
  )
  if (tools.size === 0 && isNothing(route)) {
    throw new TypeError('scopeGuard: name a scope, a role or a tool to guard')
  }
  return { route, tools, otherTools, checkNames: nameCheck([route, ...tools.values()]) }
}

function optionsOf(given: readonly (string | ScopeGuardOptions)[]): ScopeGuardOptions {
  const [first, ...rest] = given
  if (typeof first !== 'object') return { scopes: given as readonly string[] }
  if (rest.length > 0) {
    throw new TypeError(
      'scopeGuard: one object of options, and auth in front: scopeGuard(auth, {…})',
    )
  }
  checkOptionNames('scopeGuard', first, ['scopes', 'roles', 'callers', 'tools', 'otherTools'])
  return first
}

function readOtherTools({ otherTools = 'allow', tools }: ScopeGuardOptions): 'allow' | 'deny' {
  if (otherTools !== 'allow' && otherTools !== 'deny') {
    throw new TypeError(
      `scopeGuard: otherTools must be 'allow' or 'deny': ${JSON.stringify(otherTools)}`,
    )
  }
  if (otherTools === 'deny' && Object.keys(tools ?? {}).length === 0) {
    throw new TypeError(
      "scopeGuard: otherTools: 'deny' closes every tool: name those that are open in tools",
    )
  }
  return otherTools
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
function readToolNeed(
  tool: string,
  what: string | readonly string[] | Requirement,
  otherTools: 'allow' | 'deny',
): Need {
  if (otherTools === 'deny' && Array.isArray(what) && what.length === 0) return nothing
  const isList = typeof what === 'string' || Array.isArray(what)
  if (typeof what === 'object' && what !== null && !isList)
    checkOptionNames(`scopeGuard: tools.${tool}`, what, ['scopes', 'roles', 'callers'])
  const need = readNeed(isList ? { scopes: what } : { ...(what as Requirement) })
  if (!isNothing(need)) return need
  throw new TypeError(
    `scopeGuard: tools.${tool} names no scope and no role: leave the tool out if it needs none`,
  )
}

function isNothing({ scopes, roles, callers }: Need): boolean {
  return scopes.length + roles.length === 0 && callers === undefined
}

function readNeed({ scopes = [], roles = [], callers }: Requirement): Need {
  if (callers !== undefined) checkCallers(callers)
  return {
    scopes: readNames('scope', scopes),
    roles: readNames('role', roles),
    ...(callers && { callers: [...callers] }),
  }
}

/** Neither scopes nor the values of app roles have spaces: a text with one would let nobody in. */
function readNames(what: 'scope' | 'role', given: unknown): readonly string[] {
  const names: unknown = typeof given === 'string' ? [given] : given
  if (!Array.isArray(names)) {
    throw new TypeError(
      `scopeGuard: ${what}s is a name or a list of names: ${JSON.stringify(given) ?? String(given)}`,
    )
  }
  for (const name of names) checkName(what, name)
  return [...names]
}

/** A list that is empty or misspelt would shut everybody out, or let in whom it was to keep out. */
function checkCallers(callers: unknown): void {
  const isList = Array.isArray(callers) && callers.length > 0
  if (isList && callers.every((kind) => callerKinds.includes(kind))) return
  const known = callerKinds.map((kind) => `'${kind}'`).join(', ')
  throw new TypeError(
    `scopeGuard: callers is a list of some of ${known}: ${JSON.stringify(callers)}`,
  )
}

function checkName(what: 'scope' | 'role', name: unknown): void {
  if (isScopeToken(name)) return
  throw new TypeError(`scopeGuard: a ${what} is a name without spaces: ${JSON.stringify(name)}`)
}
