/**
 * The clock for measuring ages. The time of day can be set: if it jumps back, a cached document, a key or a pause would
 * last longer by as much, and if it jumps forward, all of them would end at once.
 */

/** Milliseconds on a clock that only goes forward. It starts with the process, so only differences have a meaning. */
export function monotonicNow(): number {
  return performance.now()
}
