/** Single flight: of all who want the same thing at once, one fetches it and the others wait for that one. */

/** The work under way, by key. */
export interface SingleFlight<T> {
  /** Joins the work under this key, or starts it. */
  run(key: string, start: () => Promise<T>): Promise<T>
  /** Whether somebody is at it. */
  has(key: string): boolean
}

/**
 * Makes one. It remembers nothing: the next one who asks after the work has ended, whichever way, starts it anew.
 *
 * @example
 * const fetches = singleFlight<Document>()
 * const document = await fetches.run(url, () => fetchDocument(url))
 */
export function singleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Promise<T>>()
  return Object.freeze({
    run(key: string, start: () => Promise<T>) {
      const running = flights.get(key)
      if (running) return running
      const flight = start().finally(() => flights.delete(key))
      flights.set(key, flight)
      return flight
    },
    has: (key: string) => flights.has(key),
  })
}
