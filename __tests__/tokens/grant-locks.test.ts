import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { OAuthError } from '../../lib/oauth/errors.js'
import type { Storage } from '../../lib/storage/storage.js'
import { around, settled, world } from '../support/replica.js'

describe('an exclusive edit', () => {
  it('is the only one of its grant on any replica', async () => {
    const { replica } = world()
    const replicas = [replica(), replica(), replica()]
    let running = 0
    const most: number[] = []
    const edit = async () => {
      running += 1
      most.push(running)
      await settled()
      running -= 1
      return 'done'
    }
    const edits = replicas.flatMap(({ grants }) =>
      [1, 2].map(() => grants.exclusively('sid', edit)),
    )
    expect(await Promise.all(edits)).toEqual(Array(6).fill('done'))
    expect(most).toEqual(Array(6).fill(1))
  })

  it('does not keep edits of other grants waiting', async () => {
    const { replica } = world()
    const { grants } = replica()
    const nested = await grants.exclusively('a', () => grants.exclusively('b', async () => 'both'))
    expect(nested).toBe('both')
  })

  it('lets go when it fails', async () => {
    const { replica, storage } = world()
    const { grants } = replica()
    const error = new Error('Entra says no')
    await expect(grants.exclusively('sid', () => Promise.reject(error))).rejects.toBe(error)
    expect(storage.size).toBe(0)
  })

  it('is over though its lock cannot be given back: that runs out after 30 seconds', async () => {
    const { replica, clock, storage } = world()
    const deaf = around(storage, (name, operation) =>
      name === 'take' ? Promise.reject(new Error('down')) : operation(),
    )
    const one = replica({}, deaf)
    expect(await one.grants.exclusively('sid', async () => 'done')).toBe('done')
    expect(storage.size).toBe(1)
    clock.now += 30_000
    expect(await replica().grants.exclusively('sid', async () => 'again')).toBe('again')
  })
})

describe('waiting for a lock', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] })
  })

  afterEach(() => {
    jest.useRealTimers()
  })

  /** A lock that another process holds, and one who waits for it: when it asked the store, in milliseconds. */
  async function contended() {
    const { replica, storage } = world()
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const holder = replica().grants.exclusively('sid', () => held)
    await settled()
    const began = jest.now()
    const asked: number[] = []
    const watched = around(storage, (_name, operation) => {
      asked.push(jest.now() - began)
      return operation()
    })
    const waiter = replica({}, watched)
      .grants.exclusively('sid', async () => 'mine')
      .catch((error: unknown) => error)
    const pass = async (milliseconds: number) => {
      for (let passed = 0; passed < milliseconds; passed += 10) {
        await settled()
        jest.advanceTimersByTime(10)
      }
      await settled()
    }
    return { asked, waiter, holder, release, pass }
  }

  it('asks the store ever less often, at least five times a second', async () => {
    const { asked, waiter, holder, release, pass } = await contended()
    await pass(1000)
    expect(asked).toEqual([0, 10, 30, 70, 150, 310, 510, 710, 910])
    release()
    await holder
    await pass(200)
    expect(await waiter).toBe('mine')
  })

  it('ends after some 15 seconds, with 503', async () => {
    const { asked, waiter, holder, release, pass } = await contended()
    await pass(15_500)
    const outcome = await waiter
    expect(outcome).toBeInstanceOf(OAuthError)
    expect(outcome).toMatchObject({
      code: 'temporarily_unavailable',
      status: 503,
      retryAfter: 5,
      description: 'The session is busy. Try again shortly.',
    })
    expect(asked.at(-1)).toBeGreaterThan(14_500)
    release()
    await holder
  })
})

describe('a lock that could not be given back', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] })
  })

  afterEach(() => {
    jest.useRealTimers()
  })

  it.each([
    [1, 1],
    [5, 5],
    [100, 6],
  ])(
    'is given back as soon as the store is back, within six tries: %j',
    async (failures, tries) => {
      const { replica, storage } = world()
      let asked = 0
      const limping = around(storage, (name, operation) => {
        if (name !== 'take') return operation()
        asked += 1
        return asked <= failures ? Promise.reject(new Error('down')) : operation()
      })
      await replica({}, limping).grants.exclusively('sid', async () => 'done')
      for (let second = 0; second < 10; second++) {
        await settled()
        jest.advanceTimersByTime(1000)
      }
      await settled()
      expect(asked).toBe(Math.min(failures + 1, 6))
      expect(storage.size).toBe(tries < 6 ? 0 : 1)
    },
  )
})

describe('a lock that was given back without the holder hearing of it', () => {
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] })
  })

  afterEach(() => {
    jest.useRealTimers()
  })

  it('is not taken from the one who holds it by then', async () => {
    const { replica, storage } = world()
    let calls = 0
    const lateAnswers = around(storage, async (name, operation) => {
      const answer = await operation()
      if (name !== 'take') return answer
      calls += 1
      throw new Error('no answer within 1 s')
    })
    await replica({}, lateAnswers).grants.exclusively('sid', async () => 'done')
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const holder = replica().grants.exclusively('sid', () => held)
    await settled()
    for (let second = 0; second < 10; second++) {
      jest.advanceTimersByTime(1000)
      await settled()
    }
    expect(calls).toBe(1)
    expect(storage.size).toBe(1)
    release()
    await holder
    expect(storage.size).toBe(0)
  })

  it('is put back when it was taken from somebody else after all', async () => {
    const { replica, storage, clock } = world()
    const taken: string[] = []
    const watched: Storage = {
      ...storage,
      take: (key) => {
        taken.push(key)
        return storage.take(key)
      },
    }
    let release = (): void => undefined
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    // The first holder's lock runs out while it works on, and a second one takes it.
    const slow = replica({}, watched).grants.exclusively('sid', async () => {
      clock.now += 30_000
      const second = replica().grants.exclusively('sid', () => held)
      await settled()
      return { second }
    })
    const { second } = await slow
    expect(taken).toHaveLength(1)
    expect(storage.size).toBe(1)
    release()
    await second
    expect(storage.size).toBe(0)
  })
})
