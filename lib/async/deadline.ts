/** Deadlines: an upper bound on how long anyone waits for work, even when the work itself has no timeout. */

/** A point in time by which everything has to be done. */
export interface Deadline {
  /** Seconds, never below 0. */
  secondsLeft(): number
}

/** @param seconds from now, on the monotonic clock */
export function deadlineIn(seconds: number): Deadline {
  const end = performance.now() + seconds * 1000
  return Object.freeze({ secondsLeft: () => Math.max(0, (end - performance.now()) / 1000) })
}

/**
 * Settles as the work does, or rejects and aborts the signal when the work has not settled within so many seconds.
 * Work that cannot be aborted goes on, and its result is ignored.
 *
 * @param late makes the error for work that took too long
 */
export async function withinDeadline<T>(
  seconds: number,
  late: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<never>((_resolve, reject) => {
    const giveUp = () => {
      reject(late())
      controller.abort()
    }
    // When the process itself was busy, the answer may already be in the socket: read it before giving up.
    timer = setTimeout(() => setImmediate(() => setImmediate(giveUp)), seconds * 1000)
  })
  try {
    return await Promise.race([work(controller.signal), timeout])
  } finally {
    clearTimeout(timer)
  }
}
