/**
 * Calls that wait for their user, who is at Entra. Clients repeat a call as soon as the user has agreed to open the URL,
 * and the user needs a moment for what is wanted. Each call that waits keeps looking into the store, so there is a limit
 * to how many do.
 */
import type { Interactions } from '../tokens/interactions.js'

/** See the file's own comment. */
export interface InteractionWaits {
  /**
   * Waits until the user has finished, at most 20 seconds. Returns at once for an interaction of another login, and when
   * too many calls wait: they are asked again.
   *
   * @param isGone whether nobody waits for this any more
   * @throws OAuthError 503
   */
  wait(id: string, sid: string, isGone: () => boolean): Promise<void>
}

/** Milliseconds between two looks. */
const lookEvery = 500
/** How many looks: 20 seconds, less than clients wait for an answer. */
const looks = 40
/** How many calls of one login wait at the same time. Some clients call several tools at once. */
const mostOfLogin = 10
/** How many calls of all logins wait in this process: a thousand looks into the store in a second. */
const mostOfAll = 500

/** @param limits for tests */
export function interactionWaits(
  { isOf, isEnded }: Pick<Interactions, 'isOf' | 'isEnded'>,
  { ofLogin = mostOfLogin, ofAll = mostOfAll } = {},
): InteractionWaits {
  const waiting = new Map<string, number>()
  let all = 0

  function count(sid: string, change: 1 | -1): void {
    const now = (waiting.get(sid) ?? 0) + change
    if (now > 0) waiting.set(sid, now)
    else waiting.delete(sid)
    all += change
  }

  async function watch(id: string, sid: string, isGone: () => boolean): Promise<void> {
    if (!(await isOf(id, sid))) return
    for (let left = looks; left > 0 && !isGone(); left--) {
      if (await isEnded(id)) return
      await new Promise((resolve) => setTimeout(resolve, lookEvery))
    }
  }

  return Object.freeze({
    async wait(id: string, sid: string, isGone: () => boolean) {
      if (all >= ofAll || (waiting.get(sid) ?? 0) >= ofLogin) return
      count(sid, 1)
      try {
        await watch(id, sid, isGone)
      } finally {
        count(sid, -1)
      }
    },
  })
}
