/**
 * How much of the log strangers may write. What anybody can bring about, as often as they like, must neither
 * bury the lines that an operator has to act on nor fill a disk.
 */

/** Says of each line whether it is written. */
export type LogLimit = (reason: string) => boolean

/** Options of {@link logLimit}. */
export interface LogLimitOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Hears how many lines of a reason were left out, once its minute is over. */
  readonly onLeftOut: (reason: string, count: number) => void
  /** Runs something later, without keeping the process alive for it (default: a timer). */
  readonly later?: (run: () => void, milliseconds: number) => void
}

interface Minute {
  readonly beganAt: number
  written: number
  leftOut: number
}

/** Lines per reason and minute. */
const most = 10
const minute = 60_000
/** Reasons that are told apart at once; all others share one minute. */
const mostReasons = 32

/** Makes a limit of ten lines a minute for each reason. */
export function logLimit({ now, onLeftOut, later = unhurried }: LogLimitOptions): LogLimit {
  const minutes = new Map<string, Minute>()

  function begin(reason: string): Minute {
    const begun = { beganAt: now(), written: 0, leftOut: 0 }
    minutes.set(reason, begun)
    later(() => end(reason, begun), minute)
    return begun
  }

  /** A minute may be over twice: by its timer, and by the next line. */
  function end(reason: string, ended: Minute): void {
    if (minutes.get(reason) !== ended) return
    minutes.delete(reason)
    if (ended.leftOut > 0) onLeftOut(reason, ended.leftOut)
  }

  function current(reason: string): Minute {
    const known = minutes.get(reason)
    if (known && now() - known.beganAt < minute) return known
    if (known) end(reason, known)
    return begin(reason)
  }

  return function isWritten(reason) {
    const told = minutes.has(reason) || minutes.size < mostReasons ? reason : 'other'
    const counted = current(told)
    if (counted.written === most) {
      counted.leftOut += 1
      return false
    }
    counted.written += 1
    return true
  }
}

function unhurried(run: () => void, milliseconds: number): void {
  setTimeout(run, milliseconds).unref()
}
