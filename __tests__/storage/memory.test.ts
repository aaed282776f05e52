import { afterEach, describe, expect, it, jest } from '@jest/globals'
import fc from 'fast-check'
import { memoryStorage } from '../../lib/storage/memory.js'

const bytes = (text: string) => new TextEncoder().encode(text)
const overhead = 100
const start = 1_800_000_000_000

/** A storage whose clock the test sets. */
function clocked(maxBytes?: number) {
  const clock = { now: start }
  const storage = memoryStorage({
    now: () => clock.now,
    ...(maxBytes !== undefined && { maxBytes }),
  })
  return { clock, storage }
}

describe('memoryStorage', () => {
  it('gives back what was set, and nothing for another key', async () => {
    const { storage } = clocked()
    await storage.set('a', bytes('1'), 60)
    expect(await storage.get('a')).toEqual(bytes('1'))
    expect(await storage.get('b')).toBeUndefined()
  })

  it('sets over what is there', async () => {
    const { storage } = clocked()
    await storage.set('a', bytes('1'), 60)
    await storage.set('a', bytes('22'), 60)
    expect(await storage.get('a')).toEqual(bytes('22'))
    expect(storage.size).toBe(1)
  })

  it('adds only where nothing is', async () => {
    const { storage } = clocked()
    expect(await storage.add('a', bytes('1'), 60)).toBe(true)
    expect(await storage.add('a', bytes('2'), 60)).toBe(false)
    expect(await storage.get('a')).toEqual(bytes('1'))
  })

  it('takes a record away with its bytes', async () => {
    const { storage } = clocked()
    await storage.set('a', bytes('1'), 60)
    expect(await storage.take('a')).toEqual(bytes('1'))
    expect(await storage.take('a')).toBeUndefined()
    expect(await storage.get('a')).toBeUndefined()
    expect(await storage.add('a', bytes('2'), 60)).toBe(true)
  })

  it('keeps bytes that are no text, and no bytes at all', async () => {
    const { storage } = clocked()
    await fc.assert(
      fc.asyncProperty(fc.uint8Array(), async (value) => {
        await storage.set('a', value, 60)
        expect(await storage.get('a')).toEqual(value)
      }),
    )
  })

  it('lets exactly one of many add, and exactly one of many take', async () => {
    const { storage } = clocked()
    const added = await Promise.all(
      Array.from({ length: 50 }, (_, index) => storage.add('a', bytes(`${index}`), 60)),
    )
    expect(added.filter(Boolean)).toHaveLength(1)
    const taken = await Promise.all(Array.from({ length: 50 }, () => storage.take('a')))
    expect(taken.filter((value) => value !== undefined)).toHaveLength(1)
  })

  it.each(['get', 'take'] as const)('ends a record with its lifetime: %s', async (read) => {
    const { storage, clock } = clocked()
    await storage.set('a', bytes('1'), 60)
    clock.now += 59_999
    expect(await storage.get('a')).toEqual(bytes('1'))
    clock.now += 1
    expect(await storage[read]('a')).toBeUndefined()
    expect(storage.size).toBe(0)
  })

  it('adds where a record has run out', async () => {
    const { storage, clock } = clocked()
    await storage.add('a', bytes('1'), 30)
    clock.now += 30_000
    expect(await storage.add('a', bytes('2'), 30)).toBe(true)
    clock.now += 29_999
    expect(await storage.get('a')).toEqual(bytes('2'))
  })

  it('counts a lifetime from the last time the record was set', async () => {
    const { storage, clock } = clocked()
    await storage.set('a', bytes('1'), 60)
    clock.now += 50_000
    await storage.set('a', bytes('1'), 60)
    clock.now += 50_000
    expect(await storage.get('a')).toEqual(bytes('1'))
  })

  it('is not changed through an array that was handed in or out', async () => {
    const { storage } = clocked()
    const given = bytes('1')
    await storage.set('a', given, 60)
    given.fill(0)
    const got = await storage.get('a')
    expect(got).toEqual(bytes('1'))
    got?.fill(0)
    expect(await storage.get('a')).toEqual(bytes('1'))
  })

  it('counts keys, values and 100 bytes for each record, and forgets them with the record', async () => {
    const { storage } = clocked()
    await storage.set('key', bytes('value'), 60)
    expect(storage.bytes).toBe(3 + 5 + overhead)
    await storage.set('key', bytes('v'), 60)
    expect(storage.bytes).toBe(3 + 1 + overhead)
    await storage.take('key')
    expect(storage.bytes).toBe(0)
  })

  it('lets the records written longest ago go when the cap is reached and all live as long', async () => {
    const { storage } = clocked(3 * (1 + 1 + overhead))
    for (const key of ['a', 'b', 'c']) await storage.set(key, bytes('1'), 60)
    await storage.set('a', bytes('2'), 60)
    await storage.get('b')
    await storage.add('d', bytes('1'), 60)
    expect(await Promise.all(['a', 'b', 'c', 'd'].map((key) => storage.get(key)))).toEqual([
      bytes('2'),
      undefined,
      bytes('1'),
      bytes('1'),
    ])
  })

  it('lets what has the shortest time left go first, whenever it was written', async () => {
    const { storage, clock } = clocked(3 * (1 + 1 + overhead))
    await storage.set('a', bytes('1'), 90 * 24 * 3600)
    await storage.set('b', bytes('1'), 60)
    await storage.set('c', bytes('1'), 1000)
    await storage.set('d', bytes('1'), 60)
    expect(await storage.get('b')).toBeUndefined()
    clock.now += 985_000
    await storage.set('e', bytes('1'), 60)
    await storage.set('f', bytes('1'), 60)
    expect(await storage.get('a')).toEqual(bytes('1'))
    expect(await Promise.all(['c', 'd'].map((key) => storage.get(key)))).toEqual([
      undefined,
      undefined,
    ])
  })

  it('keeps sign-ins under way, up to a quarter, when it is full of logins', async () => {
    const { storage } = clocked(20 * (2 + 1 + overhead))
    const login = 90 * 24 * 3600
    const held = async (prefix: string, count: number) => {
      const keys = Array.from({ length: count }, (_, index) => `${prefix}${index}`)
      const values = await Promise.all(keys.map((key) => storage.get(key)))
      return keys.filter((_, index) => values[index] !== undefined)
    }
    for (let index = 0; index < 10; index += 1) await storage.set(`L${index}`, bytes('1'), login)
    for (let index = 0; index < 10; index += 1) await storage.set(`M${index}`, bytes('1'), login)
    for (let index = 0; index < 5; index += 1) await storage.set(`s${index}`, bytes('1'), 120)
    expect(await held('s', 5)).toEqual(['s0', 's1', 's2', 's3', 's4'])
    expect(await held('L', 10)).toEqual(['L5', 'L6', 'L7', 'L8', 'L9'])
    for (let index = 5; index < 10; index += 1) await storage.set(`s${index}`, bytes('1'), 120)
    expect(await held('s', 10)).toEqual(['s4', 's5', 's6', 's7', 's8', 's9'])
    expect(await held('L', 10)).toEqual(['L6', 'L7', 'L8', 'L9'])
    expect((await held('M', 10)).length).toBe(10)
  })

  it('does not count what a record replaces against the others', async () => {
    const { storage } = clocked(2 * (1 + 1 + overhead))
    await storage.set('a', bytes('1'), 60)
    await storage.set('b', bytes('1'), 90)
    await storage.set('b', bytes('2'), 90)
    expect(await storage.get('a')).toEqual(bytes('1'))
  })

  it('lets as many go as a large record needs', async () => {
    const { storage } = clocked(1000)
    for (const key of ['a', 'b', 'c']) await storage.set(key, bytes('1'), 60)
    await storage.set('d', new Uint8Array(1000 - overhead - 1), 60)
    expect(storage.size).toBe(1)
    expect(storage.bytes).toBe(1000)
  })

  it('refuses a record over the cap and keeps what it has', async () => {
    const { storage } = clocked(1000)
    await storage.set('a', bytes('1'), 60)
    const large = new Uint8Array(1000)
    await expect(storage.set('a', large, 60)).rejects.toThrow(RangeError)
    await expect(storage.add('b', large, 60)).rejects.toThrow(RangeError)
    expect(await storage.get('a')).toEqual(bytes('1'))
    expect(storage.size).toBe(1)
  })

  it('agrees with a plain model in any order of operations and time, and never exceeds the cap', async () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd')
    const value = fc.uint8Array({ maxLength: 20 })
    const ttl = fc.integer({ min: 5, max: 8 })
    const step = fc.oneof(
      fc.tuple(fc.constant('get' as const), key),
      fc.tuple(fc.constant('take' as const), key),
      fc.tuple(fc.constantFrom('set' as const, 'add' as const), key, value, ttl),
      fc.tuple(fc.constant('wait' as const), fc.integer({ min: 0, max: 7000 })),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { storage, clock } = clocked(400)
        // All of these lifetimes are of about the same length, so the oldest write leaves first.
        let model: { key: string; value: Uint8Array; until: number }[] = []
        const cost = () =>
          model.reduce((sum, held) => sum + overhead + held.key.length + held.value.length, 0)
        for (const operation of steps) {
          if (operation[0] === 'wait') {
            clock.now += operation[1]
            continue
          }
          const [verb, name] = operation
          const held = model.find((entry) => entry.key === name && entry.until > clock.now)
          if (verb === 'get') expect(await storage.get(name)).toEqual(held?.value)
          if (verb === 'take') expect(await storage.take(name)).toEqual(held?.value)
          if (verb === 'add') {
            expect(await storage.add(name, operation[2], operation[3])).toBe(held === undefined)
          }
          if (verb === 'set') await storage.set(name, operation[2], operation[3])
          if (!held || verb === 'take' || verb === 'set') {
            model = model.filter((entry) => entry.key !== name)
          }
          if (verb === 'set' || (verb === 'add' && !held)) {
            model.push({ key: name, value: operation[2], until: clock.now + operation[3] * 1000 })
          }
          while (cost() > 400) model.shift()
          expect(storage.bytes).toBe(cost())
          expect(storage.bytes).toBeLessThanOrEqual(400)
        }
      }),
      { numRuns: 200 },
    )
  })

  it.each([0, -1, Number.NaN, 'a lot'])('refuses maxBytes %p', (maxBytes) => {
    expect(() => memoryStorage({ maxBytes: maxBytes as number })).toThrow(
      new TypeError('memoryStorage: maxBytes must be a positive number of bytes'),
    )
  })
})

describe('the sweep of memoryStorage', () => {
  afterEach(() => {
    jest.useRealTimers()
  })

  it('lets expired records go though nobody asks for them, and rests when nothing is left', async () => {
    jest.useFakeTimers({ now: start })
    const storage = memoryStorage()
    await storage.set('short', bytes('1'), 10)
    await storage.set('long', bytes('1'), 40)
    jest.advanceTimersByTime(29_999)
    expect(storage.size).toBe(2)
    jest.advanceTimersByTime(1)
    expect(storage.size).toBe(1)
    jest.advanceTimersByTime(30_000)
    expect([storage.size, storage.bytes, jest.getTimerCount()]).toEqual([0, 0, 0])
    await storage.add('again', bytes('1'), 10)
    jest.advanceTimersByTime(30_000)
    expect(storage.size).toBe(0)
  })

  it('has one timer however many records are written', async () => {
    jest.useFakeTimers({ now: start })
    const storage = memoryStorage()
    for (let index = 0; index < 100; index += 1) await storage.set(`${index}`, bytes('1'), 10)
    expect(jest.getTimerCount()).toBe(1)
  })
})
