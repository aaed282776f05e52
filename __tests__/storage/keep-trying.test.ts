import { describe, expect, it } from '@jest/globals'
import { OAuthError, unavailable } from '../../lib/oauth/errors.js'
import { keepTrying } from '../../lib/storage/keep-trying.js'

/** A clock that pauses move on, and nothing else. */
function pausingClock() {
  let time = 0
  const pauses: number[] = []
  return {
    pauses,
    now: () => time,
    pause: async (milliseconds: number) => {
      pauses.push(milliseconds)
      time += milliseconds
    },
  }
}

const outage = () => unavailable('The store cannot be reached.', 'down')

/** Fails so many times, then succeeds. */
function failing(times: number, error: () => unknown = outage) {
  let tries = 0
  const attempt = async () => {
    tries += 1
    if (tries <= times) throw error()
    return 'done'
  }
  return { attempt, tries: () => tries }
}

describe('keeping on trying', () => {
  it('does not wait for what succeeds at once', async () => {
    const clock = pausingClock()
    expect(await keepTrying(failing(0).attempt, clock)).toBe('done')
    expect(clock.pauses).toEqual([])
  })

  it('outlasts an outage, with pauses of 100 to 250 ms that differ', async () => {
    const clock = pausingClock()
    expect(await keepTrying(failing(12).attempt, clock)).toBe('done')
    expect(clock.pauses).toHaveLength(12)
    expect(Math.min(...clock.pauses)).toBeGreaterThanOrEqual(100)
    expect(Math.max(...clock.pauses)).toBeLessThanOrEqual(250)
    expect(new Set(clock.pauses).size).toBeGreaterThan(1)
  })

  it('gives up after 5 seconds, with the last error', async () => {
    const clock = pausingClock()
    const last = outage()
    await expect(
      keepTrying(failing(Number.POSITIVE_INFINITY, () => last).attempt, clock),
    ).rejects.toBe(last)
    expect(clock.now()).toBeLessThanOrEqual(5000)
    expect(clock.now()).toBeGreaterThan(4500)
  })

  it('counts the time that the tries themselves take', async () => {
    const clock = pausingClock()
    const slow = failing(Number.POSITIVE_INFINITY)
    const attempt = async () => {
      await clock.pause(1000)
      return slow.attempt()
    }
    await expect(keepTrying(attempt, clock)).rejects.toThrow('temporarily_unavailable')
    expect(slow.tries()).toBeLessThanOrEqual(5)
  })

  it('ends though the clock is set back meanwhile', async () => {
    const endless = failing(Number.POSITIVE_INFINITY)
    let time = 0
    const now = () => {
      time -= 60_000
      return time
    }
    await expect(
      keepTrying(endless.attempt, { now, pause: async () => undefined }),
    ).rejects.toThrow('temporarily_unavailable')
    expect(endless.tries()).toBe(51)
  })

  it.each([
    ['a refusal', () => new OAuthError('access_denied', 'No.')],
    ['an error of our own', () => new OAuthError('server_error', 'Oops.')],
    ['a mistake in the program', () => new TypeError('undefined is no function')],
  ])('does not repeat %s', async (_what, error) => {
    const clock = pausingClock()
    const work = failing(1, error)
    await expect(keepTrying(work.attempt, clock)).rejects.toThrow(error().message)
    expect(work.tries()).toBe(1)
  })

  it('waits in real time where nothing else is said', async () => {
    const startedAt = performance.now()
    expect(await keepTrying(failing(1).attempt, { now: Date.now })).toBe('done')
    // Timers may be a millisecond early by this clock.
    expect(performance.now() - startedAt).toBeGreaterThan(98)
  })
})
