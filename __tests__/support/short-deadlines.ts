/** Shortens the deadlines of network calls, so that a request that is never answered fails quickly. */
import { jest } from '@jest/globals'

const speed = 20

/**
 * Makes the deadlines of requests 20 times shorter while `work` runs. Only for requests that are never answered: on a
 * busy machine a late answer would count as an outage.
 *
 * @returns what `work` returns, and the deadlines that were set, in seconds as the code under test asked for them
 */
export async function withShortDeadlines<T>(
  work: () => Promise<T>,
): Promise<{ readonly result: T; readonly deadlines: readonly number[] }> {
  const { timeout } = AbortSignal
  const deadlines: number[] = []
  const spy = jest.spyOn(AbortSignal, 'timeout').mockImplementation((milliseconds) => {
    deadlines.push(milliseconds / 1000)
    return timeout.call(AbortSignal, Math.ceil(milliseconds / speed))
  })
  try {
    return { result: await work(), deadlines }
  } finally {
    spy.mockRestore()
  }
}
