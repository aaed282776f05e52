/** The clock of network calls: for a request that Entra never answers nobody has to wait in real time. */
import { jest } from '@jest/globals'

const speed = 20

/**
 * Lets the deadlines of requests pass 20 times as fast while `work` runs, where nothing is ever answered: what is
 * answered late on a busy machine would be taken for an outage.
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
