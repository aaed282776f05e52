/** After a 403, a mark that makes the client's next refresh a login: clients of SDK v1 refresh, and get no more scopes. */
import type { Clock } from '../async/clock.js'
import type { ScopeStrategy } from '../entra/scopes.js'
import type { Report } from '../http/report.js'
import type { StepUps } from '../tokens/step-ups.js'
import type { GateContext } from './context.js'
import { type VerifiedToken, verifiedFacts } from './verified-token.js'

/** What marking needs. Without `stepUps` (no `keys`) nothing is marked. */
export interface StepUpMarksOptions {
  readonly scopes: ScopeStrategy
  readonly stepUps: StepUps | undefined
  readonly report: Report
  readonly now: Clock
}

/** Milliseconds between two marks for one token: the mark itself lasts a minute. */
const markEvery = 20_000

/** A token that was only narrowed is widened by refreshing, so only what the grant lacks is marked. */
export function stepUpMarks(options: StepUpMarksOptions): GateContext['askForStepUp'] {
  const { scopes, stepUps, report, now } = options
  const marked = new WeakMap<VerifiedToken, number>()
  return async function askForStepUp(verified, needed) {
    const { sid, grant, expiresAt } = verified
    // Without tokens of Entra's there is nothing to refresh.
    if (!stepUps || sid === undefined || !grant?.upstream) return
    const lacking = scopes.missing(grant.scopes, needed)
    const time = now()
    const markedAt = marked.get(verified) ?? Number.NEGATIVE_INFINITY
    if (lacking.length === 0 || time - markedAt < markEvery) return
    try {
      await stepUps.remember(sid, lacking, expiresAt)
      marked.set(verified, time)
    } catch (error) {
      // The 403 is right all the same.
      const event = { endpoint: 'gate', reason: 'step_up_not_recorded', error }
      report('failure', event, verifiedFacts(verified))
    }
  }
}
