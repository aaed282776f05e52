/** What each action costs a Redis: commands and bytes, as Redis itself counts them. */
import { cells, revocation, seen } from './cells.js'
import { doAll } from './measure.js'

/** Commands of ours. A client also sends PING now and then. */
const ours = ['get', 'set', 'getdel', 'eval', 'del']
/** How many logins are ended to count what that takes. */
const revocations = 20

/** @returns by action: Redis commands by name and in total, and bytes that Redis receives and sends, per action */
export async function countCommands(store) {
  const counts = {}
  await store.ask('setPass', store.used.length)
  const whole = { ...store, share: 1 }
  for (const [name, prepare] of Object.entries(cells)) {
    if (seen.includes(name)) await doAll(await prepare(whole))
    counts[name] = await countActions(store, await prepare(whole))
  }
  const ended = store.used.splice(-revocations)
  counts.revocation = await countActions(
    store,
    ended.map((login) => revocation(store, login)),
  )
  return counts
}

async function countActions(store, actions) {
  const before = await statistics(store)
  await doAll(actions)
  const after = await statistics(store)
  const each = (name) => (after[name] - before[name]) / actions.length
  const commands = Object.fromEntries(
    ours.map((name) => [name, each(name)]).filter(([, calls]) => calls > 0),
  )
  const total = Object.values(commands).reduce((sum, calls) => sum + calls, 0)
  return { commands, total, received: each('received'), sent: each('sent') }
}

async function statistics({ cli }) {
  const info = await cli('info', 'everything')
  const read = (pattern) => Number(new RegExp(pattern).exec(info)?.[1] ?? 0)
  return {
    ...Object.fromEntries(ours.map((name) => [name, read(`cmdstat_${name}:calls=(\\d+)`)])),
    received: read('total_net_input_bytes:(\\d+)'),
    sent: read('total_net_output_bytes:(\\d+)'),
  }
}

/** @returns bytes of Redis memory that a record takes, by kind: one of each, they are all alike */
export async function recordSizes({ cli }) {
  const keys = (await cli('--scan')).split('\n').filter(Boolean)
  const oneOfEach = new Map(keys.map((key) => [kindOf(key), key]))
  const sizes = {}
  for (const [kind, key] of [...oneOfEach].sort()) {
    sizes[kind] = Number(await cli('memory', 'usage', key))
  }
  return sizes
}

/** The word before the hash. */
function kindOf(key) {
  return key.split(':').at(-2)
}
