/** The figures of `docs/scale.md`, as Markdown. */
import { slice } from './day.js'

/** How full a Redis primary should be at the peak. */
const headroom = 0.5

const peak = (slices) => Math.max(...slices)
const count = (number) => Math.round(number).toLocaleString('en-US')
const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(bytes < 10e9 ? 1 : 0)} GB`

/** What each way to route and to share takes at the peak. */
export function describeSetups(
  setups,
  { users, replicas },
  { measured, logins, redisBytesPerLogin },
) {
  const rows = [
    ['tool calls a second', ({ calls }) => count(peak(calls))],
    ['logins a second', ({ logins: slices }) => count(peak(slices))],
    ['refreshes a second', ({ refreshes }) => count(peak(refreshes))],
    ['exchanges on behalf of a user, a second', ({ exchanges }) => count(peak(exchanges))],
    ["requests to Entra's token endpoint a second", ({ entra }) => count(peak(entra))],
    ['Redis commands a second', ({ commands }) => count(peak(commands))],
    ['Redis network, Gbit/s', ({ network }) => ((peak(network) * 8) / 1e9).toFixed(1)],
    ['Redis memory', ({ redisMemory }) => gigabytes(redisMemory)],
    ['cores busy, of all replicas', ({ cores }) => count(peak(cores))],
    [
      'tokens that one replica has seen in an hour',
      ({ replicaMemory }) => count(replicaMemory.tokens),
    ],
    [
      'memory to remember them all, per replica',
      ({ replicaMemory }) => gigabytes(replicaMemory.bytes),
    ],
  ].map(([name, read]) => [name, ...setups.map(({ demand }) => read(demand))])
  const heads = setups.map(
    ({ routing, shared }) => `${routing}${shared ? ', downstream tokens shared' : ''}`,
  )
  return [
    `${count(users)} users, ${count(replicas)} replicas. Costs measured on ${measured.slice(0, 10)} with ${count(logins)} logins in Redis, ${count(redisBytesPerLogin)} bytes each.`,
    markdown([`at the peak (busiest ${slice / 60} minutes)`, ...heads], rows),
  ].join('\n\n')
}

/** The day by the hour, for the first setup. */
export function describeDay({ calls, logins, refreshes, exchanges, commands }) {
  const perHour = 3600 / slice
  const mean = (slices, hour) =>
    count(slices.slice(hour * perHour, (hour + 1) * perHour).reduce((a, b) => a + b) / perHour)
  const hours = [0, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 22]
  const rows = hours.map((hour) => [
    `${hour}:00`,
    ...[calls, logins, refreshes, exchanges, commands].map((slices) => mean(slices, hour)),
  ])
  return [
    'The day, by hours (a second, mean of the hour; any replica, nothing shared):',
    markdown(['', 'tool calls', 'logins', 'refreshes', 'exchanges', 'Redis commands'], rows),
  ].join('\n\n')
}

/** What is full first, with one Redis, and how many primaries it takes instead. */
export function describeLimits(setups, { redis, replicas, coresPerReplica }) {
  const heads = [
    'of one Redis, and of the replicas',
    'memory',
    'commands',
    'network',
    'replicas’ cores',
    'first limit',
    'primaries',
  ]
  const rows = setups.map(({ routing, shared, demand }) => {
    const use = {
      memory: demand.redisMemory / redis.memory,
      commands: peak(demand.commands) / redis.commands,
      network: peak(demand.network) / redis.network,
      cores: peak(demand.cores) / (replicas * coresPerReplica),
    }
    const [first] = Object.entries(use).sort(([, a], [, b]) => b - a)[0]
    const { cores, ...ofRedis } = use
    const primaries = Math.ceil(Math.max(...Object.values(ofRedis)) / headroom)
    const percent = Object.values(use).map((share) => `${(100 * share).toFixed(0)}%`)
    return [`${routing}${shared ? ', shared' : ''}`, ...percent, first, primaries]
  })
  return [
    `How full one Redis (${count(redis.commands)} commands a second, ${(redis.network * 8) / 1e9} Gbit/s, ${gigabytes(redis.memory)}) and the replicas (${coresPerReplica} core each) would be at the peak, and how many Redis primaries it takes to be at most ${100 * headroom}% full:`,
    markdown(heads, rows),
  ].join('\n\n')
}

function markdown(header, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [
    line(header),
    line(header.map((_, at) => (at === 0 ? '---' : '---:'))),
    ...rows.map(line),
  ].join('\n')
}
