/** Single flight: work that several callers want at the same time is done once, for all of them. */

/** The work under way, by key. */
export interface SingleFlight<T> {
  /** Joins the work under this key, or starts it. */
  run(key: string, start: () => Promise<T>): Promise<T>
  /** Whether work under this key is under way. */
  has(key: string): boolean
}

/**
 * Makes a single flight. It keeps no results: a call after the work has succeeded or failed starts it again.
 *
 * @example
 * const fetches = singleFlight<Document>()
 * const document = await fetches.run(url, () => fetchDocument(url))
 */
export function singleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Promise<T>>()

  // `work.finally(…)` would say the same, for two promises more.
  async function end(key: string, work: Promise<T>): Promise<T> {
    try {
      return await work
    } finally {
      flights.delete(key)
    }
  }

  return Object.freeze({
    run(key: string, start: () => Promise<T>) {
      const running = flights.get(key)
      if (running) return running
      const flight = end(key, start())
      flights.set(key, flight)
      return flight
    },
    has: (key: string) => flights.has(key),
  })
}
