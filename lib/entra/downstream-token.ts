/** A token for the downstream API. */
export interface DownstreamToken {
  readonly token: string
  /** Seconds since the epoch. */
  readonly expiresAt: number
}

/** A token with the time to renew it. */
export interface TimedToken extends DownstreamToken {
  /** Milliseconds since the epoch. */
  readonly renewAt: number
}

/** Milliseconds before its expiry from which on a token is not handed out. */
const safetyMargin = 30_000
/** Milliseconds before its expiry at which a token is renewed, or a fifth of its life if that is shorter. */
const renewalMargin = 300_000

/**
 * Computes the times of a token that was just issued.
 *
 * @param expiresIn seconds
 * @param now milliseconds since the epoch, from before the request
 */
export function timedToken(token: string, expiresIn: number, now: number): TimedToken {
  const expiresAt = Math.floor(now / 1000) + expiresIn
  const renewAt = expiresAt * 1000 - Math.min(renewalMargin, (expiresIn * 1000) / 5)
  return { token, expiresAt, renewAt }
}

/** Until when a token is handed out, in milliseconds since the epoch. */
export function usableUntil({ expiresAt }: DownstreamToken): number {
  return expiresAt * 1000 - safetyMargin
}
