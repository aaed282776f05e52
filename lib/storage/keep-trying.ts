/** Gets over a short outage of the store, after Entra has been asked for something that it gives only once. */
import type { Clock } from '../async/clock.js'
import { OAuthError } from '../oauth/errors.js'

/** How long to keep trying. */
export interface Patience {
  /** No attempt begins later than this many seconds after the first one (default 5). */
  readonly seconds?: number
  readonly now: Clock
  /** Waits between two attempts (default: a timer). */
  readonly pause?: (milliseconds: number) => Promise<void>
}

/** Milliseconds between two attempts. Jitter, so that requests that failed together do not all try again together. */
const shortestPause = 100
const longestPause = 250

/**
 * Runs `attempt` until it succeeds, fails with something other than an outage, or the time is over. It must be safe to
 * repeat, even when an earlier attempt took effect and then failed: a read, or a write under a new secret.
 *
 * @throws the error of the last attempt
 */
export async function keepTrying<T>(attempt: () => Promise<T>, patience: Patience): Promise<T> {
  const { seconds = 5, now, pause = wait } = patience
  const end = now() + seconds * 1000
  // The count ends this even when the clock is set back.
  for (let left = (seconds * 1000) / shortestPause; ; left--) {
    try {
      return await attempt()
    } catch (error) {
      const milliseconds = shortestPause + Math.random() * (longestPause - shortestPause)
      if (!isOutage(error) || left < 1 || now() + milliseconds > end) throw error
      await pause(milliseconds)
    }
  }
}

function isOutage(error: unknown): boolean {
  return error instanceof OAuthError && error.status === 503
}

function wait(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
