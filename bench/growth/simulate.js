/**
 * Ten million users and a hundred replicas: replays a day of traffic against the counted costs (`costs.json`, which a
 * run of the part `growth` writes), and prints what `docs/scale.md` quotes. `--write` puts it there.
 *
 *   npm --prefix bench run simulate -- --users 1000000 --replicas 10
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { assumptions as usual } from './assumptions.js'
import { replayDay, routings } from './day.js'
import { demandOf } from './demand.js'
import { describeDay, describeLimits, describeSetups } from './scale-page.js'

const page = new URL('../../docs/scale.md', import.meta.url)
const mark = { begin: '<!-- npm --prefix bench run simulate -- --write -->', end: '<!-- end -->' }

const { values } = parseArgs({
  options: {
    users: { type: 'string' },
    replicas: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
})
const assumptions = {
  ...usual,
  users: Number(values.users ?? usual.users),
  replicas: Number(values.replicas ?? usual.replicas),
}
if (!(assumptions.users > 0 && assumptions.replicas > 0)) {
  throw new TypeError('simulate: --users and --replicas must be numbers above 0')
}
const costs = JSON.parse(readFileSync(new URL('costs.json', import.meta.url), 'utf8'))

const setups = routings.flatMap((routing) =>
  [false, true].map((shared) => {
    const counts = replayDay(assumptions, { routing, shared })
    return { routing, shared, demand: demandOf(counts, costs, assumptions) }
  }),
)
const text = [
  describeSetups(setups, assumptions, costs),
  describeDay(setups[0].demand),
  describeLimits(setups, assumptions),
].join('\n\n')
console.log(text)
if (values.write) {
  const before = readFileSync(page, 'utf8')
  const [head, rest] = before.split(`${mark.begin}\n`)
  const [, tail] = rest.split(mark.end)
  writeFileSync(page, `${head}${mark.begin}\n\n${text}\n\n${mark.end}${tail}`)
}
