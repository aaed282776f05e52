/** When to ask again after a failure: 1 s, doubling to 30 s. */

/** Counts failures and says when the next try is due. Times are milliseconds since the epoch. */
export interface BackOff {
  /** Whether the last try failed. */
  readonly failing: boolean
  /** Seconds until the next try, at least 1; undefined when one may be made now. */
  wait(now: number): number | undefined
  /** @param retryAfter seconds, when the server named a time */
  failed(now: number, retryAfter: number | undefined): void
  succeeded(): void
}

const longestPause = 30

/** Makes one that has not failed yet. */
export function backOff(): BackOff {
  let failures = 0
  let nextTry = 0
  return {
    get failing() {
      return failures > 0
    },
    wait(now) {
      return failures > 0 && now < nextTry ? Math.ceil((nextTry - now) / 1000) : undefined
    },
    failed(now, retryAfter = 0) {
      const pause = Math.max(2 ** Math.min(failures, 5), retryAfter)
      failures += 1
      nextTry = now + Math.min(pause, longestPause) * 1000
    },
    succeeded() {
      failures = 0
    },
  }
}
