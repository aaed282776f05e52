/**
 * How often the client of one user is sent to ask that user for one thing. In direct mode no login comes back to us, so
 * nothing else ends the loop of a client that asks and returns with the same token: Microsoft 365 Copilot answers every
 * 401 with a consent prompt, whether consent can help or not, and a 403 with none.
 */
import { boundedMap } from '../async/bounded-map.js'
import type { User } from '../tokens/records.js'

/** Who would be asked, through which client, for access to what. */
export interface PromptSubject {
  readonly user: User
  readonly clientId: string
  /** Scopes of the downstream API. */
  readonly scopes: readonly string[]
  /** What Entra said. Told again to another call, from memory, it is the same prompt and gets the same answer. */
  readonly refusal: object
}

/** The prompts of all users. */
export interface PromptLimit {
  /** Notes that a call has begun. @returns its place among all calls */
  begin(): number
  /**
   * Whether the user may be asked once more. A yes counts, except for a call that was under way when the last one was
   * answered: its client could not know yet.
   *
   * @param begun what `begin` returned for the call
   */
  mayPrompt(subject: PromptSubject, begun: number): boolean
}

/** Prompts for the same thing until they are forgotten. */
const mostPrompts = 3
/** Milliseconds after the first prompt for which they are counted. */
const countedFor = 600_000

interface Prompts {
  readonly firstAt: number
  /** The last one, as a place among all calls. */
  readonly last: number
  readonly count: number
}

/**
 * Counts in this process only, and only for callers whose token was verified.
 *
 * @param monotonic milliseconds on a clock that only goes forward
 * @see https://learn.microsoft.com/microsoft-365-copilot/extensibility/plugin-authentication-entra-sso
 */
export function promptLimit(monotonic: () => number): PromptLimit {
  const isOver = ({ firstAt }: Prompts) => monotonic() - firstAt >= countedFor
  const prompts = boundedMap<Prompts>({ maxEntries: 10_000, isOver, monotonic })
  const answers = new WeakMap<object, boolean>()
  let place = 0

  function begin(): number {
    place += 1
    return place
  }

  function count({ user, clientId, scopes }: PromptSubject, begun: number): boolean {
    const key = [user.tid, user.oid, clientId, ...scopes].join('\n')
    const known = prompts.get(key)
    const before = known && !isOver(known) ? known : { firstAt: monotonic(), last: 0, count: 0 }
    if (begun < before.last) return true
    if (before.count >= mostPrompts) return false
    prompts.set(key, { firstAt: before.firstAt, last: begin(), count: before.count + 1 })
    return true
  }

  return Object.freeze({
    begin,
    mayPrompt(subject: PromptSubject, begun: number) {
      const answer = answers.get(subject.refusal) ?? count(subject, begun)
      answers.set(subject.refusal, answer)
      return answer
    },
  })
}
