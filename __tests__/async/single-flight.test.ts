import { describe, expect, it } from '@jest/globals'
import { singleFlight } from '../../lib/async/single-flight.js'

/** Work that ends when it is told to. */
function work<T>() {
  let started = 0
  const ends: ((value: T | PromiseLike<T>) => void)[] = []
  return {
    start: () => {
      started += 1
      return new Promise<T>((resolve) => ends.push(resolve))
    },
    end: (value: T | PromiseLike<T>) => ends.shift()?.(value),
    started: () => started,
  }
}

describe('singleFlight', () => {
  it('starts the work once for all who ask while it is under way', async () => {
    const flights = singleFlight<string>()
    const one = work<string>()
    const all = Array.from({ length: 50 }, () => flights.run('a', one.start))
    expect([one.started(), flights.has('a')]).toEqual([1, true])
    one.end('done')
    expect(new Set(await Promise.all(all))).toEqual(new Set(['done']))
    expect(flights.has('a')).toBe(false)
  })

  it('keeps work under different keys apart', async () => {
    const flights = singleFlight<string>()
    const [a, b] = [work<string>(), work<string>()]
    const both = Promise.all([flights.run('a', a.start), flights.run('b', b.start)])
    b.end('b')
    a.end('a')
    expect(await both).toEqual(['a', 'b'])
  })

  it('remembers nothing: who asks afterwards starts the work anew', async () => {
    const flights = singleFlight<number>()
    let count = 0
    const start = async () => ++count
    expect([await flights.run('a', start), await flights.run('a', start)]).toEqual([1, 2])
  })

  it('fails for all who wait, and the next one may try again', async () => {
    const flights = singleFlight<string>()
    const one = work<string>()
    const all = [1, 2, 3].map(() => flights.run('a', one.start))
    const error = new Error('out of reach')
    one.end(Promise.reject(error))
    for (const outcome of await Promise.allSettled(all)) {
      expect(outcome).toEqual({ status: 'rejected', reason: error })
    }
    expect(await flights.run('a', async () => 'again')).toBe('again')
  })
})
