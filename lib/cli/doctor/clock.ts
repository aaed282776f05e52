/** Whether this machine's clock agrees with another one's. */
import { type Finding, failure, ok, warning } from './finding.js'

/** Seconds that tokens may be off: what the gates allow. */
const allowed = 5
/** Seconds beyond which tokens are refused for certain. */
const tooMuch = 60

/**
 * Compares with the `Date` of an answer, which is exact to a second.
 *
 * @param now milliseconds since the epoch
 */
export function checkClock(
  whose: string,
  date: string | undefined,
  now: number,
): readonly Finding[] {
  const theirs = Date.parse(date ?? '')
  if (Number.isNaN(theirs)) return []
  const seconds = Math.round((now - theirs) / 1000)
  const distance = Math.abs(seconds)
  const says = `this machine is ${distance} seconds ${seconds > 0 ? 'ahead of' : 'behind'} ${whose}`
  const remedy =
    'set the clock by NTP: timedatectl set-ntp true, or of the host that runs the container'
  if (distance > tooMuch) {
    return [
      failure('clock', `${says}: good tokens are refused as expired or not valid yet`, remedy),
    ]
  }
  // The second is for the answer's way and for rounding.
  if (distance > allowed + 1)
    return [warning('clock', `${says}: more than the ${allowed} that tokens may be off`, remedy)]
  return [ok('clock', `agrees with ${whose}`)]
}
