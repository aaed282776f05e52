/**
 * Which fetches go on when strangers ask for more than this server does at once.
 *
 * A host that never answers costs a place until its deadline, so places that are handed out first come, first
 * served are soon all taken by silent hosts. Here nobody is turned away: a fetch too many of its host, of its
 * sender or altogether takes the place of the one among these that has waited longest. Good hosts answer well
 * within a second and are gone by then. A sender who asks too often ends his own fetches and nobody else's;
 * to end a stranger's takes so many senders and so many requests a second that all places go round before one
 * good host has answered.
 */

/** On whose behalf a fetch is made. */
export interface FetchParties {
  readonly host: string
  /** Who caused it, as an opaque key. Behind a proxy that nobody told us to trust all are the same one. */
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

/** Makes places. @param giveWay the reason of a fetch that has to end for another one */
export function fetchSlots(
  { total, perSender, perHost }: FetchLimits,
  giveWay: () => Error,
): { enter(parties: FetchParties): FetchSlot } {
  // In the order they came.
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
