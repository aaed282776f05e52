/**
 * Decides which fetches go on when strangers ask for more than this server does at once.
 *
 * A host that never answers takes a place until its deadline. If places were given out first come, first served, silent
 * hosts would soon have them all. So no fetch is turned away. Instead, when there are too many fetches of one host, of
 * one sender or in all, the oldest of these ends. Good hosts answer well within a second, so theirs are done by then. A
 * sender who asks too often ends only their own fetches. To end the fetches of others, an attacker needs so many senders
 * and requests a second that every place changes hands before one good host has answered.
 */

/** On whose behalf a fetch is made. */
export interface FetchParties {
  readonly host: string
  /** Who caused it, as an opaque key. Behind a proxy that is not set up as trusted, all senders are the same. */
  readonly sender: string
}

/** How many fetches there may be at once. */
export interface FetchLimits {
  readonly total: number
  readonly perSender: number
  readonly perHost: number
}

/** A place for one fetch. */
export interface FetchSlot {
  /** Aborted when the fetch has to end because another one needs the place. */
  readonly signal: AbortSignal
  /** Gives the place back. */
  leave(): void
}

/** @param giveWay makes the reason for ending a fetch in favour of another one */
export function fetchSlots(
  { total, perSender, perHost }: FetchLimits,
  giveWay: () => Error,
): { enter(parties: FetchParties): FetchSlot } {
  // In order of arrival.
  const running = new Set<FetchParties & { readonly controller: AbortController }>()

  function makeRoom(most: number, isOneOf: (parties: FetchParties) => boolean): void {
    const group = [...running].filter(isOneOf)
    for (const one of group.slice(0, Math.max(0, group.length - most + 1))) {
      running.delete(one)
      one.controller.abort(giveWay())
    }
  }

  return Object.freeze({
    enter({ host, sender }: FetchParties) {
      makeRoom(perHost, (one) => one.host === host)
      makeRoom(perSender, (one) => one.sender === sender)
      makeRoom(total, () => true)
      const controller = new AbortController()
      const own = { host, sender, controller }
      running.add(own)
      return {
        signal: controller.signal,
        leave: () => void running.delete(own),
      }
    },
  })
}
