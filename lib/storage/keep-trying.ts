/** Outlasts a short outage of the store, for work that somebody else has already been asked for and does only once. */
import { OAuthError } from '../oauth/errors.js'

/** How long to keep trying. */
export interface Patience {
  /** No try begins later than this many seconds after the first one (default 5). */
  readonly seconds?: number
  /** The clock, in milliseconds. */
  readonly now: () => number
  /** Waits so many milliseconds between two tries (default: a timer). */
  readonly pause?: (milliseconds: number) => Promise<void>
}

/** Milliseconds between two tries. Jitter, so that what failed together does not come back together. */
const shortestPause = 100
const longestPause = 250

/**
 * Tries until it succeeds, fails with anything but an outage, or the time is over. `attempt` must be safe to
 * repeat, even when an earlier try failed after it had taken effect: a read, or a write under a new secret.
 *
 * @throws the error of the last try
 */
export async function keepTrying<T>(attempt: () => Promise<T>, patience: Patience): Promise<T> {
  const { seconds = 5, now, pause = timer } = patience
  const end = now() + seconds * 1000
  // A clock that is set back must not make this endless.
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

function timer(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
