import { beforeEach, describe, expect, it } from '@jest/globals'
import { type LogLimit, logLimit } from '../../lib/http/log-limit.js'

const minute = 60_000
let time = 0
let timers: { readonly at: number; readonly run: () => void }[] = []
let leftOut: [reason: string, count: number][] = []
let isWritten: LogLimit

beforeEach(() => {
  time = 1_000_000
  timers = []
  leftOut = []
  isWritten = logLimit({
    now: () => time,
    onLeftOut: (reason, count) => void leftOut.push([reason, count]),
    later: (run, milliseconds) => void timers.push({ at: time + milliseconds, run }),
  })
})

/** Time goes by, and so do the timers that are due. */
function pass(milliseconds: number): void {
  time += milliseconds
  const due = timers.filter(({ at }) => at <= time)
  timers = timers.filter(({ at }) => at > time)
  for (const { run } of due) run()
}

const written = (reason: string, lines: number) =>
  Array.from({ length: lines }, () => isWritten(reason)).filter(Boolean).length

describe('a limit of the log', () => {
  it('lets ten lines of a reason through, and counts the others until the minute is over', () => {
    expect(written('a', 200)).toBe(10)
    expect(leftOut).toEqual([])
    pass(minute - 1)
    expect(written('a', 5)).toBe(0)
    expect(leftOut).toEqual([])
    pass(1)
    expect(leftOut).toEqual([['a', 195]])
  })

  it('counts each reason by itself', () => {
    written('a', 11)
    expect(written('b', 3)).toBe(3)
    expect(written('__proto__', 11)).toBe(10)
    pass(minute)
    expect(leftOut).toEqual([
      ['a', 1],
      ['__proto__', 1],
    ])
  })

  it('says nothing of a minute in which nothing was left out', () => {
    expect(written('a', 10)).toBe(10)
    pass(minute)
    expect(leftOut).toEqual([])
    expect(written('a', 10)).toBe(10)
  })

  it('says it once: by the timer, or by the first line after the minute when that comes before', () => {
    written('a', 12)
    time += minute
    expect(isWritten('a')).toBe(true)
    expect(leftOut).toEqual([['a', 2]])
    expect(written('a', 19)).toBe(9)
    // The timer of the first minute is late, and ends nothing of the second one.
    pass(0)
    expect(leftOut).toEqual([['a', 2]])
    expect(isWritten('a')).toBe(false)
    pass(minute)
    expect(leftOut).toEqual([
      ['a', 2],
      ['a', 11],
    ])
  })

  it('comes to an end by its timer when somebody sets the clock back', () => {
    written('a', 12)
    const [timer] = timers
    time -= 3_600_000
    expect(isWritten('a')).toBe(false)
    timer?.run()
    expect(leftOut).toEqual([['a', 3]])
    expect(isWritten('a')).toBe(true)
  })

  it('keeps 32 reasons apart and no more: all others share ten lines', () => {
    const many = Array.from({ length: 1000 }, (_, i) => `reason ${i}`)
    expect(many.filter((reason) => isWritten(reason))).toHaveLength(32 + 10)
    expect(timers).toHaveLength(33)
    pass(minute)
    expect(leftOut).toEqual([['other', 1000 - 32 - 10]])
    expect(isWritten('reason 999')).toBe(true)
  })

  it('keeps no process alive with its timer, and needs nobody to call it again', () => {
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    logLimit({ now: () => time, onLeftOut: () => undefined })('a')
    const after = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
    expect(after).toBe(before)
  })
})
