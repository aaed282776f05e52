/**
 * Fifteen minutes of load: two replicas on one Redis that is restarted twice, an Entra that is slow and fails one
 * request in a hundred, and 200 users who call tools, refresh, step up, exchange and log out. Prints what they met.
 * Exit code 1 when an answer was wrong or a login was lost; a target that is missed is only printed.
 *
 *   npm --prefix bench run soak -- --minutes 2
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { startChild } from '../child.js'
import { hasRedis, startRedis } from '../private-redis.js'
import { makeClient } from './client.js'
import { network } from './network.js'
import { printReport } from './report.js'
import { makeTally } from './tally.js'

/** Minutes after its end at which a soak that hangs is broken off. */
const patience = 2
/** Seconds for which our access tokens live, so that there is something to refresh. */
const accessToken = 12
/** Seconds for which Redis is away at each restart. */
const redisAway = 3
/** Seconds in which the users come one after another. */
const arrival = 10
/** Milliseconds between two calls of a user, and seconds of a session: somewhere between these. */
const thinking = [100, 700]
const session = [60, 300]
/** The tools, as often as they are called. */
const tools = [...Array(7).fill('whoami'), ...Array(2).fill('my_profile'), 'add_note']

await run(readOptions())

function readOptions() {
  const options = { minutes: { type: 'string', default: '15' }, users: { type: 'string' } }
  const { values } = parseArgs({ options })
  const [minutes, users] = [Number(values.minutes), Number(values.users ?? 200)]
  if (minutes > 0 && Number.isInteger(users) && users > 0) return { minutes, users }
  throw new TypeError('soak: --minutes and --users must be numbers above 0')
}

async function run({ minutes, users: count }) {
  if (!hasRedis) return console.log('soak: skipped, because there is no redis-server here')
  breakOffAfter(minutes + patience)
  const users = Array.from({ length: count }, makeUser)
  const tally = makeTally()
  const world = await startWorld(users)
  try {
    const startedAt = Date.now()
    const end = startedAt + minutes * 60_000
    const isOver = () => Date.now() >= end
    for (const { ask } of world.replicas) await ask('begin')
    await Promise.all([
      ...users.map((user) => live(user, { ...world, tally, isOver })),
      restartTwice(world.redis, minutes * 60_000),
    ])
    const replicas = []
    for (const { ask } of world.replicas) replicas.push(await ask('report'))
    const atEntra = await world.entra.ask('counts')
    const isGood = printReport({ tally, atEntra, replicas, startedAt, minutes })
    process.exitCode = isGood ? 0 : 1
  } finally {
    await world.close()
  }
}

function breakOffAfter(minutes) {
  const breakOff = () => {
    console.error('soak: it hangs')
    process.exit(1)
  }
  setTimeout(breakOff, minutes * 60_000).unref()
}

function makeUser(_, number) {
  const username = `user${number}@contoso.example`
  return { number, oid: randomUUID(), username, name: `User ${number}` }
}

/** Starts Redis, Entra and the replicas. */
async function startWorld(users) {
  const redis = await startRedis({ persistent: true })
  const replicas = [startChild('soak/replica.js'), startChild('soak/replica.js')]
  const ports = []
  for (const { ask } of replicas) ports.push(await ask('listen'))
  const baseUrl = `http://localhost:${ports[0]}`
  const entra = startChild('soak/entra.js')
  const directory = users.map(({ oid, username, name }) => ({ oid, username, name }))
  const settings = {
    ...(await entra.ask('start', { users: directory, baseUrl })),
    baseUrl,
    redisUrl: redis.url,
    keys: [randomBytes(32).toString('base64')],
    seconds: accessToken,
  }
  for (const { ask } of replicas) await ask('serve', settings)
  const net = network(baseUrl, ports)
  return {
    redis,
    entra,
    replicas,
    baseUrl,
    network: net,
    async close() {
      net.close()
      for (const { stop } of [...replicas, entra]) stop()
      await redis.close()
    },
  }
}

/** One user, from the first login to the end. */
async function live(user, world) {
  const { isOver } = world
  const client = makeClient(user, world)
  await wait(Math.random() * arrival * 1000)
  while (!isOver()) {
    await client.login('notes.read')
    const sessionEnd = Date.now() + between(session) * 1000
    while (!isOver() && Date.now() < sessionEnd) {
      await client.call(tools[Math.floor(Math.random() * tools.length)])
      await wait(between(thinking))
    }
    // The other half just goes, as most do.
    if (!isOver() && Math.random() < 0.5) await client.logOut()
  }
}

function between([least, most]) {
  return least + Math.random() * (most - least)
}

/** After a third and after two thirds of the time. */
async function restartTwice(redis, milliseconds) {
  for (let restarts = 0; restarts < 2; restarts++) {
    await wait(milliseconds / 3 - restarts * redisAway * 1000)
    await redis.stop()
    await wait(redisAway * 1000)
    await redis.start()
  }
}
