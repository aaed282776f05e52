/** What we set out to reach downstream. */
import { quantile } from '../statistics.js'
import { target } from '../target.js'

/** Microseconds a warm on-behalf-of token may cost. */
const budget = 5
/** Megabytes that 80,000 more users may add to a full cache. Kept without a bound, their tokens would add 120. */
const mostGrown = 10

/** @param grown bytes by which a full cache has grown */
export function targets(samples, grown) {
  const cost = (name) => quantile(samples.get(name))
  const sizes = ['mcp-entra, 1 user', 'mcp-entra, 1,000 users', 'mcp-entra, 100,000 users']
  const worst = Math.max(...sizes.map(cost))
  const megabytes = grown / 1024 / 1024
  return [
    target(
      `on behalf of, warm: at most ${budget} µs at any size`,
      worst.toFixed(1),
      worst <= budget,
    ),
    target(
      `on behalf of, 80,000 users more than it holds: at most ${mostGrown} MB added`,
      `${megabytes.toFixed(1)} MB`,
      megabytes <= mostGrown,
    ),
  ]
}
