/** What a run may be told, by flag or by environment variable: flags do not pass through two `npm run`s easily. */
import { parseArgs } from 'node:util'

/** Many short rounds rather than few long ones: what disturbs a round then disturbs all of it. */
const usual = { rounds: 15, seconds: 0.3, connections: 32 }
const quick = { rounds: 2, seconds: 0.12, connections: 32 }

/**
 * `only` names the parts to run; undefined for all of them.
 *
 * @returns {{ rounds: number, seconds: number, connections: number, quick: boolean, only?: string[] }}
 */
export function readOptions(partNames, args = process.argv.slice(2), env = process.env) {
  const text = { type: 'string' }
  const { values } = parseArgs({
    args,
    options: {
      rounds: text,
      seconds: text,
      connections: text,
      only: text,
      quick: { type: 'boolean' },
    },
  })
  const given = (name) => values[name] ?? env[`BENCH_${name.toUpperCase()}`]
  const isQuick = Boolean(given('quick'))
  const numbers = Object.entries(isQuick ? quick : usual).map(([name, number]) => [
    name,
    given(name) === undefined ? number : positive(name, given(name)),
  ])
  return {
    ...Object.fromEntries(numbers),
    quick: isQuick,
    only: readOnly(given('only'), partNames),
  }
}

function positive(name, given) {
  const number = Number(given)
  const whole = name === 'seconds' || Number.isInteger(number)
  if (number > 0 && Number.isFinite(number) && whole) return number
  throw new TypeError(`bench: --${name} must be a number above 0: ${given}`)
}

function readOnly(given, partNames) {
  const names = given?.split(',')
  const unknown = names?.find((name) => !partNames.includes(name))
  if (unknown === undefined) return names
  throw new TypeError(`bench: --only knows no part '${unknown}': ${partNames.join(', ')}`)
}
