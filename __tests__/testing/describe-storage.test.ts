/** The contract suite finds what a store can do wrong. */

import { spawn } from 'node:child_process'
import { setImmediate as turn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { memoryStorage, type Storage } from 'mcp-entra'
import { type DescribeStorageOptions, describeStorage } from 'mcp-entra/testing'

interface Defined {
  readonly suites: string[]
  readonly tests: Map<string, () => Promise<void>>
}

/** What the suite defines for this store, not run yet. */
function define(
  make: (now: () => number) => Storage,
  options: DescribeStorageOptions = {},
): Defined {
  const suites: string[] = []
  const tests = new Map<string, () => Promise<void>>()
  const create = () => {
    const clock = { now: 1_800_000_000_000 }
    return {
      storage: make(() => clock.now),
      close() {},
      advance(seconds: number) {
        clock.now += seconds * 1000
      },
    }
  }
  describeStorage('a store', create, {
    ...options,
    describe(name, body) {
      suites.push(name)
      body()
    },
    it: (name, body) => tests.set(name, body),
  })
  return { suites, tests }
}

async function failures({ tests }: Defined): Promise<string[]> {
  const failed: string[] = []
  for (const [name, body] of tests) await body().catch(() => failed.push(name))
  return failed
}

/** Memory with one thing wrong. */
function broken(defect: (sound: Storage) => Partial<Storage>): (now: () => number) => Storage {
  return (now) => {
    const sound = memoryStorage({ now })
    const { get, set, add, take } = sound
    return { get, set, add, take, ...defect(sound) }
  }
}

const text = {
  from: (value: Uint8Array) => new TextDecoder().decode(value),
  to: (value: string) => new TextEncoder().encode(value),
}

describe('describeStorage', () => {
  it('finds nothing wrong with a sound store', async () => {
    const defined = define((now) => memoryStorage({ now }))
    expect(defined.suites).toEqual(['the storage contract: a store'])
    expect(defined.tests.size).toBe(16)
    expect(await failures(defined)).toEqual([])
  })

  it.each<[string, string, (sound: Storage) => Partial<Storage>]>([
    [
      'adds in two steps',
      'lets exactly one of 100 callers add, and one of 100 take',
      (sound) => ({
        async add(key, value, ttl) {
          if (await sound.get(key)) return false
          await turn()
          await sound.set(key, value, ttl)
          return true
        },
      }),
    ],
    [
      'takes in two steps',
      'lets exactly one of 100 callers add, and one of 100 take',
      (sound) => ({
        async take(key) {
          const value = await sound.get(key)
          await turn()
          await sound.take(key)
          return value
        },
      }),
    ],
    [
      'answers null',
      'gives back what was set, and undefined where nothing is',
      (sound) => ({ get: async (key) => (await sound.get(key)) ?? (null as unknown as undefined) }),
    ],
    [
      'does not take away',
      'takes a record once, and adds again where it was',
      (sound) => ({ take: (key) => sound.get(key) }),
    ],
    [
      'adds over what is there',
      'adds only where nothing is',
      (sound) => ({ add: (key, value, ttl) => sound.set(key, value, ttl).then(() => true) }),
    ],
    [
      'sets only where nothing is',
      'sets over what is there',
      (sound) => ({ set: (key, value, ttl) => sound.add(key, value, ttl).then(() => {}) }),
    ],
    [
      'knows no lifetime',
      'ends a record with its lifetime: get and take',
      (sound) => ({ set: (key, value) => sound.set(key, value, 3600) }),
    ],
    [
      'does not count anew',
      'counts a lifetime from the last set, longer or shorter',
      (sound) => {
        const first = new Map<string, number>()
        return {
          async set(key, value, ttl) {
            if (!first.has(key)) first.set(key, ttl)
            await sound.set(key, value, first.get(key) ?? ttl)
          },
        }
      },
    ],
    [
      'takes milliseconds for seconds',
      'gives back what was set, and undefined where nothing is',
      (sound) => ({ set: (key, value, ttl) => sound.set(key, value, (ttl - 60) / 1000) }),
    ],
    [
      'lengthens a lifetime when an add is refused',
      'does not lengthen a lifetime by reading or by an add that is refused',
      (sound) => ({
        async add(key, value, ttl) {
          const there = await sound.get(key)
          if (!there) return sound.add(key, value, ttl)
          await sound.set(key, there, ttl)
          return false
        },
      }),
    ],
    [
      'goes through text',
      'keeps all 256 bytes, no bytes at all, and 256 kB',
      (sound) => ({ set: (key, value, ttl) => sound.set(key, text.to(text.from(value)), ttl) }),
    ],
    [
      'takes no bytes for no record',
      'keeps all 256 bytes, no bytes at all, and 256 kB',
      (sound) => ({
        get: async (key) => ((await sound.get(key))?.length ? sound.get(key) : undefined),
      }),
    ],
    [
      'writes the whole buffer of a view',
      'writes what a view shows of a larger buffer',
      (sound) => ({
        set: (key, value, ttl) => sound.set(key, new Uint8Array(value.buffer), ttl),
      }),
    ],
    [
      'reads the value after its turn',
      'keeps its own copy of bytes handed in, and hands out bytes of the caller',
      (sound) => ({ set: (key, value, ttl) => turn().then(() => sound.set(key, value, ttl)) }),
    ],
    [
      'is blind to case',
      'keeps keys apart: prefixes, one character, upper and lower case, 128 characters',
      (sound) => ({
        get: (key) => sound.get(key.toLowerCase()),
        set: (key, value, ttl) => sound.set(key.toLowerCase(), value, ttl),
        add: (key, value, ttl) => sound.add(key.toLowerCase(), value, ttl),
        take: (key) => sound.take(key.toLowerCase()),
      }),
    ],
    [
      'cuts long keys',
      'keeps keys apart: prefixes, one character, upper and lower case, 128 characters',
      (sound) => ({
        get: (key) => sound.get(key.slice(0, 127)),
        set: (key, value, ttl) => sound.set(key.slice(0, 127), value, ttl),
        add: (key, value, ttl) => sound.add(key.slice(0, 127), value, ttl),
        take: (key) => sound.take(key.slice(0, 127)),
      }),
    ],
  ])('finds a store that %s', async (_defect, test, defect) => {
    expect(await failures(define(broken(defect)))).toContain(test)
  })

  it('finds stores that processes do not share', async () => {
    const processes = fileURLToPath(new URL('../support/stores/lone-store.mjs', import.meta.url))
    const { tests } = define((now) => memoryStorage({ now }), { processes })
    const race = tests.get('lets exactly one of four processes add, and one of four take')
    await expect(race?.()).rejects.toThrow(/^add of [0-9a-f]{18}:0: true,true,true,true/)
  })

  it('says why a process could not take part', async () => {
    const processes = new URL('./no-such-store.mjs', import.meta.url)
    const { tests } = define((now) => memoryStorage({ now }), { processes })
    const race = tests.get('lets exactly one of four processes add, and one of four take')
    await expect(race?.()).rejects.toThrow(
      /^racer \d failed: .*Cannot find module '.*no-such-store.mjs'/,
    )
  })

  it('says that a process died in the race', async () => {
    const processes = fileURLToPath(new URL('../support/stores/dying-store.mjs', import.meta.url))
    const { tests } = define((now) => memoryStorage({ now }), { processes })
    const race = tests.get('lets exactly one of four processes add, and one of four take')
    await expect(race?.()).rejects.toThrow(/^racer \d failed: it ended with SIGKILL$/)
  })

  it('asks for describe and it where none are global', async () => {
    const { code, output } = await runNode(`
      try { describeStorage('memory', create) } catch (error) { console.log(String(error)) }`)
    expect([code, output]).toEqual([
      0,
      'TypeError: describeStorage: describe and it are not global here; pass them: ' +
        "import { describe, it } from 'node:test' and describeStorage(name, create, { describe, it })\n",
    ])
  })

  it('runs under node:test, on a clock that only runs by itself', async () => {
    const { code, output } = await runNode(`
      import { describe, it } from 'node:test'
      describeStorage('memory', create, { describe, it })`)
    expect(output).toMatch(/^(?:#|ℹ) pass 16$/m)
    expect(output).toMatch(/^(?:#|ℹ) fail 0$/m)
    expect(code).toBe(0)
  })
})

/** Runs the built suite outside of any test runner. */
async function runNode(code: string): Promise<{ code: number | null; output: string }> {
  const suite = new URL('../../dist/testing/describe-storage.js', import.meta.url)
  const store = new URL('../support/stores/lone-store.mjs', import.meta.url)
  const program = `
    import { describeStorage } from ${JSON.stringify(suite.href)}
    import create from ${JSON.stringify(store.href)}
    ${code}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let output = ''
  child.stdout.on('data', (part) => {
    output += part
  })
  const exit = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code: exit, output }
}
