/** What the counted actions of a day demand of Redis, Entra and the replicas. */
import { slice } from './day.js'

/** Bytes of a downstream token in the store, sealed, with its key. */
const sharedToken = 2300

/**
 * @param {Record<string, number[]>} counts actions by slice, of the sample
 * @returns rates per second by slice, scaled up to all users; and bytes of memory
 */
export function demandOf(counts, costs, assumptions) {
  const scale = assumptions.users / assumptions.sample / slice
  const rates = Object.fromEntries(
    Object.entries(counts).map(([action, slices]) => [action, slices.map((n) => n * scale)]),
  )
  const sum = (costOf) =>
    rates.call.map((_, at) =>
      Object.entries(rates).reduce((all, [action, slices]) => all + slices[at] * costOf(action), 0),
    )
  const actions = actionCosts(costs)
  const each = (what) => sum((action) => actions[action]?.[what] ?? 0)
  return {
    calls: rates.call,
    logins: rates.login,
    refreshes: rates.refresh,
    exchanges: rates.exchange,
    entra: sum((action) => (['login', 'refresh', 'exchange'].includes(action) ? 1 : 0)),
    commands: each('commands'),
    network: each('bytes'),
    cores: each('cpu').map((microseconds) => microseconds / 1e6),
    redisMemory: redisMemory(rates, costs, assumptions),
    replicaMemory: replicaMemory(rates, costs, assumptions),
  }
}

/** What one action costs: commands to Redis, bytes from and to Redis, and microseconds of a replica. */
function actionCosts({ redis, cpuMicroseconds: cpu }) {
  const of = (name) => {
    const { commands, received, sent } = redis[name]
    return { commands, bytes: received + sent, cpu: cpu[name] }
  }
  const both = (a, b) => Object.fromEntries(Object.keys(a).map((key) => [key, a[key] + b[key]]))
  const known = of('gate, token looked at within the second')
  const more = (name) => {
    const { commands, bytes, cpu: all } = of(name)
    return { commands, bytes, cpu: all - known.cpu }
  }
  return {
    // Every call pays for a known token; what looking costs comes on top.
    call: known,
    'token never seen': more('gate, login never seen'),
    'token looked at again': more('gate, token looked at again'),
    refresh: of('refresh'),
    login: both(of('login, up to the code'), of('login, redemption of the code')),
    // An exchange asks Entra and verifies nothing: less than a refresh, which is what was measured.
    exchange: { commands: 0, bytes: 0, cpu: cpu.refresh },
    'downstream token looked for in the store': { commands: 1, bytes: sharedToken, cpu: 0 },
    'downstream token written to the store': { commands: 1, bytes: sharedToken, cpu: 0 },
  }
}

/**
 * Logins in use, logins that a later one has replaced and that wait for their end, and what redemptions and rotations
 * leave behind for a while.
 */
function redisMemory(rates, { redisBytesPerLogin, redisBytesPerRecord: record }, assumptions) {
  const { users, loginsPerUser, unusedDays } = assumptions
  const loginsPerDay = total(rates.login) * slice
  return (
    (users * loginsPerUser + loginsPerDay * unusedDays) * redisBytesPerLogin +
    loginsPerDay * record['spent-code'] +
    // Answers are kept for a minute.
    Math.max(...rates.refresh) * 60 * record['refresh-answer']
  )
}

/** What one replica remembers at the peak: the tokens it has seen in an hour, and what was exchanged for them. */
function replicaMemory(rates, { memoryBytes }, { replicas }) {
  const hour = 3600 / slice
  const inAnHour = (slices = []) =>
    Math.max(
      ...slices.map((_, at) => slices.slice(Math.max(0, at + 1 - hour), at + 1)).map(total),
    ) * slice
  const tokens = inAnHour(rates['token never seen']) / replicas
  const downstream =
    inAnHour(rates['downstream token looked for in the store'] ?? rates.exchange) / replicas
  return {
    tokens,
    bytes:
      tokens * memoryBytes['own token, the first of its login'] +
      downstream * memoryBytes['downstream token, for each user'],
  }
}

function total(values) {
  return values.reduce((sum, value) => sum + value, 0)
}
