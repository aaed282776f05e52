/** What we set out to reach at the gate, as ratios to a bare route or to a peer in the same run. */
import { target } from '../target.js'
import { compare } from './measure.js'

/** @returns rows of what was wanted, what was measured, and PASS or MISS */
export function targets(samples) {
  return [
    ...againstBare(samples, 'mcp-entra, Entra token, seen', 'bare route (Entra token)', 0.86, 30),
    ...againstBare(samples, 'mcp-entra, own token, seen', 'bare route (own token)', 0.92, 20),
    againstJose(samples, 'mcp-entra, Entra token, new', 'jose by hand'),
    againstJose(samples, 'mcp-entra, own token, new', 'jose by hand, own token'),
  ]
}

function againstBare(samples, name, bare, leastRatio, mostAdded) {
  const { ratio, added } = compare(samples.get(name), samples.get(bare))
  return [
    target(`${name}: at least ${leastRatio} of bare`, ratio.toFixed(2), ratio >= leastRatio),
    target(`${name}: at most ${mostAdded} µs added`, added.toFixed(0), added <= mostAdded),
  ]
}

/** Throughput beside jose with the same tokens, and our CPU beside jose's for information. */
function againstJose(samples, name, jose) {
  const { ratio, added } = compare(samples.get(name), samples.get(jose))
  const measured = `${ratio.toFixed(2)} of jose, ${added >= 0 ? '+' : ''}${added.toFixed(0)} µs`
  return target(`${name}: not behind jose alone`, measured, ratio >= 1)
}
