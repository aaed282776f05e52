import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { type BoundedMap, boundedMap, jsonBytes } from '../../lib/async/bounded-map.js'

const sized = (maxBytes: number) =>
  boundedMap<{ readonly size: number }>({ maxBytes, sizeOf: ({ size }) => size })

describe('a bounded map', () => {
  it('lets values go that nobody has used when its bytes are spent', () => {
    const map = sized(4000)
    for (const key of ['a', 'b', 'c']) map.set(key, { size: 1000 })
    map.get('a')
    map.set('d', { size: 1000 })
    expect(['a', 'b', 'c', 'd'].filter((key) => map.get(key))).toEqual(['a', 'c', 'd'])
  })

  it('lets many small values go for a large one', () => {
    const map = sized(10_000)
    for (let count = 0; count < 20; count += 1) map.set(`small ${count}`, { size: 10 })
    map.set('large', { size: 9500 })
    expect(map.get('large')).toEqual({ size: 9500 })
    expect(map.get('small 19')).toBeUndefined()
  })

  it('does not keep what is larger than all of it, nor what was there under that key', () => {
    const map = sized(2000)
    map.set('a', { size: 10 })
    map.set('b', { size: 10 })
    map.set('a', { size: 2000 })
    expect([map.get('a'), map.get('b')]).toEqual([undefined, { size: 10 }])
  })

  it('counts its keys: long ones with nothing behind them fill it, too', () => {
    const map = sized(20_000)
    map.set('first', { size: 0 })
    for (let count = 0; count < 5; count += 1) map.set(`${count}`.repeat(2048), { size: 0 })
    expect(map.get('first')).toBeUndefined()
  })

  it('is bounded by its number of entries where that is what was asked for', () => {
    const map = boundedMap<string>({ maxEntries: 2 })
    map.set('a', 'one')
    map.set('b', 'two')
    map.get('a')
    map.set('c', 'x'.repeat(10_000))
    expect([map.get('a'), map.get('b'), map.size, map.bytes]).toEqual(['one', undefined, 2, 0])
  })

  const keysOf = (map: BoundedMap<unknown>, keys: readonly string[]) =>
    keys.filter((key) => map.get(key) !== undefined)

  it('keeps to both bounds when it has two', () => {
    const map = boundedMap<number>({ maxEntries: 3, maxBytes: 3000, sizeOf: (size) => size })
    for (const key of ['a', 'b', 'c', 'd']) map.set(key, 10)
    expect(map.size).toBe(3)
    map.set('e', 2500)
    expect(map.size).toBe(1)
    expect(keysOf(map, ['a', 'b', 'c', 'd', 'e'])).toEqual(['e'])
  })

  it('spares what was used since the last choice, and what comes last', () => {
    const map = boundedMap<number>({ maxEntries: 3 })
    for (const key of ['a', 'b', 'c']) map.set(key, 1)
    for (const key of ['a', 'b', 'c']) map.get(key)
    // All were used, so the oldest has to go, and the new one stays.
    map.set('d', 1)
    expect(keysOf(map, ['a', 'd'])).toEqual(['d'])
    map.set('e', 1)
    expect(keysOf(map, ['b', 'c', 'd', 'e'])).toEqual(['c', 'd', 'e'])
  })

  it('keeps regulars through any number of keys that come once', () => {
    const map = boundedMap<number>({ maxEntries: 10 })
    const regulars = ['a', 'b', 'c', 'd', 'e']
    for (const key of regulars) map.set(key, 1)
    for (let count = 0; count < 1000; count += 1) {
      expect(map.get(regulars[count % 5] ?? '')).toBe(1)
      map.set(`stranger ${count}`, 1)
    }
    expect(map.size).toBe(10)
  })

  it('spares no more than a hundred values at once, so that no call takes long', () => {
    const map = boundedMap<number>({ maxEntries: 1000 })
    const keys = Array.from({ length: 1000 }, (_item, index) => `${index}`)
    for (const key of keys) map.set(key, 1)
    keysOf(map, keys)
    map.set('new', 1)
    expect(keysOf(map, ['99', '100', '101', 'new'])).toEqual(['99', '101', 'new'])
  })

  it('drops what has had its time, once a minute', () => {
    let now = 0
    const map = boundedMap<number>({
      maxEntries: 10,
      isOver: (end) => end <= now,
      monotonic: () => now,
    })
    map.set('short', 10_000)
    map.set('long', 90_000)
    now = 59_999
    map.set('a', 90_000)
    expect(map.size).toBe(3)
    now = 60_000
    map.set('b', 150_000)
    expect(keysOf(map, ['short', 'long', 'a', 'b'])).toEqual(['long', 'a', 'b'])
    now = 119_999
    map.set('c', 150_000)
    expect(map.size).toBe(4)
    now = 120_000
    map.set('c', 150_000)
    expect(keysOf(map, ['long', 'a', 'b', 'c'])).toEqual(['b', 'c'])
  })

  it('never holds more than it may, and its count comes back to nothing', () => {
    const step = fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd'), size: fc.nat(3000) })
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const map = sized(4000)
        for (const { key, size } of steps) {
          map.set(key, { size })
          expect(map.bytes).toBeLessThanOrEqual(4000)
        }
        for (const key of ['a', 'b', 'c', 'd', 'd']) map.delete(key)
        expect([map.bytes, map.size]).toEqual([0, 0])
      }),
    )
  })
})

describe('the estimate of a JSON value', () => {
  it('grows with every text, member and item', () => {
    const sizes = [{}, { a: 1 }, { a: 'x' }, { a: 'xx' }, { aa: 'xx' }, { aa: ['xx', {}] }].map(
      jsonBytes,
    )
    expect([...sizes].sort((a, b) => a - b)).toEqual(sizes)
    expect(new Set(sizes).size).toBe(sizes.length)
  })
})
