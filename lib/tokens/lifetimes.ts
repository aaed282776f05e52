/** How long things live, in seconds. */

/** Lifetimes of tokens and records, all in seconds. */
export interface Lifetimes {
  /** Longest life of an access token (default 3600). Entra's own token may end it sooner. */
  readonly accessToken: number
  /** A login that is not refreshed ends after this (default 90 days, as Entra's refresh tokens do). */
  readonly grant: number
  /** A login ends after this however often it is refreshed (default: never). */
  readonly grantMaxAge: number
  /** An authorization code (default 120). */
  readonly code: number
  /** The sign-in itself, from consent to callback (default 600). */
  readonly login: number
  /** A used refresh token gives the same answer again for this long (default 60; 0 turns it off). */
  readonly refreshGrace: number
  /** A remembered consent, from the approval on (default 90 days). Using it does not prolong it. */
  readonly consent: number
}

const defaults: Lifetimes = {
  accessToken: 3600,
  grant: 90 * 24 * 3600,
  grantMaxAge: Number.POSITIVE_INFINITY,
  code: 120,
  login: 600,
  refreshGrace: 60,
  consent: 90 * 24 * 3600,
}

/** @throws TypeError for a lifetime that is not a positive number of seconds */
export function lifetimes(given: Partial<Lifetimes> = {}): Lifetimes {
  if (typeof given !== 'object' || given === null) {
    throw new TypeError('entraAuth: lifetimes must be an object of seconds: { accessToken: 3600 }')
  }
  const set = Object.entries(given).filter(([, seconds]) => seconds !== undefined)
  const all: Lifetimes = { ...defaults, ...Object.fromEntries(set) }
  for (const [name, seconds] of Object.entries(all)) {
    if (!Object.hasOwn(defaults, name)) {
      throw new TypeError(`entraAuth: no such lifetime: "${name}"`)
    }
    const least = name === 'refreshGrace' ? 0 : 1
    const endless = seconds === Number.POSITIVE_INFINITY && name !== 'grantMaxAge'
    if (typeof seconds !== 'number' || !(seconds >= least) || endless) {
      throw new TypeError(
        `entraAuth: lifetimes.${name} must be a number of seconds, at least ${least}`,
      )
    }
  }
  return Object.freeze(all)
}
