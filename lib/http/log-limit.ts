/**
 * Limits how much of the log strangers can fill. Failures that anybody can cause, as often as they like, must neither
 * bury the lines that an operator has to act on nor fill a disk.
 */
import type { Clock } from '../async/clock.js'

/** Decides whether to write one more line for a reason. */
export type LogLimit = (reason: string) => boolean

/** Options of {@link logLimit}. */
export interface LogLimitOptions {
  readonly now: Clock
  /** Called when the minute of a reason is over, if lines were left out. */
  readonly onLeftOut: (reason: string, count: number) => void
  /** Runs a function later, without keeping the process alive for it (default: a timer). */
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
/** Reasons that are counted separately at a time; all others share one count. */
const mostReasons = 32

/** Makes a limit of ten lines a minute for each reason. */
export function logLimit({ now, onLeftOut, later = runLater }: LogLimitOptions): LogLimit {
  const minutes = new Map<string, Minute>()

  function begin(reason: string): Minute {
    const begun = { beganAt: now(), written: 0, leftOut: 0 }
    minutes.set(reason, begun)
    later(() => end(reason, begun), minute)
    return begun
  }

  /** Ends a minute once, though both its timer and the next line may ask for it. */
  function end(reason: string, ended: Minute): void {
    if (minutes.get(reason) !== ended) return
    minutes.delete(reason)
    if (ended.leftOut > 0) onLeftOut(reason, ended.leftOut)
  }

  function current(reason: string): Minute {
    const begun = minutes.get(reason)
    if (begun && now() - begun.beganAt < minute) return begun
    if (begun) end(reason, begun)
    return begin(reason)
  }

  return function isWritten(reason) {
    const group = minutes.has(reason) || minutes.size < mostReasons ? reason : 'other'
    const counted = current(group)
    if (counted.written === most) {
      counted.leftOut += 1
      return false
    }
    counted.written += 1
    return true
  }
}

function runLater(run: () => void, milliseconds: number): void {
  setTimeout(run, milliseconds).unref()
}
