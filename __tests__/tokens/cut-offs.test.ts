/** Cut-offs: what was given before is over, what is given after is good, and asking costs next to nothing. */
import { describe, expect, it } from '@jest/globals'
import { memoryStorage } from '../../lib/storage/memory.js'
import type { Storage } from '../../lib/storage/storage.js'
import { vault } from '../../lib/storage/vault.js'
import { type CutOffs, cutOffs } from '../../lib/tokens/cut-offs.js'
import { news } from '../../lib/tokens/news.js'
import { around, ring, start } from '../support/replica.js'

const user = { tid: 'tid-contoso', oid: 'oid-alice' }
const given = (at: number) => ({ ...user, client: 'hash', at })
const seconds = start / 1000

function replicas() {
  const clock = { now: start }
  const counts = { get: 0, set: 0, add: 0, take: 0 }
  const store = memoryStorage({ now: () => clock.now })
  const counted = around(store, (operation, run) => {
    counts[operation] += 1
    return run()
  })
  const replica = (ahead = 0): CutOffs =>
    cutOffsOver(
      counted,
      () => clock.now + ahead,
      () => clock.now,
    )
  return { clock, counts, store, replica }
}

describe('a cut-off', () => {
  it('ends what was given until then, and nothing that is given later, to the millisecond', async () => {
    const { replica } = replicas()
    const one = replica()
    expect(await one.isOver(given(seconds))).toBe(false)
    await one.record(user)
    expect(await one.isOver(given(seconds - 0.001))).toBe(true)
    expect(await one.isOver(given(seconds))).toBe(true)
    expect(await one.isOver(given(seconds + 0.001))).toBe(false)
  })

  it('is known on every replica within a second', async () => {
    const { replica, clock } = replicas()
    const [here, there] = [replica(), replica()]
    expect(await there.isOver(given(seconds))).toBe(false)
    await here.record(user)
    clock.now += 1000
    expect(await there.isOver(given(seconds))).toBe(true)
  })

  it('is known there even when the store fails for a moment once it is written', async () => {
    const { store, clock } = replicas()
    const there = cutOffsOver(store, () => clock.now)
    expect(await there.isOver(given(seconds))).toBe(false)
    let failures = 2
    const here = cutOffsOver({
      ...store,
      async set(key, ...rest) {
        if (key.startsWith('news:') && failures-- > 0) throw new Error('ECONNRESET')
        return store.set(key, ...rest)
      },
    })
    await here.record(user)
    clock.now += 1000
    expect(await there.isOver(given(seconds))).toBe(true)
  })

  it('may be repeated, and then ends what was given in between', async () => {
    const { replica, clock } = replicas()
    const one = replica()
    await one.record(user)
    clock.now += 5000
    expect(await one.isOver(given(seconds + 1))).toBe(false)
    await one.record(user)
    expect(await one.isOver(given(seconds + 1))).toBe(true)
  })

  it('is not forgotten when a replica whose clock is behind records another one', async () => {
    const { replica, clock } = replicas()
    const [ahead, behind] = [replica(400_000), replica(-400_000)]
    await ahead.record(user)
    await behind.record({ client: 'another' })
    clock.now += 1000
    expect(await replica().isOver(given(seconds + 399))).toBe(true)
  })

  it('is not set back when a replica whose clock is behind records it again', async () => {
    const { replica, clock } = replicas()
    await replica(100_000).record(user)
    await replica().record(user)
    clock.now += 1000
    expect(await replica().isOver(given(seconds + 99))).toBe(true)
  })

  it.each([1, 2])('is not set back by an earlier one whose write %d is late', async (delayed) => {
    const { replica, store, clock } = replicas()
    const names: string[] = []
    const slow: Storage = {
      ...store,
      async set(key, value, ttl) {
        names.push(key)
        if (names.length === delayed) await recordMeanwhile()
        await store.set(key, value, ttl)
      },
    }
    const recordMeanwhile = async () => {
      clock.now += 5000
      await replica().record(user)
      clock.now += 5000
    }
    await cutOffsOver(slow, () => clock.now).record(user)
    clock.now += 1000
    expect(await replica().isOver(given(seconds + 3))).toBe(true)
    expect(await replica().isOver(given(clock.now / 1000))).toBe(false)
  })

  it('counts when it cannot be read', async () => {
    const { replica, store, clock } = replicas()
    await replica().record(user)
    const junk = Buffer.from('junk')
    const written = await namesOfRecords(store)
    for (const key of written.filter((name) => name.startsWith('cut-off:'))) {
      await store.set(key, junk, 1000)
    }
    clock.now += 1000
    expect(await replica().isOver(given(seconds + 1))).toBe(true)
  })

  it('is not looked for in vain when the store is full: what was given goes on', async () => {
    const { store } = replicas()
    const full = async () => {
      throw new Error('OOM')
    }
    const one = cutOffsOver({ ...store, set: full, add: full })
    expect(await one.isOver(given(seconds - 10_000))).toBe(false)
    await expect(one.record(user)).rejects.toMatchObject({ status: 503 })
  })

  it('rejects with a 503 when the store is away: a caller who may not come in is not let in', async () => {
    const away = async () => {
      throw new Error('away')
    }
    const down = cutOffsOver({ get: away, set: away, add: away, take: away })
    await expect(down.isOver(given(seconds))).rejects.toMatchObject({ status: 503 })
    await expect(down.record(user)).rejects.toMatchObject({ status: 503 })
  })
})

describe('what cut-offs cost', () => {
  it('is one look a second for any number of grants while there is none', async () => {
    const { replica, clock, counts } = replicas()
    const one = replica()
    await one.isOver(given(seconds))
    const before = { ...counts }
    clock.now += 1000
    for (let grant = 0; grant < 100; grant += 1) await one.isOver(given(seconds - grant * 1000))
    expect(counts).toEqual({ ...before, get: before.get + 1 })
  })

  it('is as little for what was given well after the latest one, and four looks for what is older', async () => {
    const { replica, clock, counts } = replicas()
    const one = replica()
    await one.record(user)
    clock.now += 400_000
    await one.isOver(given(clock.now / 1000))
    const before = counts.get
    await one.isOver(given(clock.now / 1000))
    expect(counts.get).toBe(before)
    await one.isOver(given(seconds - 1))
    expect(counts.get).toBe(before + 4)
  })
})

/** The names of what recording a cut-off of the user writes. */
async function namesOfRecords(store: Storage): Promise<string[]> {
  const names: string[] = []
  const spied: Storage = {
    ...store,
    set: async (key) => {
      names.push(key)
    },
  }
  await cutOffsOver(spied).record(user)
  return names
}

function cutOffsOver(storage: Storage, now = () => start, monotonic = now): CutOffs {
  const records = vault(storage, ring)
  const lifetime = 1000
  return cutOffs({
    vault: records,
    lifetime,
    news: news({ vault: records, lifetime, monotonic }),
    now,
  })
}
