/** Deadlines: work that nobody waits for any longer than agreed, whatever it is still hoping for. */

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
 * Settles as the work does, or rejects when it has not settled within so many seconds; the signal is then aborted.
 * Work that cannot be aborted goes on, and what comes of it goes nowhere.
 *
 * @param late makes the error for work that took too long
 */
export function withinDeadline<T>(
  seconds: number,
  late: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      reject(late())
      controller.abort()
    }
    // Where the process itself was busy, the answer may lie in the socket: let it be read before giving up.
    const timer = setTimeout(() => setImmediate(() => setImmediate(giveUp)), seconds * 1000)
    work(controller.signal)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer))
  })
}
