/** Four child processes race for the same keys of one store: a child. Arguments: the module, its name. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Storage } from '../storage/storage.js'
import type { StorageUnderTest } from './describe-storage.js'
import type { RaceOrder, RaceReport } from './storage-race.js'

/** Keys a process races for at the same time: enough to collide, too few to win them all at once. */
const lanes = 8

const [module = '', name = ''] = process.argv.slice(2)
await run().catch((error: unknown) => {
  report({
    kind: 'failed',
    reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
  })
  process.exitCode = 1
  if (process.connected) process.disconnect()
})

async function run(): Promise<void> {
  const { default: create } = (await import(module)) as {
    default: () => StorageUnderTest | Promise<StorageUnderTest>
  }
  const { storage, close } = await create()
  // The first operation may connect to the store or open it, which has to happen before the start.
  await storage.get(`before the race of ${name}`)
  const over = new Promise<void>((resolve) => process.once('disconnect', () => resolve()))
  process.on('message', (order: RaceOrder) => {
    race(storage, order).then(
      (results) => report({ kind: 'results', results }),
      (error: unknown) => report({ kind: 'failed', reason: String(error) }),
    )
  })
  report({ kind: 'ready' })
  await over
  await close()
}

async function race(storage: Storage, { operation, keys, startAt }: RaceOrder) {
  const results: (string | boolean | undefined)[] = new Array(keys.length)
  const waiting = [...keys.entries()].reverse()
  await sleep(Math.max(0, startAt - Date.now()))
  const lane = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      const [index, key] = next
      results[index] = await perform(storage, operation, key)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return results
}

async function perform(
  storage: Storage,
  operation: RaceOrder['operation'],
  key: string,
): Promise<string | boolean | undefined> {
  if (operation === 'add') return storage.add(key, new TextEncoder().encode(name), 60)
  const value = await storage[operation](key)
  return value && new TextDecoder().decode(value)
}

function report(message: RaceReport): void {
  // The parent hangs up as soon as another racer has failed, and then nobody is left to be told.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined)
}
