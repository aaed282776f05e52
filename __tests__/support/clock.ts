/** A clock that only tests move: how long a test takes on a busy machine changes nothing in it. */

export interface TestClock {
  /** Milliseconds since the epoch: when the clock was made, and what a test has added since. */
  now(): number
  advance(seconds: number): void
}

export function testClock(): TestClock {
  let time = Date.now()
  return {
    now: () => time,
    advance(seconds) {
      time += seconds * 1000
    },
  }
}
