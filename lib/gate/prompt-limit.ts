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
}

/** Whether the user may be asked once more. A yes counts. */
export type MayPrompt = (subject: PromptSubject) => boolean

/** Prompts for the same thing until the limit is forgotten. */
const mostPrompts = 3
/** Milliseconds after the first prompt for which they are counted. */
const countedFor = 600_000
/** Milliseconds within which refusals count as one prompt: those of calls that were under way together. */
const togetherFor = 5_000

interface Prompts {
  readonly firstAt: number
  readonly lastAt: number
  readonly count: number
}

/**
 * Counts in this process only, and only for callers whose token was verified.
 *
 * @param monotonic milliseconds on a clock that only goes forward
 * @see https://learn.microsoft.com/microsoft-365-copilot/extensibility/plugin-authentication-entra-sso
 */
export function promptLimit(monotonic: () => number): MayPrompt {
  const isOver = ({ firstAt }: Prompts) => monotonic() - firstAt >= countedFor
  const prompts = boundedMap<Prompts>({ maxEntries: 10_000, isOver, monotonic })
  return function mayPrompt({ user, clientId, scopes }) {
    const key = [user.tid, user.oid, clientId, ...scopes].join('\n')
    const now = monotonic()
    const known = prompts.get(key)
    if (!known || isOver(known)) {
      prompts.set(key, { firstAt: now, lastAt: now, count: 1 })
      return true
    }
    if (now - known.lastAt < togetherFor) return true
    if (known.count >= mostPrompts) return false
    prompts.set(key, { ...known, lastAt: now, count: known.count + 1 })
    return true
  }
}
