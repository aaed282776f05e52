/** Remembered consents: for whom, for how long, and what is new to somebody who has consented before. */
import { describe, expect, it } from '@jest/globals'
import { keyRing } from '../../lib/crypto/key-ring.js'
import type { Storage } from '../../lib/storage/storage.js'
import { vault } from '../../lib/storage/vault.js'
import { type Approval, consents, findNewAccess, isNothingNew } from '../../lib/tokens/consents.js'
import { ring, start, world } from '../support/replica.js'

const ada = { client: 'hash-of-the-client-id', tid: 'tid-contoso', oid: 'oid-ada' }
const asked = { origin: 'https://app.example', scopes: ['notes.read'], downstream: ['User.Read'] }
const lifetime = 90 * 24 * 3600
const second = start / 1000

/** A store, and processes over it that agree about what has been ended. */
function setup() {
  const { clock, storage: memory } = world()
  const written: string[] = []
  const storage: Storage = {
    ...memory,
    set(key, value, ttl) {
      written.push(key, Buffer.from(value).toString('latin1'))
      return memory.set(key, value, ttl)
    },
  }
  const ended: { at: number; asked: number } = { at: 0, asked: 0 }
  const cutOffs = {
    async isOver({ at }: { at: number }) {
      ended.asked += 1
      return at <= ended.at
    },
  }
  const replica = (records = vault(storage, ring)) =>
    consents({ vault: records, cutOffs, lifetime, now: () => clock.now })
  return { clock, storage, written, ended, replica, all: replica() }
}

const approval = (more: Partial<Approval> = {}): Approval => ({
  ...asked,
  approvedAt: second,
  ...more,
})

describe('an approval', () => {
  it('is remembered for one user and one client, on every replica', async () => {
    const { all, replica } = setup()
    expect(await all.read(ada)).toEqual([])
    await all.record(ada, approval())
    expect(await replica().read(ada)).toEqual([approval()])
    for (const other of [{ oid: 'oid-bob' }, { tid: 'tid-fabrikam' }, { client: 'another' }]) {
      expect(await all.read({ ...ada, ...other })).toEqual([])
    }
  })

  it('counts for its lifetime, to the second, however often it is read', async () => {
    const { all, clock } = setup()
    await all.record(ada, approval())
    clock.now += lifetime * 1000 - 1
    expect(await all.read(ada)).toHaveLength(1)
    clock.now += 1
    expect(await all.read(ada)).toEqual([])
  })

  it('does not live longer because of a later one for something else', async () => {
    const { all, clock } = setup()
    await all.record(ada, approval())
    clock.now += (lifetime - 10) * 1000
    const later = approval({ scopes: ['notes.write'], approvedAt: clock.now / 1000 })
    await all.record(ada, later)
    expect(await all.read(ada)).toEqual([later, approval()])
    clock.now += 10_000
    expect(await all.read(ada)).toEqual([later])
  })

  it('takes the place of those that it contains', async () => {
    const { all } = setup()
    await all.record(ada, approval())
    const wider = approval({ scopes: ['notes.read', 'notes.write'], approvedAt: second + 1 })
    await all.record(ada, wider)
    expect(await all.read(ada)).toEqual([wider])
    const elsewhere = approval({ origin: 'https://b.example', approvedAt: second + 2 })
    await all.record(ada, elsewhere)
    expect(await all.read(ada)).toEqual([elsewhere, wider])
  })

  it('is one of eight at most: the oldest goes', async () => {
    const { all } = setup()
    for (let i = 0; i < 20; i++) {
      await all.record(ada, approval({ origin: `https://${i}.example`, approvedAt: second + i }))
    }
    expect((await all.read(ada)).map(({ origin }) => origin)).toEqual(
      [19, 18, 17, 16, 15, 14, 13, 12].map((i) => `https://${i}.example`),
    )
  })

  it('is forgotten together with all others for the client', async () => {
    const { all } = setup()
    await all.record(ada, approval())
    await all.record({ ...ada, client: 'another' }, approval())
    await all.forget(ada)
    await all.forget(ada)
    expect(await all.read(ada)).toEqual([])
    expect(await all.read({ ...ada, client: 'another' })).toHaveLength(1)
  })

  it('does not come back with one from before a no, whatever was approved after it', async () => {
    const { all, clock } = setup()
    clock.now += 2000
    await all.forget(ada)
    await all.record(ada, approval())
    expect(await all.read(ada)).toEqual([])
    const later = approval({ approvedAt: second + 3 })
    await all.record(ada, later)
    await all.record(ada, approval({ scopes: ['notes.write'] }))
    expect(await all.read(ada)).toEqual([later])
  })

  it('does not come back with one that is added while its user says no', async () => {
    const { all, clock } = setup()
    await all.record(ada, approval())
    clock.now += 2000
    const elsewhere = approval({ origin: 'https://b.example', approvedAt: second + 1 })
    await Promise.all([all.record(ada, elsewhere), all.forget(ada)])
    expect(await all.read(ada)).toEqual([])
  })

  it('does not count when the time of the no cannot be read', async () => {
    const { all, storage, written } = setup()
    await all.record(ada, approval())
    await all.forget(ada)
    const [key = ''] = written.filter((each) => each.startsWith('consent-denial'))
    await storage.set(key, Buffer.from('junk'), 1000)
    expect(await all.read(ada)).toEqual([])
  })

  it('is read by who still has its key, and counts for nothing without', async () => {
    const { storage, replica } = setup()
    await replica().record(ada, approval())
    const [next, last] = [
      'the next secret of the operator 001',
      'operator-secret-of-these-tests-01',
    ]
    const under = (...keys: string[]) => replica(vault(storage, keyRing(keys)))
    expect(await under(next, last).read(ada)).toEqual([approval()])
    expect(await under(next).read(ada)).toEqual([])
    await under(next).record(ada, approval({ approvedAt: second + 1 }))
    expect(await under(next).read(ada)).toHaveLength(1)
  })

  it.each<[string, (own: Uint8Array) => Uint8Array]>([
    ['of another user', (own) => own],
    ['that was changed', (own) => own.with(20, (own[20] ?? 0) ^ 1)],
    ['that is junk', () => Buffer.from('[]')],
  ])('counts for nothing in a record %s', async (_which, put) => {
    const { all, storage, written } = setup()
    await all.record(ada, approval())
    const own = await storage.get(written[0] ?? '')
    const bob = { ...ada, oid: 'oid-bob' }
    await all.record(bob, approval())
    await storage.set(written[2] ?? '', put(own ?? Buffer.of()), 1000)
    expect(await all.read(bob)).toEqual([])
    expect(await all.read(ada)).toHaveLength(1)
  })

  it('shows nothing of user, client, scopes or address in the store', async () => {
    const { all, written } = setup()
    await all.record(ada, approval())
    expect(written).toHaveLength(2)
    for (const word of [ada.client, ada.oid, ada.tid, 'notes', 'User.Read', 'app.example']) {
      expect(written.join()).not.toContain(word)
    }
  })
})

describe('access that was ended', () => {
  it('takes with it what was approved up to then, and nothing later', async () => {
    const { all, ended } = setup()
    await all.record(ada, approval())
    await all.record(ada, approval({ origin: 'https://b.example', approvedAt: second + 5 }))
    ended.at = second + 4
    expect((await all.read(ada)).map(({ origin }) => origin)).toEqual(['https://b.example'])
    ended.at = second + 5
    expect(await all.read(ada)).toEqual([])
    await all.record(ada, approval({ approvedAt: second + 6 }))
    expect(await all.read(ada)).toEqual([approval({ approvedAt: second + 6 })])
  })

  it('is asked about once, as long as nothing was ended', async () => {
    const { all, ended } = setup()
    for (let i = 0; i < 5; i++) {
      await all.record(ada, approval({ origin: `https://${i}.example`, approvedAt: second + i }))
    }
    ended.asked = 0
    expect(await all.read(ada)).toHaveLength(5)
    expect(ended.asked).toBe(1)
    await all.read({ ...ada, oid: 'nobody' })
    expect(ended.asked).toBe(1)
  })

  it('does not come back with a record that was written at the same time', async () => {
    const { all, ended } = setup()
    await all.record(ada, approval())
    // The write of another tab has read the old approval before it was ended, and puts it back.
    const later = approval({ origin: 'https://b.example', approvedAt: second + 9 })
    const writing = all.record(ada, later)
    ended.at = second
    await writing
    expect(await all.read(ada)).toEqual([later])
  })
})

describe('what is new', () => {
  it('is nothing at all that can be named when nothing was approved before', () => {
    expect(findNewAccess([], asked)).toBeUndefined()
    expect(isNothingNew(undefined)).toBe(false)
  })

  it('is nothing when all of it was approved, on one page or on several', () => {
    expect(isNothingNew(findNewAccess([approval()], asked))).toBe(true)
    const both = { ...asked, scopes: ['notes.read', 'notes.write'] }
    const pages = [approval(), approval({ scopes: ['notes.write'] })]
    expect(isNothingNew(findNewAccess(pages, both))).toBe(true)
    expect(isNothingNew(findNewAccess([approval(both)], asked))).toBe(true)
  })

  it('is one scope more, though another may include it', () => {
    const more = { ...asked, scopes: ['notes.read', 'notes.write'] }
    expect(findNewAccess([approval()], more)).toEqual({
      origin: false,
      scopes: ['notes.write'],
      downstream: [],
    })
  })

  it('is one downstream scope more', () => {
    const more = { ...asked, downstream: ['User.Read', 'Mail.Read'] }
    expect(findNewAccess([approval()], more)).toEqual({
      origin: false,
      scopes: [],
      downstream: ['Mail.Read'],
    })
  })

  it('is another origin, though every scope was approved for the first one', () => {
    const found = findNewAccess([approval()], { ...asked, origin: 'https://b.example' })
    expect(found).toEqual({ origin: true, scopes: [], downstream: [] })
    expect(isNothingNew(found)).toBe(false)
  })

  it('is a scope that was approved for another origin alone', () => {
    const pages = [approval(), approval({ origin: 'https://b.example', scopes: ['notes.write'] })]
    const found = findNewAccess(pages, { ...asked, scopes: ['notes.write'] })
    expect(found).toEqual({ origin: false, scopes: ['notes.write'], downstream: [] })
  })

  it('is a scope named like a property that every object has', () => {
    const found = findNewAccess([approval()], { ...asked, scopes: ['constructor'] })
    expect(found?.scopes).toEqual(['constructor'])
  })
})
