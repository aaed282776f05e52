import { describe, expect, it } from '@jest/globals'
import { retryAfterSeconds } from '../../lib/http/retry-after.js'

describe('retryAfterSeconds', () => {
  const now = Date.UTC(2026, 10, 21, 12)
  it.each([
    ['120', 120],
    [' 5 ', 5],
    ['0', 0],
    ['99999999999', 3600],
    ['Sat, 21 Nov 2026 12:00:30 GMT', 30],
    ['Sat, 21 Nov 2026 11:00:00 GMT', 0],
    ['Sun, 21 Nov 2027 11:00:00 GMT', 3600],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('reads %j as %j seconds (RFC 9110 section 10.2.3)', (value, seconds) => {
    expect(retryAfterSeconds(value, now)).toBe(seconds)
  })
})
