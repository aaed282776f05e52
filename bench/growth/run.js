/** Opens and fills the stores, measures, and counts. */
import { startChild } from '../child.js'
import { keepOffServerCore } from '../pin.js'
import { measureCached } from './cached.js'
import { countCommands, recordSizes } from './counts.js'
import { measureRounds } from './measure.js'
import { kinds, openFilled, setting, startInMemory } from './stores.js'

/**
 * @param {{ sizes: Record<string, number[]>, rounds: number, share: number }} options numbers of logins by kind of
 *   store, and the share of the usual actions to do in each visit
 * @returns the stores with samples by cell, and what was counted
 */
export async function measureGrowth({ sizes, rounds, share }, progress) {
  const entra = startChild('growth/entra.js')
  const open = []
  keepOffServerCore(entra.pid)
  try {
    const shared = setting(await entra.ask('settings'))
    const fillAll = async (kind) => {
      for (const size of sizes[kind]) {
        progress(`filling ${kind} with ${size} logins`)
        open.push({ ...(await openFilled(kind, size, shared)), share })
      }
    }
    await Promise.all(Object.keys(kinds).map(fillAll))
    progress('all stores are filled')
    const samples = await measureRounds(open, rounds, progress)
    const stores = open.map((store) => ({
      kind: store.kind,
      logins: store.held,
      bytesPerGrant: store.bytesPerGrant,
      samples: samples.get(store),
    }))
    const redis = open.find(({ kind, count }) => kind === 'Redis' && count === 100)
    progress('counting')
    const commands = redis && (await countCommands(redis))
    const records = redis && (await recordSizes(redis))
    return { stores, commands, records, cached: await cachedBytes(shared, entra) }
  } finally {
    for (const { stop } of open) await stop()
    entra.stop()
  }
}

async function cachedBytes(shared, entra) {
  const server = await startInMemory(shared)
  try {
    return await measureCached(server, shared.issuer, entra)
  } finally {
    server.stop()
  }
}
