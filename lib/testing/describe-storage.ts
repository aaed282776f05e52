/** The contract of a `Storage` as a test suite, for other backends, under any test runner. */
import { deepEqual, equal, ok } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { types } from 'node:util'
import type { Storage } from '../storage/storage.js'
import { raceProcesses } from './storage-race.js'

/** A store to test. Only one is open at a time, and it is closed after use. It need not be empty. */
export interface StorageUnderTest {
  readonly storage: Storage
  close(): void | Promise<void>
  /** Moves the store's clock forward. Without it, the tests of lifetimes wait for two seconds of real time. */
  advance?(seconds: number): void | Promise<void>
}

/** What the suite needs of a test runner's `describe`. */
export type DescribeSuite = (name: string, body: () => void) => unknown
/** What the suite needs of a test runner's `it`. The last argument (milliseconds) may be ignored. */
export type DefineTest = (name: string, body: () => Promise<void>, timeout?: number) => unknown

/** Options of {@link describeStorage}. */
export interface DescribeStorageOptions {
  /**
   * An ES module whose default export makes a store, as `create` does, in a child process. All processes must get the
   * same store. With it, four processes race. A file URL or a path; `node` runs it directly.
   */
  readonly processes?: URL | string
  /** The runner's functions, if they are not global: `import { describe, it } from 'node:test'`. */
  readonly describe?: DescribeSuite
  readonly it?: DefineTest
}

type Contract = (under: StorageUnderTest, key: (name: string) => string) => Promise<void>

const bytes = (text: string) => new TextEncoder().encode(text)
const minute = 60
const testTimeout = 60_000

/**
 * Defines the tests that every `Storage` has to pass: the four operations, lifetimes, bytes, keys, and that exactly one
 * of many callers wins, within a process and (with `processes`) between processes.
 *
 * Runs under jest, vitest, mocha and node:test; asserts with `node:assert` alone.
 *
 * @throws TypeError when `describe` and `it` are neither global nor in the options
 *
 * @example
 * ```ts
 * describeStorage('my store', () => {
 *   const storage = myStorage()
 *   return { storage, close: () => storage.close() }
 * }, { processes: new URL('./my-store.js', import.meta.url) })
 * ```
 */
export function describeStorage(
  name: string,
  create: () => StorageUnderTest | Promise<StorageUnderTest>,
  options: DescribeStorageOptions = {},
): void {
  const { processes } = options
  const { describe, it } = runner(options)
  const checkLifetime = lifetimeChecks(create)
  describe(`the storage contract: ${name}`, () => {
    for (const [behaviour, contract] of Object.entries(contracts)) {
      defineTest(it, behaviour, async () => {
        const under = await create()
        await closing(under, () => contract(under, freshKeys()))
      })
    }
    for (const behaviour of Object.keys(lifetimes)) {
      defineTest(it, behaviour, () => checkLifetime(behaviour))
    }
    if (processes !== undefined) {
      defineTest(it, 'lets exactly one of four processes add, and one of four take', () =>
        raceProcesses(processes),
      )
    } else {
      process.stderr.write(
        `describeStorage(${name}): processes do not race, because options.processes is missing: a module that makes the store in a child process\n`,
      )
    }
  })
}

function runner(options: DescribeStorageOptions): { describe: DescribeSuite; it: DefineTest } {
  const globals = globalThis as { describe?: DescribeSuite; it?: DefineTest }
  const { describe = globals.describe, it = globals.it } = options
  if (typeof describe === 'function' && typeof it === 'function') return { describe, it }
  throw new TypeError(
    'describeStorage: describe and it are not global here; pass them: ' +
      "import { describe, it } from 'node:test' and describeStorage(name, create, { describe, it })",
  )
}

/**
 * Checks one contract of {@link lifetimes}. Each gets its own store if the store's clock can be moved. In real time all
 * of them wait together, on one store, as soon as the first of them is checked.
 */
function lifetimeChecks(
  create: () => StorageUnderTest | Promise<StorageUnderTest>,
): (behaviour: string) => Promise<void> {
  let outcomes: Promise<ReadonlyMap<string, PromiseSettledResult<void>>> | undefined
  return async function checkLifetime(behaviour) {
    if (!outcomes) {
      const under = await create()
      if (under.advance) {
        return closing(under, async () => lifetimes[behaviour]?.(under, freshKeys()))
      }
      outcomes = closing(under, () => waitTogether(under))
    }
    const outcome = (await outcomes).get(behaviour)
    if (outcome?.status === 'rejected') throw outcome.reason
  }
}

async function waitTogether(under: StorageUnderTest) {
  const names = Object.keys(lifetimes)
  const settled = await Promise.allSettled(
    Object.values(lifetimes).map((contract) => contract(under, freshKeys())),
  )
  return new Map(settled.map((outcome, index) => [names[index] ?? '', outcome]))
}

/** Runs `use`, and closes the store however it ends. */
async function closing<T>(under: StorageUnderTest, use: () => Promise<T>): Promise<T> {
  try {
    return await use()
  } finally {
    await under.close()
  }
}

/** Makes keys that are not in the store yet. */
function freshKeys(): (name: string) => string {
  const prefix = randomBytes(9).toString('hex')
  return (own) => `${prefix}:${own}`
}

/** Mocha takes the timeout as a method of the test, the other runners as an argument or not at all. */
function defineTest(it: DefineTest, name: string, body: () => Promise<void>): void {
  const made = it(name, body, testTimeout) as { timeout?: unknown } | undefined
  if (typeof made?.timeout === 'function') made.timeout(testTimeout)
}

const contracts: Record<string, Contract> = {
  async 'gives back what was set, and undefined where nothing is'({ storage }, key) {
    await storage.set(key('a'), bytes('1'), minute)
    same(await storage.get(key('a')), bytes('1'))
    same(await storage.get(key('a')), bytes('1'))
    same(await storage.get(key('b')), undefined)
  },

  async 'sets over what is there'({ storage }, key) {
    equal(await storage.set(key('a'), bytes('a longer value'), minute), undefined)
    equal(await storage.set(key('a'), bytes('2'), minute), undefined)
    same(await storage.get(key('a')), bytes('2'))
  },

  async 'adds only where nothing is'({ storage }, key) {
    equal(await storage.add(key('a'), bytes('1'), minute), true)
    equal(await storage.add(key('a'), bytes('2'), minute), false)
    same(await storage.get(key('a')), bytes('1'))
    await storage.set(key('b'), bytes('1'), minute)
    equal(await storage.add(key('b'), bytes('2'), minute), false)
    same(await storage.get(key('b')), bytes('1'))
  },

  async 'takes a record once, and adds again where it was'({ storage }, key) {
    await storage.set(key('a'), bytes('1'), minute)
    same(await storage.take(key('a')), bytes('1'))
    same(await storage.take(key('a')), undefined)
    same(await storage.get(key('a')), undefined)
    equal(await storage.add(key('a'), bytes('2'), minute), true)
    same(await storage.take(key('a')), bytes('2'))
    same(await storage.take(key('never there')), undefined)
  },

  async 'keeps all 256 bytes, no bytes at all, and 256 kB'({ storage }, key) {
    const every = Uint8Array.from({ length: 256 }, (_, index) => index)
    const values = { every, none: new Uint8Array(0), large: randomBytes(256 * 1024) }
    for (const [own, value] of Object.entries(values)) {
      await storage.set(key(own), value, minute)
      same(await storage.get(key(own)), value)
      equal(await storage.add(key(own), bytes('2'), minute), false)
      same(await storage.take(key(own)), value)
      equal(await storage.add(key(own), value, minute), true)
      same(await storage.get(key(own)), value)
    }
  },

  async 'writes what a view shows of a larger buffer'({ storage }, key) {
    const whole = bytes('not this, but this, and not this')
    await storage.set(key('a'), whole.subarray(10, 18), minute)
    same(await storage.get(key('a')), bytes('but this'))
  },

  async 'keeps its own copy of bytes handed in, and hands out bytes of the caller'(
    { storage },
    key,
  ) {
    const given = bytes('1')
    const setting = storage.set(key('a'), given, minute)
    given.fill(0)
    await setting
    const got = await storage.get(key('a'))
    same(got, bytes('1'))
    got?.fill(0)
    same(await storage.get(key('a')), bytes('1'))
    const taken = await storage.take(key('a'))
    await storage.set(key('a'), bytes('2'), minute)
    same(taken, bytes('1'))
  },

  async 'keeps keys apart: prefixes, one character, upper and lower case, 128 characters'(
    { storage },
    key,
  ) {
    const long = key('k'.repeat(128 - key('').length))
    const keys = ['a', 'ab', 'a:b', 'a:', 'A', 'a*', 'a?', '[a]', '{a}b', 'a b', '%61', 'a/../b']
      .map(key)
      .concat(key(''), long, `${long.slice(0, -1)}K`, long.slice(0, -1))
    equal(long.length, 128)
    for (const own of keys) equal(await storage.add(own, bytes(own), minute), true, own)
    for (const own of keys) same(await storage.get(own), bytes(own), own)
    for (const [index, own] of keys.entries()) {
      same(await storage.take(own), bytes(own), own)
      for (const other of keys.slice(index + 1)) same(await storage.get(other), bytes(other), other)
    }
  },

  async 'lets exactly one of 100 callers add, and one of 100 take'({ storage }, key) {
    const added = await together(100, (caller) => storage.add(key('a'), bytes(`${caller}`), minute))
    equal(added.filter((won) => won === true).length, 1)
    equal(added.filter((won) => won === false).length, 99)
    const winner = bytes(`${added.indexOf(true)}`)
    same(await storage.get(key('a')), winner)
    const taken = (await together(100, () => storage.take(key('a')))).filter(Boolean)
    equal(taken.length, 1)
    same(taken[0], winner)
    same(await storage.get(key('a')), undefined)
  },

  async 'has one winner on each of many keys at once'({ storage }, key) {
    const keys = Array.from({ length: 50 }, (_, index) => key(`${index}`))
    const races = await Promise.all(
      keys.map((own) => together(4, (caller) => storage.add(own, bytes(`${caller}`), minute))),
    )
    for (const [index, own] of keys.entries()) {
      const race = races[index] ?? []
      equal(race.filter(Boolean).length, 1, own)
      same(await storage.get(own), bytes(`${race.indexOf(true)}`), own)
    }
    const taken = await Promise.all(keys.map((own) => together(4, () => storage.take(own))))
    for (const race of taken) equal(race.filter(Boolean).length, 1)
  },

  async 'leaves a whole value when many set the same key at once'({ storage }, key) {
    const value = (caller: number) => new Uint8Array(1000 + caller).fill(caller)
    await together(20, (caller) => storage.set(key('a'), value(caller), minute))
    const got = await storage.get(key('a'))
    ok(got)
    same(got, value(got.length - 1000))
  },
}

/** The contracts that need time to pass. */
const lifetimes: Record<string, Contract> = {
  async 'ends a record with its lifetime: get and take'(under, key) {
    await under.storage.set(key('set'), bytes('1'), 1)
    await under.storage.add(key('added'), bytes('1'), 1)
    await under.storage.set(key('longer'), bytes('1'), minute)
    await pass(under, 1)
    same(await under.storage.get(key('set')), undefined)
    same(await under.storage.get(key('added')), undefined)
    same(await under.storage.take(key('set')), undefined)
    same(await under.storage.take(key('added')), undefined)
    same(await under.storage.get(key('longer')), bytes('1'))
  },

  async 'takes nothing that has ended, though nobody looked before'(under, key) {
    await under.storage.set(key('a'), bytes('1'), 1)
    await pass(under, 1)
    same(await under.storage.take(key('a')), undefined)
  },

  async 'adds again where a record has ended'(under, key) {
    equal(await under.storage.add(key('a'), bytes('1'), 1), true)
    await pass(under, 1)
    equal(await under.storage.add(key('a'), bytes('2'), minute), true)
    equal(await under.storage.add(key('a'), bytes('3'), minute), false)
    same(await under.storage.get(key('a')), bytes('2'))
  },

  async 'counts a lifetime from the last set, longer or shorter'(under, key) {
    await under.storage.set(key('longer'), bytes('1'), 1)
    await under.storage.set(key('longer'), bytes('2'), minute)
    await under.storage.set(key('shorter'), bytes('1'), minute)
    await under.storage.set(key('shorter'), bytes('2'), 1)
    await pass(under, 1)
    same(await under.storage.get(key('longer')), bytes('2'))
    same(await under.storage.get(key('shorter')), undefined)
  },

  async 'does not lengthen a lifetime by reading or by an add that is refused'(under, key) {
    await under.storage.set(key('a'), bytes('1'), 2)
    same(await under.storage.get(key('a')), bytes('1'))
    equal(await under.storage.add(key('a'), bytes('2'), minute), false)
    await pass(under, 2)
    same(await under.storage.get(key('a')), undefined)
  },
}

function together<T>(callers: number, operation: (caller: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: callers }, (_, caller) => operation(caller)))
}

/** Lets this many seconds pass for the store, and a little more in real time. */
async function pass(under: StorageUnderTest, seconds: number): Promise<void> {
  if (under.advance) await under.advance(seconds)
  else await sleep(seconds * 1000 + 50)
}

/** Asserts that these are the bytes, in any kind of `Uint8Array`, or that there is exactly undefined. */
function same(actual: unknown, expected: Uint8Array | undefined, message?: string): void {
  if (expected === undefined) return equal(actual, undefined, message)
  ok(types.isUint8Array(actual), message ?? `expected bytes and got ${String(actual)}`)
  deepEqual(Buffer.from(actual).toString('hex'), Buffer.from(expected).toString('hex'), message)
}
