/** On-behalf-of with the downstream token cached, as a table. */
import { quantile } from '../statistics.js'
import { measureOnBehalfOf, measureOnBehalfOfMemory } from './measure.js'
import { targets } from './targets.js'

export async function run(options, progress) {
  const samples = await measureOnBehalfOf(options, progress)
  const grown = await measureOnBehalfOfMemory(progress)
  const rows = [...samples].map(([name, costs]) => [name, quantile(costs).toFixed(1)])
  return {
    title: 'On behalf of',
    tables: [{ title: 'Downstream token cached', header: ['', 'µs per call'], rows }],
    targets: targets(samples, grown),
  }
}
