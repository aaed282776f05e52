/** When to ask again after a failure: 1 s, doubling to 30 s. */
import { EntraError } from './errors.js'

/** Counts failures and says when the next try is due. Times are milliseconds on a clock that only goes forward. */
export interface BackOff {
  /** Whether the last try failed. */
  readonly failing: boolean
  /** Seconds until the next try; undefined when one may be made now. */
  wait(now: number): number | undefined
  /** Counts a failure. @param error an EntraError may say how long to wait */
  failed(now: number, error: unknown): void
  /** Forgets all failures. */
  succeeded(): void
}

const longestPause = 30

/** Makes a back-off without failures. */
export function backOff(): BackOff {
  let failures = 0
  let nextTry = 0
  return {
    get failing() {
      return failures > 0
    },
    wait(now) {
      return failures > 0 && now < nextTry ? (nextTry - now) / 1000 : undefined
    },
    failed(now, error) {
      const asked = error instanceof EntraError ? error.retryAfter : undefined
      const pause = Math.max(2 ** Math.min(failures, 5), asked ?? 0)
      failures += 1
      nextTry = now + Math.min(pause, longestPause) * 1000
    },
    succeeded() {
      failures = 0
    },
  }
}
