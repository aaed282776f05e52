import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { OAuthError } from '../../lib/oauth/errors.js'
import { around, login, loginGrant, settled, start, world } from './support.js'

describe('a grant', () => {
  it('lives a little longer than its code until it is kept', async () => {
    const { replica, clock } = world()
    const { grants } = replica()
    const sid = await grants.create(loginGrant)
    clock.now = start + 129_999
    expect((await grants.read(sid))?.value).toEqual(loginGrant)
    clock.now = start + 130_000
    expect(await grants.read(sid)).toBeUndefined()
  })

  it('lives its full life once it is kept, counted anew each time', async () => {
    const { replica, clock } = world()
    const { grants } = replica({ grant: 1000 })
    const sid = await grants.create(loginGrant)
    expect(await grants.keep(sid, loginGrant)).toBe(true)
    clock.now += 999_000
    expect(await grants.keep(sid, { ...loginGrant, scopes: [] })).toBe(true)
    clock.now += 999_999
    expect((await grants.read(sid))?.value.scopes).toEqual([])
    clock.now += 1
    expect(await grants.read(sid)).toBeUndefined()
  })

  it('never outlives its greatest age, however often it is kept', async () => {
    const { replica, clock } = world()
    const { grants } = replica({ grant: 1000, grantMaxAge: 1500 })
    expect(grants.remaining(loginGrant)).toBe(1000)
    clock.now += 800_000
    expect(grants.remaining(loginGrant)).toBe(700)
    const { sid } = await login(replica({ grant: 1000, grantMaxAge: 1500 }))
    clock.now = start + 1_500_000
    expect(grants.remaining(loginGrant)).toBe(0)
    expect(await grants.read(sid)).toBeUndefined()
  })

  it('is opened by its own sid alone, and two logins never share one', async () => {
    const { replica } = world()
    const { grants } = replica()
    const [one, other] = [await grants.create(loginGrant), await grants.create(loginGrant)]
    expect(one).not.toBe(other)
    expect(await grants.read(`${one}x`)).toBeUndefined()
  })

  it('is given back as the same object while nobody wrote it', async () => {
    const { replica } = world()
    const { grants } = replica()
    const sid = await grants.create(loginGrant)
    const known = await grants.read(sid)
    if (!known) throw new Error('nothing read')
    expect(await grants.reread(sid, known)).toBe(known)
    await grants.keep(sid, { ...loginGrant, scopes: [] })
    expect((await grants.reread(sid, known))?.value.scopes).toEqual([])
  })
})

describe('a revoked grant', () => {
  it('is gone on every replica at once, and revoking it again finds nothing', async () => {
    const { replica } = world()
    const [one, other] = [replica(), replica()]
    const { sid } = await login(one)
    expect(await one.grants.revoke(sid)).toBe(true)
    expect(await other.grants.read(sid)).toBeUndefined()
    expect(await other.grants.revoke(sid)).toBe(false)
  })

  it('is not written back by an edit that began before', async () => {
    const { replica } = world()
    const { grants } = replica()
    const { sid } = await login(replica())
    await grants.revoke(sid)
    expect(await grants.keep(sid, loginGrant)).toBe(false)
    expect(await grants.read(sid)).toBeUndefined()
  })
})

describe('a revoked access token', () => {
  const seconds = start / 1000

  it('is written on its grant, which otherwise stays as it is', async () => {
    const { replica } = world()
    const { grants } = replica()
    const { sid } = await login(replica())
    await grants.revokeToken(sid, 'jti-1', seconds + 100)
    await grants.revokeToken(sid, 'jti-2', seconds + 200)
    expect((await replica().grants.read(sid))?.value).toEqual({
      ...loginGrant,
      revoked: { 'jti-1': seconds + 100, 'jti-2': seconds + 200 },
    })
  })

  it('is forgotten once it would have expired anyway', async () => {
    const { replica, clock } = world()
    const { grants } = replica()
    const { sid } = await login(replica())
    await grants.revokeToken(sid, 'jti-1', seconds + 100)
    clock.now += 100_000
    await grants.revokeToken(sid, 'jti-2', seconds + 200)
    expect((await grants.read(sid))?.value.revoked).toEqual({ 'jti-2': seconds + 200 })
  })

  it('does not bring a grant back that is gone', async () => {
    const { replica } = world()
    const { grants } = replica()
    const { sid } = await login(replica())
    await grants.revoke(sid)
    await grants.revokeToken(sid, 'jti-1', seconds + 100)
    expect(await grants.read(sid)).toBeUndefined()
  })

  it('is never lost to another one revoked at the same time', async () => {
    const { replica } = world()
    const { sid } = await login(replica())
    const names = ['a', 'b', 'c', 'd']
    await Promise.all(names.map((jti) => replica().grants.revokeToken(sid, jti, seconds + 100)))
    const grant = (await replica().grants.read(sid))?.value
    expect(Object.keys(grant?.revoked ?? {}).sort()).toEqual(names)
  })
})

describe('the count of revocations', () => {
  it('goes up when this process has revoked a grant or a token, and not before it is done', async () => {
    const { replica } = world()
    const { grants } = replica()
    const { sid } = await login(replica())
    expect(grants.revocations).toBe(0)
    await grants.revokeToken(sid, 'jti', start / 1000 + 100)
    expect(grants.revocations).toBe(1)
    const revoked = grants.revoke(sid)
    expect(grants.revocations).toBe(1)
    await revoked
    expect(grants.revocations).toBe(2)
    expect(replica().grants.revocations).toBe(0)
  })
})

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
