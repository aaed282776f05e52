/** The time of day, which tests replace. Ages are measured with `monotonicNow` and not with it. */

/** The time now, in milliseconds since the epoch. */
export type Clock = () => number
