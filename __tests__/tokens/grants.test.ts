import { describe, expect, it } from '@jest/globals'
import { type KeyRing, keyRing } from '../../lib/crypto/key-ring.js'
import type { Storage } from '../../lib/storage/storage.js'
import { lifetimes } from '../../lib/tokens/lifetimes.js'
import {
  around,
  clientHash,
  fakeEntra,
  login,
  loginGrant,
  present,
  processOver,
  start,
  world,
} from '../support/replica.js'

const sid = 'the secret of this login'

describe('a grant', () => {
  it('lives its full life from its last renewal, however often it is written', async () => {
    const { replica, clock } = world()
    const { grants } = replica({ grant: 1000 })
    await grants.begin(sid, loginGrant)
    expect((await grants.read(sid))?.value).toEqual(loginGrant)
    clock.now += 999_000
    expect(await grants.keep(sid, { ...loginGrant, renewedAt: clock.now / 1000 })).toBe(true)
    clock.now += 999_000
    expect(await grants.keep(sid, { ...loginGrant, renewedAt: start / 1000 + 999 })).toBe(true)
    clock.now += 999
    expect(await grants.read(sid)).toBeDefined()
    clock.now += 1
    expect(await grants.read(sid)).toBeUndefined()
  })

  it('never outlives its greatest age, however often it is kept', async () => {
    const { replica, clock } = world()
    const { grants } = replica({ grant: 1000, grantMaxAge: 1500 })
    expect(grants.remaining(loginGrant)).toBe(1000)
    clock.now += 800_000
    const renewed = { ...loginGrant, renewedAt: clock.now / 1000 }
    expect(grants.remaining(renewed)).toBe(700)
    const { sid } = await login(replica({ grant: 1000, grantMaxAge: 1500 }), renewed)
    clock.now = start + 1_500_000
    expect(grants.remaining({ ...loginGrant, renewedAt: clock.now / 1000 })).toBe(0)
    expect(await grants.read(sid)).toBeUndefined()
  })

  it('is opened by its own sid alone', async () => {
    const { replica } = world()
    const { grants } = replica()
    await grants.begin(sid, loginGrant)
    expect(await grants.read(`${sid}x`)).toBeUndefined()
  })

  it('is given back as the same object while nobody wrote it', async () => {
    const { replica } = world()
    const { grants } = replica()
    await grants.begin(sid, loginGrant)
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

  it('stays revoked when an edit writes it back and then cannot reach the store', async () => {
    const { replica, storage, clock } = world()
    const { sid, token } = await login(replica())
    const known = await replica().grants.read(sid)
    if (!known) throw new Error('nothing read')
    await replica().grants.revoke(sid)
    const halfDead = around(storage, (name, operation) =>
      name === 'set' ? operation() : Promise.reject(new Error('down')),
    )
    const before = storage.size
    await expect(replica({}, halfDead).grants.keep(sid, loginGrant)).rejects.toMatchObject({
      status: 503,
    })
    expect(storage.size).toBe(before + 1)
    // Long after the edit is over, and to who has seen the grant before as well.
    for (const seconds of [0, 600, 80 * 24 * 3600]) {
      clock.now = start + seconds * 1000
      const late = replica()
      expect(await late.grants.read(sid)).toBeUndefined()
      expect(await late.grants.reread(sid, known)).toBeUndefined()
      expect(await present(late, token, fakeEntra())).toEqual({ outcome: 'gone' })
    }
  })
})

describe('a revocation by a server with other keys', () => {
  it('counts on a server that has no key to read its mark: a grant and a token alike', async () => {
    const { replica, storage } = world()
    const { grants } = replica()
    const [one, other] = [await login(replica()), await login(replica())]
    const foreign = grantsUnder(keyRing(['another-operator-secret-of-tests']), storage)
    await foreign.revoke(one.sid)
    expect(await grants.read(one.sid)).toBeUndefined()
    expect(await grants.keep(one.sid, loginGrant)).toBe(false)
    await foreign.revokeToken(other.sid, 'jti-1', start / 1000 + 100)
    expect(await grants.isTokenRevoked(other.sid, 'jti-1')).toBe(true)
    expect(await grants.isTokenRevoked(other.sid, 'jti-2')).toBe(false)
  })

  function grantsUnder(ring: KeyRing, storage: Storage) {
    return processOver(storage, lifetimes(), () => start, ring).grants
  }
})

describe('a revoked access token', () => {
  const seconds = start / 1000

  it('is known on every replica until it would have expired, and no other token is', async () => {
    const { replica, clock } = world()
    const { sid } = await login(replica())
    await replica().grants.revokeToken(sid, 'jti-1', seconds + 100)
    const { grants } = replica()
    expect(await grants.isTokenRevoked(sid, 'jti-1')).toBe(true)
    expect(await grants.isTokenRevoked(sid, 'jti-2')).toBe(false)
    expect(await grants.isTokenRevoked(`${sid}x`, 'jti-1')).toBe(false)
    clock.now += 100_000
    expect(await grants.isTokenRevoked(sid, 'jti-1')).toBe(false)
  })

  it('has its grant written anew, so that gates look again, and otherwise left as it is', async () => {
    const { replica } = world()
    const { grants } = replica()
    const { sid } = await login(replica())
    const known = await grants.read(sid)
    if (!known) throw new Error('nothing read')
    await grants.revokeToken(sid, 'jti-1', seconds + 100)
    const again = await grants.reread(sid, known)
    expect(again).not.toBe(known)
    expect(again?.value).toEqual(loginGrant)
  })

  it('stays revoked though an edit under way overwrites what was written of it', async () => {
    const { replica, storage } = world()
    const { sid, token } = await login(replica())
    const locks: string[] = []
    const watched: Storage = {
      ...storage,
      add: (key, value, ttl) => {
        if (key.startsWith('lock:')) locks.push(key)
        return storage.add(key, value, ttl)
      },
    }
    const entra = fakeEntra(async () => {
      // The lock is lost in the middle of the edit, as when it runs out.
      await storage.take(locks[0] ?? '')
      await replica().grants.revokeToken(sid, 'jti-1', seconds + 100)
    })
    expect((await present(replica({}, watched), token, entra)).outcome).toBe('rotated')
    expect(locks).toHaveLength(1)
    expect(await replica().grants.isTokenRevoked(sid, 'jti-1')).toBe(true)
  })

  it('does not bring a grant back that is gone, and one that has expired costs nothing', async () => {
    const { replica, storage } = world()
    const { grants } = replica()
    const { sid } = await login(replica())
    await grants.revoke(sid)
    await grants.revokeToken(sid, 'jti-1', seconds + 100)
    expect(await grants.read(sid)).toBeUndefined()
    const before = storage.size
    await grants.revokeToken(sid, 'jti-2', seconds)
    expect(storage.size).toBe(before)
  })

  it('is never lost to another one revoked at the same time', async () => {
    const { replica } = world()
    const { sid } = await login(replica())
    const names = ['a', 'b', 'c', 'd']
    await Promise.all(names.map((jti) => replica().grants.revokeToken(sid, jti, seconds + 100)))
    for (const jti of names) expect(await replica().grants.isTokenRevoked(sid, jti)).toBe(true)
  })
})

describe('the news of grants', () => {
  it('are others after a grant or a token was revoked, or a user cut off: here at once, elsewhere in a second', async () => {
    const { replica, clock } = world()
    const [here, there] = [replica(), replica()]
    const { sid } = await login(here)
    const events = [
      () => here.grants.revokeToken(sid, 'jti', start / 1000 + 100),
      () => here.grants.revoke(sid),
      () => here.cutOffs.record({ tid: loginGrant.user.tid, oid: loginGrant.user.oid }),
    ]
    for (const event of events) {
      const before = await here.grants.news.read()
      expect(await there.grants.news.read()).toBe(before)
      await event()
      expect(here.grants.news.recall()).toBeUndefined()
      const after = await here.grants.news.read()
      expect(after).not.toBe(before)
      expect(there.grants.news.recall()).toBe(before)
      clock.now += 1000
      expect(there.grants.news.recall()).toBeUndefined()
      expect(await there.grants.news.read()).toBe(after)
    }
  })

  it.each(['revoke', 'revokeToken'] as const)(
    'reach everybody though the store fails just after a %s was written',
    async (way) => {
      const { replica, storage } = world()
      let failures = 2
      const failing: Storage = {
        ...storage,
        set: (key, value, ttl) =>
          key.startsWith('news:') && failures-- > 0
            ? Promise.reject(new Error('away'))
            : storage.set(key, value, ttl),
      }
      const { grants } = replica({}, failing)
      const { sid } = await login(replica())
      const before = await grants.news.read()
      if (way === 'revoke') await grants.revoke(sid)
      else await grants.revokeToken(sid, 'jti', start / 1000 + 100)
      expect(await replica().grants.news.read()).not.toBe(before)
    },
  )

  it('are the same while logins begin, are refreshed and end in time', async () => {
    const { replica, clock } = world()
    const one = replica()
    const before = await one.grants.news.read()
    const { sid } = await login(one)
    await one.grants.keep(sid, loginGrant)
    clock.now += 5000
    expect(await one.grants.news.read()).toBe(before)
  })
})

describe('a grant that was cut off', () => {
  const { tid, oid } = loginGrant.user

  it.each([
    ['its user', { tid, oid }],
    ['its client', { client: clientHash }],
    ['its user and client', { tid, oid, client: clientHash }],
    ['its tenant', { tid }],
  ])(
    'by %s is gone for everybody who reads it, and cannot be written back',
    async (_by, cutOff) => {
      const { replica } = world()
      const [here, there] = [replica(), replica()]
      const { sid, token } = await login(here)
      const known = await there.grants.read(sid)
      if (!known) throw new Error('no grant')
      await here.cutOffs.record(cutOff)
      expect(await here.grants.read(sid)).toBeUndefined()
      expect(await here.grants.reread(sid, known)).toBeUndefined()
      expect(await present(here, token, fakeEntra())).toEqual({ outcome: 'gone' })
      await here.grants.keep(sid, known.value)
      expect(await here.grants.read(sid)).toBeUndefined()
    },
  )

  it('while its refresh is with Entra: that ends as well, and leaves no tokens of Entra in the store', async () => {
    const { replica } = world()
    const one = replica()
    const { sid, token } = await login(one)
    const cutOff = () => one.cutOffs.record({ tid, oid })
    expect(await present(one, token, fakeEntra(cutOff))).toEqual({ outcome: 'gone' })
    expect(await one.grants.hasNamed(one.grants.nameOf(sid))).toBe(false)
  })

  it.each([
    ['another user', { tid, oid: 'oid-bob' }],
    ['the same user id in another tenant', { tid: 'tid-fabrikam', oid }],
    ['another client', { client: 'another hash' }],
    ['the user through another client', { tid, oid, client: 'another hash' }],
    ['another tenant', { tid: 'tid-fabrikam' }],
  ])('is not one of %s', async (_other, cutOff) => {
    const { replica } = world()
    const one = replica()
    const { sid } = await login(one)
    await one.cutOffs.record(cutOff)
    expect(await one.grants.read(sid)).toBeDefined()
  })
})
