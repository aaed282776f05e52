/** The emulator's clock: the machine's, plus what a test has shifted it by. */

/** A clock in whole seconds since 1970, and a shift that only tests make. */
export interface Clock {
  now(): number
  advance(seconds: number): void
  set(time: number | Date): void
}

/** A clock that starts at the machine's time. */
export function createClock(): Clock {
  let shift = 0
  const machine = () => Date.now() / 1000
  return {
    now: () => Math.floor(machine() + shift),
    advance(seconds) {
      shift += seconds
    },
    set(time) {
      shift = (time instanceof Date ? time.getTime() / 1000 : time) - machine()
    },
  }
}
