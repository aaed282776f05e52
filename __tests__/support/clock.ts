/** A clock that tests stop and move. */

export interface TestClock {
  /** Milliseconds since the epoch: the machine's time, until a test stops or moves it. */
  now(): number
  /** Stands still from now on. */
  stop(): void
  advance(seconds: number): void
}

export function testClock(): TestClock {
  let shift = 0
  let stopped: number | undefined
  return {
    now: () => (stopped ?? Date.now()) + shift,
    stop() {
      stopped ??= Date.now()
    },
    advance(seconds) {
      shift += seconds * 1000
    },
  }
}
