/** What a run may be told, by flag or by environment variable: flags do not pass through two `npm run`s easily. */
import { parseArgs } from 'node:util'

/** Many short rounds rather than few long ones: what disturbs a round then disturbs all of it. */
const defaults = { rounds: 15, seconds: 0.4, connections: 16 }

/** @returns {{ rounds: number, seconds: number, connections: number }} */
export function readOptions(args = process.argv.slice(2), env = process.env) {
  const options = Object.fromEntries(
    Object.keys(defaults).map((name) => [name, { type: 'string' }]),
  )
  const { values } = parseArgs({ args, options })
  return Object.fromEntries(
    Object.entries(defaults).map(([name, usual]) => {
      const given = values[name] ?? env[`BENCH_${name.toUpperCase()}`]
      return [name, given === undefined ? usual : positive(name, given)]
    }),
  )
}

function positive(name, given) {
  const number = Number(given)
  const whole = name === 'seconds' || Number.isInteger(number)
  if (number > 0 && Number.isFinite(number) && whole) return number
  throw new TypeError(`bench: --${name} must be a number above 0: ${given}`)
}
