/** What was measured, as tables, a plot and targets, and what the simulation needs of it. */
import { quantile } from '../statistics.js'
import { target } from '../target.js'
import { cells } from './cells.js'

/** With any number of logins in the store, an action may cost so many times what it costs with a hundred. */
const flat = 1.5

export function growthTables(growth) {
  const { stores, commands, records, cached } = growth
  return [
    ...kindsOf(growth).map((kind) => costTable(kind, storesOf(growth, kind))),
    {
      title: 'Bytes in the store for each login',
      header: ['', 'logins', 'bytes each'],
      rows: stores.map(({ kind, logins, bytesPerGrant }) => [
        kind,
        logins,
        bytesPerGrant.toFixed(0),
      ]),
    },
    ...(records
      ? [
          {
            title: 'Bytes of Redis memory for a record',
            header: ['', 'bytes'],
            rows: Object.entries(records),
          },
        ]
      : []),
    ...(commands ? [commandTable(commands)] : []),
    {
      title: 'Bytes in the memory of a replica',
      header: ['', 'bytes each'],
      rows: Object.entries(cached).map(([name, bytes]) => [name, bytes.toFixed(0)]),
    },
  ]
}

/** Costs for each kind of store: sizes side by side, and how much dearer than the smallest the dearest is. */
function costTable(kind, stores) {
  const rows = Object.keys(cells).map((name) => {
    const costs = stores.map(({ samples }) => {
      const [cpu, wall] = ['cpu', 'wall'].map((what) => median(samples.get(name), what))
      return `${cpu.toFixed(0)} (${wall.toFixed(1)})`
    })
    return [name, ...costs, growthOf(stores, name).toFixed(2)]
  })
  return {
    title: `${kind}: CPU in µs (ms to the answer)`,
    header: ['', ...stores.map(({ logins }) => `${logins} logins`), 'grown by'],
    rows,
  }
}

/** How many times the CPU of the smallest store, for the size where it is most. What disturbs a round only adds. */
function growthOf([smallest, ...larger], name) {
  const least = ({ samples }) => Math.min(...samples.get(name).map(({ cpu }) => cpu))
  return Math.max(...larger.map(least)) / least(smallest)
}

function commandTable(counts) {
  const names = [...new Set(Object.values(counts).flatMap(({ commands }) => Object.keys(commands)))]
  const rows = Object.entries(counts).map(([action, { commands, total, received, sent }]) => [
    action,
    ...names.map((name) => (commands[name] ?? 0).toFixed(2)),
    total.toFixed(2),
    received.toFixed(0),
    sent.toFixed(0),
  ])
  const header = ['', ...names.map((name) => name.toUpperCase()), 'all', 'bytes in', 'bytes out']
  return { title: 'Commands to Redis', header, rows }
}

/** One target for each kind of store: the action that grows most. */
export function targets(growth) {
  return kindsOf(growth).map((kind) => {
    const stores = storesOf(growth, kind)
    const grown = Object.keys(cells).map((name) => [growthOf(stores, name), name])
    const [most, name] = grown.sort(([a], [b]) => b - a)[0]
    const { logins } = stores.at(-1)
    return target(
      `${kind}, from 100 to ${logins} logins: every action at most ${flat} times`,
      `${most.toFixed(2)} (${name})`,
      most <= flat,
    )
  })
}

/** What actions cost by the number of logins in Redis, or in LMDB where there is no Redis. */
export function plots(growth) {
  const [kind] = kindsOf(growth)
  const rows = Object.keys(cells).flatMap((name) =>
    storesOf(growth, kind).map(({ logins, samples }) => ({
      name: `${name}, ${logins} logins`,
      cpu: median(samples.get(name), 'cpu'),
    })),
  )
  return [
    {
      file: 'growth',
      title: `CPU of an action by logins in ${kind}, µs`,
      names: rows.map((row) => row.name),
      series: { µs: rows.map((row) => row.cpu) },
    },
  ]
}

/** What `simulate.js` computes with: microseconds, bytes, commands. */
export function costsOf(growth) {
  const { commands, records, cached } = growth
  const largest = storesOf(growth, 'Redis').at(-1)
  const cpu = Object.keys(cells).map((name) => [
    name,
    Math.round(median(largest.samples.get(name), 'cpu')),
  ])
  const redis = Object.entries(commands).map(([action, { total, received, sent }]) => [
    action,
    { commands: round(total), received: Math.round(received), sent: Math.round(sent) },
  ])
  const memory = Object.entries(cached).map(([name, bytes]) => [name, Math.round(bytes)])
  return {
    measured: new Date().toISOString(),
    logins: largest.logins,
    cpuMicroseconds: Object.fromEntries(cpu),
    redis: Object.fromEntries(redis),
    redisBytesPerLogin: Math.round(largest.bytesPerGrant),
    redisBytesPerRecord: records,
    memoryBytes: Object.fromEntries(memory),
  }
}

/** Two digits: what a thousand actions cost is not exact. */
function round(number) {
  return Math.round(number * 100) / 100
}

/** The smallest store first. */
function storesOf({ stores }, kind) {
  return stores.filter((store) => store.kind === kind).sort((a, b) => a.logins - b.logins)
}

/** Redis first, where there is one. */
function kindsOf({ stores }) {
  const known = new Set(stores.map(({ kind }) => kind))
  return ['Redis', 'LMDB', 'memory'].filter((kind) => known.has(kind))
}

function median(samples, what) {
  return quantile(samples.map((sample) => sample[what]))
}
