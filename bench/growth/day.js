/** Replays a day of some users, call by call, and counts what it takes, in slices of five minutes. */

/** Seconds of a slice. */
export const slice = 300
const slices = (24 * 3600) / slice

/** How requests find their replica. */
export const routings = ['any replica', 'the same replica for a session']

/**
 * @param {{ routing: string, shared: boolean }} setup `shared`: replicas use each other's downstream tokens
 * @returns how often each action happened, by slice: `{ name: number[] }`, of the sample
 */
export function replayDay(assumptions, { routing, shared }) {
  const random = seeded(1)
  // Of its own, so that every way to route sees the same day.
  const route = seeded(2)
  const counts = {}
  const count = (name, time) => {
    counts[name] ??= Array(slices).fill(0)
    counts[name][Math.floor(time / slice) % slices]++
  }
  const world = { assumptions, routing, shared, random, route, count }
  for (let user = 0; user < assumptions.sample; user++) {
    if (random() < assumptions.active) replayUser(world)
  }
  return counts
}

function replayUser(world) {
  const { assumptions, random } = world
  const begins = Array.from({ length: between(random, assumptions.sessions) }, () =>
    beginOf(assumptions.hours, random),
  ).sort((a, b) => a - b)
  // Whoever comes in the morning has a login of yesterday, whose access token has expired.
  const client = { expiresAt: 0, seenAt: new Map(), exchangedAt: new Set(), isShared: false }
  for (const begin of begins) replaySession(world, client, begin)
}

/** Seconds since midnight at which a session begins. */
function beginOf(hours, random) {
  let left = random() * hours.reduce((sum, weight) => sum + weight)
  const hour = hours.findIndex((weight) => {
    left -= weight
    return left < 0
  })
  return (hour + random()) * 3600
}

function replaySession(world, client, begin) {
  const { assumptions, random, count } = world
  let time = begin
  if (random() < assumptions.newLogins) logIn(world, client, time)
  const home = replicaOf(world)
  const turns = between(random, assumptions.turns)
  const stepUpAt = random() < assumptions.stepUps ? Math.floor(random() * turns) : -1
  for (let turn = 0; turn < turns; turn++) {
    if (turn === stepUpAt) logIn(world, client, time)
    for (let calls = between(random, assumptions.calls); calls > 0; calls--) {
      if (time >= client.expiresAt) {
        count('refresh', time)
        newToken(client, time + assumptions.accessToken)
      }
      const replica = world.routing === 'any replica' ? replicaOf(world) : home
      call(world, client, replica, time)
      time += within(random, assumptions.gap)
    }
    time += within(random, assumptions.pause)
  }
}

function logIn({ assumptions, count }, client, time) {
  count('login', time)
  newToken(client, time + assumptions.accessToken)
}

/** No replica has seen it. */
function newToken(client, expiresAt) {
  Object.assign(client, { expiresAt, isShared: false })
  client.seenAt.clear()
  client.exchangedAt.clear()
}

function call({ assumptions, shared, random, count }, client, replica, time) {
  count('call', time)
  const seenAt = client.seenAt.get(replica)
  if (seenAt === undefined) count('token never seen', time)
  else if (time - seenAt >= 1) count('token looked at again', time)
  if (seenAt === undefined || time - seenAt >= 1) client.seenAt.set(replica, time)
  if (random() >= assumptions.onBehalfOf || client.exchangedAt.has(replica)) return
  client.exchangedAt.add(replica)
  if (shared) count('downstream token looked for in the store', time)
  if (shared && client.isShared) return
  count('exchange', time)
  if (shared) count('downstream token written to the store', time)
  client.isShared = true
}

function replicaOf({ assumptions, route }) {
  return Math.floor(route() * assumptions.replicas)
}

/** A whole number, both ends included. */
function between(random, [least, most]) {
  return least + Math.floor(random() * (most - least + 1))
}

function within(random, [least, most]) {
  return least + random() * (most - least)
}

/** The same day at every run (mulberry32). */
function seeded(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
