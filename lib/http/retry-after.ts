/** The `Retry-After` header. */

/** Longest wait we let a server ask for, in seconds. */
const longest = 3600

/**
 * Reads `Retry-After`: seconds, or a date.
 *
 * @param now milliseconds since the epoch, for the date form
 * @returns seconds from now, at most an hour; undefined when there is no such header or it cannot be read
 * @see RFC 9110 section 10.2.3
 */
export function retryAfterSeconds(
  value: string | undefined,
  now: number = Date.now(),
): number | undefined {
  if (value === undefined) return undefined
  const text = value.trim()
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - now) / 1000
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(seconds, 0), longest)
}
