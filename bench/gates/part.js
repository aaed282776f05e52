/** Gates, as tables: requests that pass, and requests that are refused. */
import { pinning } from '../pin.js'
import { quantile, spread } from '../statistics.js'
import { guarded, pace, refusals, refused, refusers, seen, unseen } from './cells.js'
import { compare } from './measure.js'
import { measureGates } from './start.js'
import { targets } from './targets.js'

export async function run(options, progress) {
  const gates = await measureGates(options, progress)
  return {
    title: 'Gates',
    notes: [
      `POST of a tool call with a token of 1.3 kB, ${options.connections} connections with one request in flight each, one route that answers a tiny JSON; ${pinning}.`,
      'Ratio of throughput and CPU added are to a bare route that gets the same bytes, corrected for the drift of the machine. Medians of all rounds, quartiles in brackets; "bare, again" is the bare route against itself, and shows how far noise reaches.',
    ],
    tables: [
      gateTable('Tokens seen before: 500, and 10,000', [pace, ...seen], gates, [
        'All of these remember verified tokens: fast-jwt by its hash, until it expires, and asks nobody whether it was revoked; mcp-entra looks that up for tokens of its own. The other peers verify each token each time: their rows are below.',
      ]),
      gateTable('Behind the gate: the body, and the guard of tools', guarded, gates, [
        'Compared to a bare route that parses the same body with express.json.',
      ]),
      gateTable('Tokens never seen', unseen, gates, [
        "RS256 by Entra, except for the last two: ES256, and ours opens the login in its store besides. jose verifies in the thread pool, the others in the thread of the server. fast-jwt, aws-jwt-verify and @node-rs/jsonwebtoken were given the key at the start; jose, the SDKs and express-oauth2-jwt-bearer fetch Entra's keys, as ours does.",
      ]),
      refusalTable(gates),
    ],
    plots: [
      costPlot(
        'gates-seen',
        'A token seen before: CPU added to a bare route, µs',
        seen.slice(3),
        gates,
      ),
      costPlot('gates-new', 'A token never seen: CPU added to a bare route, µs', unseen, gates),
    ],
    targets: targets(gates.samples),
  }
}

function costPlot(file, title, cells, { samples }) {
  const costs = cells.map(({ name, to }) =>
    quantile(compare(samples.get(name), samples.get(to)).added),
  )
  return { file, title, names: cells.map(({ name }) => name), series: { 'µs added': costs } }
}

function gateTable(title, cells, { samples, memory }, notes) {
  const rows = cells.map(({ name, server, to = name }) => {
    const own = samples.get(name)
    const { ratio, added } = compare(own, samples.get(to))
    return [
      name,
      quantile(own.map(({ perSecond }) => perSecond)).toFixed(0),
      spread(ratio, 2),
      spread(added, 0),
      quantile(own.map(({ p99 }) => p99)).toFixed(1),
      (memory.get(server) / 1024 / 1024).toFixed(0),
    ]
  })
  const header = ['', 'requests/s', 'to bare', 'µs added', 'p99 ms', 'RSS MB']
  return { title, header, rows, notes }
}

/** One row for each gate, ratio and CPU for each kind of request. */
function refusalTable({ samples }) {
  const kinds = Object.keys(refusals)
  const rows = Object.keys(refusers).map((gate) => [
    gate,
    ...kinds.map((kind) => {
      const { name, to } = refused.find(({ name }) => name === `${gate}: ${kind}`)
      const { ratio, added } = compare(samples.get(name), samples.get(to))
      return `${quantile(ratio).toFixed(2)}; ${quantile(added).toFixed(0)}`
    }),
  ])
  return {
    title: 'Requests that are refused: ratio to bare; µs added',
    header: ['', ...kinds],
    rows,
    notes: [
      'No token comes twice before a cache has forgotten it. All answer 401 with a challenge.',
    ],
  }
}
