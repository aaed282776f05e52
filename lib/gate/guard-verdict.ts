/** Whether a caller may use what a guard protects, and if not, whether a login would help. */
import type { CallerKind } from '../entra/caller-claims.js'
import type { AuthInternals } from './caller.js'
import { type Guard, type Need, nothing } from './guard-options.js'

/**
 * `yes`: the caller holds what it takes. `step-up`: a login can bring what is missing. `no`: only an administrator can,
 * or nobody.
 */
export type CallVerdict = 'yes' | 'step-up' | 'no'

/** A verdict, with what it rests on. */
export interface Judgement {
  readonly verdict: CallVerdict
  /** What the caller lacks. Of a tool that the guard does not open, nothing is known. */
  readonly unmet: readonly Need[]
  /** The kinds that are let in, when the caller is of none of them: nothing else would help then. */
  readonly onlyFor?: readonly CallerKind[] | undefined
}

/** Judges a request that calls these tools: the route's own needs count too. */
export function judgeCall(
  { route, tools, otherTools }: Guard,
  caller: AuthInternals,
  called: readonly string[],
): Judgement {
  if (otherTools === 'deny' && called.some((tool) => !tools.has(tool))) {
    return { verdict: 'no', unmet: [] }
  }
  const needs = [route, ...called.map((tool) => tools.get(tool) ?? nothing)]
  const unmet = needs.filter((need) => !isMet(caller, need))
  if (unmet.length === 0) return { verdict: 'yes', unmet }
  // No login brings a role, and none brings an app a scope: then there is nothing to challenge for.
  const canStepUp =
    caller.canStepUp && unmet.every((need) => isFor(caller, need) && need.scopes.length > 0)
  const onlyFor = unmet.find((need) => !isFor(caller, need))?.callers
  return { verdict: canStepUp ? 'step-up' : 'no', unmet, onlyFor }
}

/** Whether the caller is of a kind that is let in at all. */
function isFor(caller: AuthInternals, { callers }: Need): boolean {
  return callers === undefined || callers.includes(caller.caller().kind)
}

function isMet(caller: AuthInternals, need: Need): boolean {
  return isFor(caller, need) && isHeld(caller, need)
}

function isHeld({ claims, missingScopes }: AuthInternals, { scopes, roles }: Need): boolean {
  if (roles.length > 0 && holdsOne(claims().roles, roles)) return true
  if (scopes.length === 0) return roles.length === 0
  return missingScopes(scopes).length === 0
}

function holdsOne(held: readonly string[] = [], wanted: readonly string[]): boolean {
  return wanted.some((role) => held.includes(role))
}
