/**
 * The clock that ages are measured on. The wall clock can be set: one that jumps back would keep a cached
 * document, a key or a pause fresh for as long as it jumped, and one that jumps forward would end them all.
 */

/** Milliseconds on a clock that only goes forward. It began when the process did: good for differences alone. */
export function monotonicNow(): number {
  return performance.now()
}
