/** Prints what was measured, and keeps what the simulation needs. */
import { quantile } from '../statistics.js'
import { table } from '../table.js'
import { cells } from './cells.js'

/** With any number of logins in the store, an action may cost so many times what it costs with a hundred. */
const flat = 1.5

export function printGrowth(growth) {
  const { stores, commands, records, cached } = growth
  const kinds = [...new Set(stores.map(({ kind }) => kind))]
  for (const kind of kinds) printCosts(kind, storesOf(growth, kind))
  print(
    'Bytes in the store for each login',
    table(
      ['', 'logins', 'bytes each'],
      stores.map(({ kind, logins, bytesPerGrant }) => [kind, logins, bytesPerGrant.toFixed(0)]),
    ),
  )
  if (records)
    print('Bytes of Redis memory for a record', table(['', 'bytes'], Object.entries(records)))
  if (commands) printCommands(commands)
  print(
    'Bytes in the memory of a replica',
    table(
      ['', 'bytes each'],
      Object.entries(cached).map(([name, bytes]) => [name, bytes.toFixed(0)]),
    ),
  )
}

/** Costs as a table for each kind of store: sizes side by side, and how much dearer than the smallest they are. */
function printCosts(kind, stores) {
  const header = ['CPU in µs (ms to the answer)', ...stores.map(({ logins }) => `${logins} logins`)]
  const rows = Object.keys(cells).map((name) => {
    const costs = stores.map(({ samples }) => {
      const [cpu, wall] = ['cpu', 'wall'].map((what) => median(samples.get(name), what))
      return `${cpu.toFixed(0)} (${wall.toFixed(1)})`
    })
    const growth = Math.max(...stores.map((store) => growthOf(stores[0], store, name)))
    return [name, ...costs, growth.toFixed(2), growth <= flat ? 'PASS' : 'MISS']
  })
  print(kind, table([...header, 'grown by', ''], rows))
}

/** How many times the CPU of the smallest store, in the same rounds. */
function growthOf(smallest, { samples }, name) {
  const base = smallest.samples.get(name)
  return quantile(samples.get(name).map(({ cpu }, round) => cpu / base[round].cpu))
}

function printCommands(counts) {
  const names = [...new Set(Object.values(counts).flatMap(({ commands }) => Object.keys(commands)))]
  const rows = Object.entries(counts).map(([action, { commands, total, received, sent }]) => [
    action,
    ...names.map((name) => (commands[name] ?? 0).toFixed(2)),
    total.toFixed(2),
    received.toFixed(0),
    sent.toFixed(0),
  ])
  const header = ['', ...names.map((name) => name.toUpperCase()), 'all', 'bytes in', 'bytes out']
  print('Commands to Redis', table(header, rows))
}

/** What `simulate.js` computes with: microseconds, bytes, commands. */
export function costsOf(growth) {
  const { commands, records, cached } = growth
  const [largest] = storesOf(growth, 'Redis').slice(-1)
  const cpu = Object.keys(cells).map((name) => [
    name,
    Math.round(median(largest.samples.get(name), 'cpu')),
  ])
  const redis = Object.entries(commands).map(([action, { total, received, sent }]) => [
    action,
    { commands: round(total), received: Math.round(received), sent: Math.round(sent) },
  ])
  return {
    measured: new Date().toISOString(),
    logins: largest.logins,
    cpuMicroseconds: Object.fromEntries(cpu),
    redis: Object.fromEntries(redis),
    redisBytesPerLogin: Math.round(largest.bytesPerGrant),
    redisBytesPerRecord: records,
    memoryBytes: Object.fromEntries(
      Object.entries(cached).map(([name, bytes]) => [name, Math.round(bytes)]),
    ),
  }
}

/** Two digits: what a thousand actions cost is not exact. */
function round(number) {
  return Math.round(number * 100) / 100
}

function storesOf({ stores }, kind) {
  return stores.filter((store) => store.kind === kind)
}

function median(samples, what) {
  return quantile(samples.map((sample) => sample[what]))
}

function print(title, text) {
  console.log(`\n${title}\n\n${text}`)
}
