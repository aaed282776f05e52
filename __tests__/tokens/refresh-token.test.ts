import { describe, expect, it } from '@jest/globals'
import { unavailable } from '../../lib/oauth/errors.js'
import type { Storage } from '../../lib/storage/storage.js'
import type { Rotation } from '../../lib/tokens/refresh-token.js'
import {
  around,
  clientHash,
  fakeEntra,
  login,
  loginGrant,
  present,
  settled,
  start,
  world,
} from './support.js'

const seconds = (count: number) => count * 1000

describe('a refresh token', () => {
  it('is kept as metadata only, and never under its own name', async () => {
    const { replica, storage } = world()
    const keys: string[] = []
    const watched: Storage = { ...storage, set: async (key) => void keys.push(key) }
    const token = await replica({}, watched).refreshTokens.create('sid', clientHash, 60)
    expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(keys).toHaveLength(1)
    expect(keys.join()).not.toContain(token)
  })

  it('says whose it is and since when, until its lifetime is over', async () => {
    const { replica, clock } = world()
    const { refreshTokens } = replica()
    const token = await refreshTokens.create('sid', clientHash, 60)
    const record = { sid: 'sid', client: clientHash, createdAt: start / 1000 }
    expect(await refreshTokens.read(token)).toEqual(record)
    expect(await refreshTokens.read('unknown')).toBeUndefined()
    clock.now += seconds(60)
    expect(await refreshTokens.read(token)).toBeUndefined()
  })
})

describe('a rotation', () => {
  it('renews the grant and gives the next token, which rotates in turn', async () => {
    const { replica } = world()
    const one = replica()
    const { sid, token } = await login(one)
    const entra = fakeEntra()
    let next = token
    for (let count = 1; count <= 5; count += 1) {
      const rotation = await present(one, next, entra)
      expect(rotation.outcome).toBe('rotated')
      expect((await one.grants.read(sid))?.value).toEqual({
        ...loginGrant,
        upstream: {
          ...loginGrant.upstream,
          accessToken: `at-${count}`,
          refreshToken: `rt-${count}`,
        },
      })
      expect(nextOf(rotation)).not.toBe(next)
      next = nextOf(rotation)
    }
    expect(entra.renewals).toBe(5)
  })

  it('leaves a tombstone of the token that was used', async () => {
    const { replica } = world()
    const one = replica()
    const { sid, token } = await login(one)
    await present(one, token, fakeEntra())
    expect(await one.refreshTokens.read(token)).toEqual({
      sid,
      client: clientHash,
      createdAt: start / 1000,
      used: true,
    })
  })

  it.each([1, 2, 5])(
    'asked for by 50 callers at once on %d replicas asks Entra once and gives one answer',
    async (count) => {
      const { replica } = world()
      const replicas = Array.from({ length: count }, () => replica())
      const [first = replica()] = replicas
      const { token } = await login(first)
      const entra = fakeEntra(settled)
      const rotations = await Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          present(replicas[index % count] ?? first, token, entra),
        ),
      )
      expect(entra.renewals).toBe(1)
      expect(new Set(rotations.map((rotation) => JSON.stringify(answerOf(rotation)))).size).toBe(1)
      expect(await present(first, nextOf(rotations[0]), entra)).toMatchObject({
        outcome: 'rotated',
      })
    },
  )

  it('of different tokens of one grant goes on one after the other', async () => {
    const { replica } = world()
    const [one, other] = [replica(), replica()]
    const { sid, token } = await login(one)
    const second = await one.refreshTokens.create(sid, clientHash, 1000)
    const entra = fakeEntra(settled)
    const rotations = await Promise.all([present(one, token, entra), present(other, second, entra)])
    expect(rotations.map(({ outcome }) => outcome)).toEqual(['rotated', 'rotated'])
    expect((await one.grants.read(sid))?.value.upstream.refreshToken).toBe('rt-2')
  })
})

describe('a token that was used', () => {
  it('gives the same answer again within the grace, on any replica', async () => {
    const { replica, clock } = world()
    const { token } = await login(replica())
    const entra = fakeEntra()
    const rotated = await present(replica(), token, entra)
    clock.now += seconds(60) - 1
    for (const again of [replica(), replica()]) {
      expect(await present(again, token, entra)).toEqual({
        outcome: 'repeated',
        answer: answerOf(rotated),
      })
    }
    expect(entra.renewals).toBe(1)
  })

  it('ends the grant after the grace, with every token of it', async () => {
    const { replica, clock } = world()
    const one = replica()
    const { sid, token } = await login(one)
    const entra = fakeEntra()
    const next = nextOf(await present(one, token, entra))
    clock.now += seconds(60)
    expect(await present(replica(), token, entra)).toEqual({ outcome: 'reused' })
    expect(await one.grants.read(sid)).toBeUndefined()
    expect(await present(one, next, entra)).toEqual({ outcome: 'gone' })
    expect(entra.renewals).toBe(1)
  })

  it('ends the grant even months later: the tombstone lives as long as the grant', async () => {
    const { replica, clock } = world()
    const one = replica()
    const { sid, token } = await login(one)
    await present(one, token, fakeEntra())
    clock.now += seconds(90 * 24 * 3600) - 1
    expect(await present(one, token, fakeEntra())).toEqual({ outcome: 'reused' })
    expect(await one.grants.read(sid)).toBeUndefined()
  })

  it('ends the grant at once when there is no grace', async () => {
    const { replica } = world()
    const one = replica({ refreshGrace: 0 })
    const { sid, token } = await login(one)
    const entra = fakeEntra()
    expect((await present(one, token, entra)).outcome).toBe('rotated')
    expect(await present(one, token, entra)).toEqual({ outcome: 'reused' })
    expect(await one.grants.read(sid)).toBeUndefined()
  })

  it('is reused, too, by callers at once when there is no grace', async () => {
    const { replica } = world()
    const one = replica({ refreshGrace: 0 })
    const { sid, token } = await login(one)
    const entra = fakeEntra(settled)
    const rotations = await Promise.all([1, 2, 3].map(() => present(one, token, entra)))
    expect(rotations.map(({ outcome }) => outcome).sort()).toEqual(['reused', 'reused', 'rotated'])
    expect(entra.renewals).toBe(1)
    expect(await one.grants.read(sid)).toBeUndefined()
  })
})

describe('a token without a grant', () => {
  it('is gone, and Entra is not asked', async () => {
    const { replica } = world()
    const one = replica()
    const { sid, token } = await login(one)
    await one.grants.revoke(sid)
    const entra = fakeEntra()
    expect(await present(one, token, entra)).toEqual({ outcome: 'gone' })
    expect(entra.renewals).toBe(0)
  })

  it('is gone when it ran out between being read and being rotated', async () => {
    const { replica } = world()
    const one = replica()
    const { sid } = await login(one)
    const record = { sid, client: clientHash, createdAt: start / 1000 }
    expect(await one.refreshTokens.rotate('no such token', record, fakeEntra())).toEqual({
      outcome: 'gone',
    })
  })

  it('is gone when the grant is in the last second of its greatest age', async () => {
    const { replica, clock } = world()
    const one = replica({ grantMaxAge: 1000 })
    const { token } = await login(one)
    const entra = fakeEntra()
    clock.now += seconds(999) + 1
    expect(await present(one, token, entra)).toEqual({ outcome: 'gone' })
    expect(entra.renewals).toBe(0)
  })
})

describe('a rotation for which Entra cannot be asked', () => {
  it('fails with that error, changes nothing and leaves the token good', async () => {
    const { replica, storage } = world()
    const one = replica()
    const { sid, token } = await login(one)
    const before = [storage.size, storage.bytes]
    const outage = unavailable('Entra does not answer.', 'timeout')
    const failing = fakeEntra(() => Promise.reject(outage))
    await expect(present(one, token, failing)).rejects.toBe(outage)
    expect([storage.size, storage.bytes]).toEqual(before)
    expect((await one.grants.read(sid))?.value).toEqual(loginGrant)
    expect((await present(replica(), token, fakeEntra())).outcome).toBe('rotated')
  })

  it('fails for all who asked at once, who may all try again', async () => {
    const { replica } = world()
    const replicas = [replica(), replica()]
    const [first = replica()] = replicas
    const { token } = await login(first)
    const outage = unavailable('Entra does not answer.', 'timeout')
    const failing = fakeEntra(() => Promise.reject(outage))
    const present10 = replicas.flatMap((each) =>
      Array.from({ length: 5 }, () => present(each, token, failing)),
    )
    for (const outcome of await Promise.allSettled(present10)) {
      expect(outcome).toEqual({ status: 'rejected', reason: outage })
    }
    expect((await present(first, token, fakeEntra())).outcome).toBe('rotated')
  })
})

describe('a crash', () => {
  /** A store that dies at the n-th write, before or after the write has taken effect. */
  function dyingAt(storage: Storage, n: number, effect: 'before' | 'after'): Storage {
    let writes = 0
    return around(storage, async (name, operation) => {
      if (name !== 'get') writes += 1
      const dead = new Error('the process is no more')
      if (writes > n || (writes === n && effect === 'before')) throw dead
      const result = await operation()
      if (writes === n) throw dead
      return result
    })
  }

  // Lock, next token, grant, answer, tombstone, lock given back: one more shows that nothing else is written.
  const writes = 6
  const points = Array.from({ length: writes + 1 }, (_, index) => index + 1).flatMap((n) => [
    [n, 'before'] as const,
    [n, 'after'] as const,
  ])

  it.each(points)(
    'at write %d (%s its effect) leaves the client with a token that works',
    async (n, effect) => {
      const { replica, clock, storage } = world()
      const { sid, token } = await login(replica())
      const entra = fakeEntra()
      const crashed = await present(replica({}, dyingAt(storage, n, effect)), token, entra).catch(
        () => undefined,
      )
      expect(crashed === undefined).toBe(n < writes)
      clock.now += seconds(31)
      const retried = await present(replica(), token, entra)
      expect(['rotated', 'repeated']).toContain(retried.outcome)
      if (crashed) expect(answerOf(retried)).toEqual(answerOf(crashed))
      const next = await present(replica(), nextOf(retried), entra)
      expect(next.outcome).toBe('rotated')
      expect((await replica().grants.read(sid))?.value.upstream.refreshToken).toBe(
        `rt-${entra.renewals}`,
      )
    },
  )
})

describe('a revocation', () => {
  /** A store whose operations each wait until they are let through, one at a time. */
  function stepwise(storage: Storage) {
    const waiting: { go: () => void; done: Promise<void> }[] = []
    const gated = around(storage, async (_name, operation) => {
      let finish = (): void => undefined
      const done = new Promise<void>((resolve) => {
        finish = resolve
      })
      await new Promise<void>((go) => {
        waiting.push({ go, done })
      })
      try {
        return await operation()
      } finally {
        finish()
      }
    })
    const step = async () => {
      await settled()
      const next = waiting.shift()
      next?.go()
      await next?.done
      await settled()
    }
    return { gated, step }
  }

  /** One rotation and one revocation, whose two operations happen before operations i and j of the rotation. */
  async function race(i: number, j: number) {
    const { replica, storage } = world()
    const { sid, token } = await login(replica())
    const { gated, step } = stepwise(storage)
    const revoked = replica({}, gated).grants.revoke(sid)
    let operations = 0
    const point = async () => {
      if (operations === i) await step()
      if (operations === j) await step()
      operations += 1
    }
    const interrupted = around(storage, async (_name, operation) => {
      await point()
      return operation()
    })
    const entra = fakeEntra(point)
    const rotation = await present(replica({}, interrupted), token, entra)
    const during = operations
    await step()
    await step()
    await revoked
    return { during, rotation, sid, entra, fresh: replica(), storage }
  }

  it('while Entra is being asked leaves the rotation without an answer', async () => {
    const { replica } = world()
    const [one, other] = [replica(), replica()]
    const { sid, token } = await login(one)
    const entra = fakeEntra(async () => {
      await other.grants.revoke(sid)
    })
    expect(await present(one, token, entra)).toEqual({ outcome: 'gone' })
    expect([entra.renewals, entra.answers]).toEqual([1, 0])
  })

  it('during a rotation ends the grant for good, wherever its two steps fall', async () => {
    const { during: steps } = await race(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
    expect(steps).toBeGreaterThanOrEqual(10)
    const outcomes = new Set<string>()
    for (let i = 0; i <= steps; i += 1) {
      for (let j = i; j <= steps; j += 1) {
        const { rotation, sid, entra, fresh } = await race(i, j)
        outcomes.add(rotation.outcome)
        expect([i, j, await fresh.grants.read(sid)]).toEqual([i, j, undefined])
        if ('answer' in rotation) {
          expect([i, j, await present(fresh, nextOf(rotation), entra)]).toEqual([
            i,
            j,
            { outcome: 'gone' },
          ])
        }
      }
    }
    expect([...outcomes].sort()).toEqual(['gone', 'rotated'])
  })
})

function answerOf(rotation: Rotation | undefined) {
  if (!rotation || !('answer' in rotation)) throw new Error(`no answer: ${rotation?.outcome}`)
  return rotation.answer
}

function nextOf(rotation: Rotation | undefined): string {
  const { refresh_token: next } = answerOf(rotation)
  if (next === undefined) throw new Error('no refresh token')
  return next
}
