import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { deadlineIn, withinDeadline } from '../../lib/async/deadline.js'

const late = () => new Error('too late')
const never = new Promise<never>(() => undefined)

/** Lets the two turns go by in which an answer may still be read. */
async function turns() {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] })
})
afterEach(() => {
  jest.useRealTimers()
})

describe('withinDeadline', () => {
  it('settles as the work does, and leaves no timer behind', async () => {
    expect(await withinDeadline(1, late, async () => 'done')).toBe('done')
    const error = new Error('refused')
    await expect(withinDeadline(1, late, () => Promise.reject(error))).rejects.toBe(error)
    await turns()
    expect(jest.getTimerCount()).toBe(0)
  })

  it('rejects when the work throws before it returns a promise, and leaves no timer behind', async () => {
    const error = new Error('thrown at once')
    const work = () => {
      throw error
    }
    await expect(withinDeadline(1, late, work)).rejects.toBe(error)
    expect(jest.getTimerCount()).toBe(0)
  })

  it('rejects with the given error when the time is over, and aborts the work', async () => {
    let signal: AbortSignal | undefined
    const outcome = withinDeadline(2, late, (given) => {
      signal = given
      return never
    }).catch((error: Error) => error.message)
    jest.advanceTimersByTime(1999)
    await turns()
    expect(signal?.aborted).toBe(false)
    jest.advanceTimersByTime(1)
    expect(await outcome).toBe('too late')
    expect(signal?.aborted).toBe(true)
  })

  it('takes an answer that is there already when the timer comes late', async () => {
    let answer: (value: string) => void = () => undefined
    const outcome = withinDeadline(
      1,
      late,
      () => new Promise<string>((resolve) => (answer = resolve)),
    )
    setImmediate(() => answer('just in time'))
    jest.advanceTimersByTime(1000)
    expect(await outcome).toBe('just in time')
  })
})

describe('deadlineIn', () => {
  it('counts down to zero and no further', () => {
    const deadline = deadlineIn(3)
    expect(deadline.secondsLeft()).toBe(3)
    jest.advanceTimersByTime(2500)
    expect(deadline.secondsLeft()).toBeCloseTo(0.5)
    jest.advanceTimersByTime(5000)
    expect(deadline.secondsLeft()).toBe(0)
  })
})
