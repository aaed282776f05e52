/** The login behind a token of ours, as far as its user can be asked for something while the session goes on. */
import type { EventFacts } from '../http/event-facts.js'
import type { Report } from '../http/report.js'
import type { Challenge, Challenges } from '../tokens/challenges.js'
import { type Interactions, interactionPath } from '../tokens/interactions.js'
import type { UrlElicitation } from '../tokens/url-elicitation.js'
import { interactionWaits } from './interaction-waits.js'
import type { VerifiedToken } from './verified-token.js'
import { wantedScopes } from './wanted.js'

/** See the file's own comment. */
export interface CallerSession {
  /** Notes whether the client has declared that it can show its user a URL. It never rejects. */
  noteUrlElicitation(declared: boolean): Promise<void>
  /** Whether it has, when it connected. A store that is away counts as no. */
  hasUrlElicitation(): Promise<boolean>
  /**
   * Begins an interaction, or joins the one that waits already.
   *
   * @param wanted what the call wants downstream: see {@link wantedBy}
   * @throws OAuthError 503
   */
  begin(challenge: Challenge, wanted: string): Promise<BegunInteraction>
  /**
   * Waits a while for the user to finish an interaction of this login.
   *
   * @param isGone whether nobody waits for this any more
   * @throws OAuthError 503
   */
  waitFor(id: string, isGone: () => boolean): Promise<void>
}

/** An interaction that waits for its user. */
export interface BegunInteraction {
  readonly id: string
  readonly url: string
}

/** Finds the session of a token. @param facts about the call, for the operator */
export type SessionOf = (verified: VerifiedToken, facts: EventFacts) => CallerSession | undefined

/** What sessions need. Without `tokens` (no `keys`) there are none. */
export interface CallerSessionsOptions {
  readonly baseUrl: string
  readonly tokens:
    | {
        readonly challenges: Challenges
        readonly interactions: Interactions
        readonly urlElicitation: UrlElicitation
      }
    | undefined
  readonly report: Report
}

/** What the events of an interaction name: it belongs to an exchange. */
const endpoint = 'on-behalf-of'

/** @see MCP, Elicitation, URL mode (SEP-1036) */
export function callerSessions({ baseUrl, tokens, report }: CallerSessionsOptions): SessionOf {
  const urlOf = (id: string) => `${baseUrl}${interactionPath}?id=${id}`
  const waits = tokens && interactionWaits(tokens.interactions)
  return function sessionOf({ sid, grant, clientId }, facts) {
    if (!tokens || !waits || sid === undefined || !grant) return undefined
    const { challenges, interactions, urlElicitation } = tokens
    return Object.freeze({
      async noteUrlElicitation(declared: boolean) {
        await urlElicitation.note(sid, declared).catch((error: unknown) => {
          // The client is asked to log in instead.
          report('failure', { endpoint, reason: 'url_elicitation_not_recorded', error }, facts)
        })
      },
      hasUrlElicitation: () => urlElicitation.isDeclared(sid).catch(() => false),
      async begin(challenge: Challenge, wanted: string) {
        const { tid, oid } = grant.user
        const id = await interactions.begin({ ...challenge, sid, clientId, tid, oid, wanted })
        // The login goes on, so its refreshes must not be refused for the sake of another login.
        await challenges.withdraw(grant, sid)
        const about = { ...facts, scopes: wantedScopes(wanted) }
        report('exchange', { endpoint, reason: 'interaction_begun' }, about)
        return { id, url: urlOf(id) }
      },
      waitFor: (id: string, isGone: () => boolean) => waits.wait(id, sid, isGone),
    })
  }
}
