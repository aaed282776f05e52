import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { boundedMap, jsonBytes } from '../../lib/async/bounded-map.js'

const sized = (maxBytes: number) =>
  boundedMap<{ readonly size: number }>({ maxBytes, sizeOf: ({ size }) => size })

describe('a bounded map', () => {
  it('lets the least recently used values go when its bytes are spent', () => {
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

  it('keeps to both bounds when it has two', () => {
    const map = boundedMap<number>({ maxEntries: 3, maxBytes: 3000, sizeOf: (size) => size })
    for (const key of ['a', 'b', 'c', 'd']) map.set(key, 10)
    expect([...map].map(([key]) => key)).toEqual(['b', 'c', 'd'])
    map.set('e', 2500)
    expect([...map]).toEqual([['e', 2500]])
  })

  it('lists its entries, the least recently used one first, while they are deleted', () => {
    const map = boundedMap<number>({ maxEntries: 10 })
    for (const key of ['a', 'b', 'c', 'd']) map.set(key, 1)
    map.get('a')
    const seen = [...map].map(([key]) => key)
    for (const [key] of map) map.delete(key)
    expect([seen, map.size]).toEqual([['b', 'c', 'd', 'a'], 0])
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
