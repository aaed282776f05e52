/**
 * Step-up marks: a client was refused for scopes that its login does not hold. MCP SDK v1 answers a 403 by
 * refreshing; the mark makes that refresh send the client to `/authorize`, where it asks for what it lacks.
 */
import type { Clock } from '../async/clock.js'
import type { Vault } from '../storage/vault.js'

/** What a client was refused for. */
export interface StepUp {
  /** Short names that the grant neither held nor implied. */
  readonly scopes: readonly string[]
  /** Milliseconds since the epoch at which the mark ends. */
  readonly until: number
}

/** The step-up marks in the store, one for each grant. */
export interface StepUps {
  /**
   * Remembers that the client has to log in for `scopes`: for a minute, and no longer than the refused token
   * lives. A refresh after that renews an expired token and has nothing to do with the 403.
   *
   * @param tokenExpiresAt seconds since the epoch
   */
  remember(sid: string, scopes: readonly string[], tokenExpiresAt: number): Promise<void>
  /** The scopes of the mark; none when there is no mark. */
  read(sid: string): Promise<readonly string[]>
}

/** Longest life of a mark, in milliseconds. */
const longest = 60_000

/** @see MCP Authorization "Step-Up Authorization Flow" */
export function stepUps(vault: Vault, now: Clock): StepUps {
  const marks = vault.shelf<StepUp>('step-up')
  return Object.freeze({
    async remember(sid: string, scopes: readonly string[], tokenExpiresAt: number) {
      const until = Math.min(now() + longest, tokenExpiresAt * 1000)
      if (until <= now()) return
      await marks.set(sid, { scopes, until }, (until - now()) / 1000)
    },
    async read(sid: string) {
      const mark = (await marks.get(sid))?.value
      // The store counts whole seconds; a token ends at an exact millisecond.
      return mark && mark.until > now() ? mark.scopes : []
    },
  })
}
