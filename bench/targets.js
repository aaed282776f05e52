/** What we set out to reach, as ratios to a bare route or to a peer in the same run. */
import { compare } from './measure.js'
import { quantile } from './statistics.js'

/** Microseconds a warm on-behalf-of token may cost. */
const onBehalfOfBudget = 50
/** A scan would cost 50,000 times as much for 50,000 users; memory caches that no longer hold them all, this. */
const flat = 10
/** Megabytes that 80,000 more users may add to a full cache. Kept without a bound, their tokens would add 120. */
const mostGrown = 10

/** @returns rows of what was wanted, what was measured, and PASS or MISS */
export function targets(samples, onBehalfOf, grown) {
  return [
    ...againstBare(samples, 'mcp-entra, Entra token, seen', 'bare route (Entra token)', 0.86, 30),
    ...againstBare(samples, 'mcp-entra, own token, seen', 'bare route (own token)', 0.92, 20),
    againstJose(samples, 'mcp-entra, Entra token, new', 'jose by hand'),
    againstJose(samples, 'mcp-entra, own token, new', 'jose by hand, own token'),
    ...downstream(onBehalfOf),
    memory(grown),
  ]
}

function againstBare(samples, name, bare, leastRatio, mostAdded) {
  const { ratio, added } = compare(samples.get(name), samples.get(bare))
  return [
    row(`${name}: at least ${leastRatio} of bare`, ratio.toFixed(2), ratio >= leastRatio),
    row(`${name}: at most ${mostAdded} µs added`, added.toFixed(0), added <= mostAdded),
  ]
}

/** Throughput beside jose with the same tokens, and our CPU beside jose's for information. */
function againstJose(samples, name, jose) {
  const { ratio, added } = compare(samples.get(name), samples.get(jose))
  const measured = `${ratio.toFixed(2)} of jose, ${added >= 0 ? '+' : ''}${added.toFixed(0)} µs`
  return row(`${name}: not behind jose alone`, measured, ratio >= 1)
}

function downstream(samples) {
  const cost = (name) => quantile(samples.get(name))
  const sizes = ['mcp-entra, 1 user', 'mcp-entra, 1,000 users', 'mcp-entra, 50,000 users']
  const worst = Math.max(...sizes.map(cost))
  const growth = cost('mcp-entra, 50,000 users') / cost('mcp-entra, 1 user')
  return [
    row(
      `on behalf of, warm: at most ${onBehalfOfBudget} µs at any size`,
      worst.toFixed(1),
      worst <= onBehalfOfBudget,
    ),
    row(
      `on behalf of, warm: flat (50,000 users at most ${flat} times 1 user)`,
      `${growth.toFixed(1)} times`,
      growth <= flat,
    ),
  ]
}

/** @param bytes by which a full cache has grown */
function memory(bytes) {
  const megabytes = bytes / 1024 / 1024
  return row(
    `on behalf of, 80,000 users more than it holds: at most ${mostGrown} MB added`,
    `${megabytes.toFixed(1)} MB`,
    megabytes <= mostGrown,
  )
}

function row(wanted, measured, reached) {
  return [wanted, measured, reached ? 'PASS' : 'MISS']
}
