import { describe, expect, it } from '@jest/globals'
import { randomSecret } from '../../lib/crypto/hashing.js'
import type { CodeRecord } from '../../lib/tokens/records.js'
import { clientHash, loginGrant, type Replica, start, world } from '../support/replica.js'

// RFC 7636 appendix B
const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const replayAt = (arrivedAt: number) => ({ client: clientHash, verifier, arrivedAt })

/** Redeems a code as the endpoint does. */
async function redeem({ codes, grants }: Replica, { code, record, sid }: Issued, at = start) {
  const won = await codes.redeem(code)
  if (!won) return false
  const { grant, codeChallenge } = record
  await grants.begin(sid, grant)
  await codes.rememberRedeemed(code, { sid, client: grant.client, codeChallenge, redeemedAt: at })
  return true
}

interface Issued {
  readonly code: string
  readonly record: CodeRecord
  /** The secret of the grant that its redemption begins. */
  readonly sid: string
}

async function codeOf({ codes }: Replica): Promise<Issued> {
  const sid = randomSecret()
  const record: CodeRecord = {
    sid,
    redirectUri: 'http://localhost:33418/cb',
    codeChallenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    grant: loginGrant,
  }
  return { record, code: await codes.create(record), sid }
}

describe('an authorization code', () => {
  it('is read as often as one likes until its 120 seconds are over', async () => {
    const { replica, clock } = world()
    const one = replica()
    const issued = await codeOf(one)
    const { code, record } = issued
    expect(code).toMatch(/^[A-Za-z0-9_-]{43}$/)
    clock.now += 119_999
    expect(await one.codes.read(code)).toEqual(record)
    expect(await replica().codes.read(code)).toEqual(record)
    clock.now += 1
    expect(await one.codes.read(code)).toBeUndefined()
    expect(await redeem(one, issued)).toBe(false)
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
    const issued = await codeOf(replicas[0])
    const { code, sid } = issued
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const one = replicas[index % 2 === 0 ? 0 : 1]
        const redeemed = await redeem(one, issued)
        return redeemed
          ? 'redeemed'
          : (await one.codes.revokeIfReplayed(code, replayAt(clock.now)))
            ? 'replayed'
            : 'late'
      }),
    )
    expect(outcomes.sort()).toEqual([...Array(19).fill('late'), 'redeemed'])
    expect((await replicas[0].grants.read(sid))?.value).toEqual(loginGrant)
  })

  it('that was never issued, or is still good, is no replay', async () => {
    const { replica, clock } = world()
    const one = replica()
    const { code, record } = await codeOf(one)
    expect(await one.codes.revokeIfReplayed('never issued', replayAt(clock.now))).toBeUndefined()
    expect(await one.codes.revokeIfReplayed(code, replayAt(clock.now))).toBeUndefined()
    expect(await one.codes.read(code)).toEqual(record)
  })
})

describe('a code that was redeemed', () => {
  it('ends the grant when its client brings it again later than two seconds, on any replica', async () => {
    const { replica, clock } = world()
    const one = replica()
    const issued = await codeOf(one)
    const { code, sid } = issued
    expect(await redeem(one, issued)).toBe(true)
    expect(await one.codes.revokeIfReplayed(code, replayAt(start + 2000))).toBeUndefined()
    expect((await one.grants.read(sid))?.value).toEqual(loginGrant)
    clock.now = start + 2001
    expect(await replica().codes.revokeIfReplayed(code, replayAt(clock.now))).toEqual({
      sid,
      grant: loginGrant,
    })
    expect(await one.grants.read(sid)).toBeUndefined()
    expect(await one.grants.keep(sid, loginGrant)).toBe(false)
  })

  it.each([
    ['another client', { client: 'hash-of-another-client-id' }],
    ['a wrong verifier', { verifier: 'v'.repeat(43) }],
    ['the challenge for a verifier', { verifier: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM' }],
  ])('changes nothing when it comes with %s', async (_what, wrong) => {
    const { replica, clock } = world()
    const one = replica()
    const issued = await codeOf(one)
    const { code, sid } = issued
    await redeem(one, issued)
    clock.now = start + 60_000
    const replay = { ...replayAt(clock.now), ...wrong }
    expect(await one.codes.revokeIfReplayed(code, replay)).toBeUndefined()
    expect((await one.grants.read(sid))?.value).toEqual(loginGrant)
  })

  it.each([
    [{}, 24 * 3600],
    [{ grant: 1000 }, 1000],
  ])('is known again for a day, or as long as a grant lives: %j', async (lifetimes, seconds) => {
    const { replica, clock } = world()
    const one = replica(lifetimes)
    const issued = await codeOf(one)
    const { code, sid } = issued
    await redeem(one, issued)
    clock.now = start + seconds * 1000 - 1
    expect(await one.codes.revokeIfReplayed(code, replayAt(clock.now))).toEqual({
      sid,
      grant: loginGrant,
    })
    clock.now += 1
    expect(await one.codes.revokeIfReplayed(code, replayAt(clock.now))).toBeUndefined()
  })
})
