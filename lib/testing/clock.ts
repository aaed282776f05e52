/** The emulator's clock: the machine's clock, shifted by tests. */

/** A clock in whole seconds since 1970 that tests can shift. */
export interface EmulatorClock {
  now(): number
  advance(seconds: number): void
  set(time: number | Date): void
}

/** Makes a clock that starts at the machine's time. */
export function createClock(): EmulatorClock {
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
