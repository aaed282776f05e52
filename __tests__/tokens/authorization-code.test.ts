import { describe, expect, it } from '@jest/globals'
import type { CodeRecord } from '../../lib/tokens/records.js'
import { clientHash, loginGrant, type Replica, start, world } from './support.js'

async function codeOf({ grants, codes }: Replica) {
  const sid = await grants.create(loginGrant)
  const record: CodeRecord = {
    sid,
    client: clientHash,
    redirectUri: 'http://localhost:33418/cb',
    codeChallenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    resource: loginGrant.resource,
  }
  return { sid, record, code: await codes.create(record) }
}

describe('an authorization code', () => {
  it('is read as often as one likes until its 120 seconds are over', async () => {
    const { replica, clock } = world()
    const one = replica()
    const { code, record } = await codeOf(one)
    expect(code).toMatch(/^[A-Za-z0-9_-]{43}$/)
    clock.now += 119_999
    expect(await one.codes.read(code)).toEqual(record)
    expect(await replica().codes.read(code)).toEqual(record)
    clock.now += 1
    expect(await one.codes.read(code)).toBeUndefined()
    expect(await one.codes.redeem(code, record)).toBe(false)
  })

  it('lives as long as the application says', async () => {
    const { replica, clock } = world()
    const one = replica({ code: 10 })
    const { code } = await codeOf(one)
    clock.now += 10_000
    expect(await one.codes.read(code)).toBeUndefined()
  })

  it('is redeemed by one of 20 requests at once on two replicas, and the grant stays', async () => {
    const { replica, clock } = world()
    const replicas = [replica(), replica()] as const
    const { code, record, sid } = await codeOf(replicas[0])
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const { codes } = replicas[index % 2 === 0 ? 0 : 1]
        const redeemed = await codes.redeem(code, record)
        return redeemed ? 'redeemed' : (await codes.replayed(code, clock.now)) ? 'replayed' : 'late'
      }),
    )
    expect(outcomes.sort()).toEqual([...Array(19).fill('late'), 'redeemed'])
    expect((await replicas[0].grants.read(sid))?.value).toEqual(loginGrant)
  })

  it('that was never issued, or is still good, is no replay', async () => {
    const { replica, clock } = world()
    const one = replica()
    const { code, sid } = await codeOf(one)
    expect(await one.codes.replayed('never issued', clock.now)).toBe(false)
    expect(await one.codes.replayed(code, clock.now)).toBe(false)
    expect(await one.grants.read(sid)).toBeDefined()
  })
})

describe('a code that was redeemed', () => {
  it('ends the grant when it comes after the answer, on any replica', async () => {
    const { replica, clock } = world()
    const one = replica()
    const { code, record, sid } = await codeOf(one)
    expect(await one.codes.redeem(code, record)).toBe(true)
    expect(await one.codes.replayed(code, start + 50)).toBe(false)
    expect((await one.grants.read(sid))?.value).toEqual(loginGrant)
    clock.now = start + 51
    expect(await replica().codes.replayed(code, clock.now)).toBe(true)
    expect(await one.grants.read(sid)).toBeUndefined()
    expect(await one.grants.keep(sid, loginGrant)).toBe(false)
  })

  it.each([
    [{}, 24 * 3600],
    [{ grant: 1000 }, 1000],
  ])('is known again for a day, or as long as a grant lives: %j', async (lifetimes, seconds) => {
    const { replica, clock } = world()
    const one = replica(lifetimes)
    const { code, record } = await codeOf(one)
    await one.codes.redeem(code, record)
    clock.now = start + seconds * 1000 - 1
    expect(await one.codes.replayed(code, clock.now)).toBe(true)
    clock.now += 1
    expect(await one.codes.replayed(code, clock.now)).toBe(false)
  })
})

describe('the winner of a code', () => {
  /** Keeps the event loop busy in pieces of 60 milliseconds. */
  async function starve(milliseconds: number) {
    const until = performance.now() + milliseconds
    while (performance.now() < until) {
      const piece = performance.now() + 60
      while (performance.now() < piece);
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async function redeemed() {
    const one = world().replica()
    const { code, record } = await codeOf(one)
    const began = performance.now()
    return one.codes.redeem(code, record).then((won) => ({ won, took: performance.now() - began }))
  }

  it('is answered when the rush for the code is over: 50 milliseconds, and not at once', async () => {
    const { won, took } = await redeemed()
    expect(won).toBe(true)
    expect(took).toBeGreaterThanOrEqual(49)
  })

  it('waits on a starved machine until the event loop keeps time again, a second at most', async () => {
    const [short] = await Promise.all([redeemed(), starve(400)])
    expect(short.took).toBeGreaterThan(400)
    const [long] = await Promise.all([redeemed(), starve(2000)])
    expect(long.won).toBe(true)
    expect(long.took).toBeLessThan(2000)
  })
})
