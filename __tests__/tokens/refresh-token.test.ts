import { describe, expect, it } from '@jest/globals'
import { unavailable } from '../../lib/oauth/errors.js'
import { memoryStorage } from '../../lib/storage/memory.js'
import type { Storage } from '../../lib/storage/storage.js'
import type { Rotation } from '../../lib/tokens/refresh-token.js'
import {
  around,
  fakeEntra,
  login,
  loginGrant,
  present,
  settled,
  start,
  world,
} from '../support/replica.js'

const seconds = (count: number) => count * 1000

describe('a refresh token', () => {
  it('is opaque, another one each time, and is kept nowhere', async () => {
    const { replica, storage } = world()
    const { refreshTokens } = replica()
    const [one, other] = [refreshTokens.issue('sid', 3), refreshTokens.issue('sid', 3)]
    expect(one).toMatch(/^[A-Za-z0-9_-]{60,200}$/)
    expect(one).not.toBe(other)
    expect(Buffer.from(one, 'base64url').toString('latin1')).not.toContain('sid')
    expect(storage.size).toBe(0)
  })

  it('says which grant it renews and how often that has happened, to this server alone', async () => {
    const { replica } = world()
    const { refreshTokens } = replica()
    const token = refreshTokens.issue('sid', 3)
    expect(refreshTokens.read(token)).toEqual({ token, sid: 'sid', generation: 3, isBound: false })
    const bound = refreshTokens.issue('sid', 4, true)
    expect(refreshTokens.read(bound)).toMatchObject({ generation: 4, isBound: true })
    expect(refreshTokens.read('unknown')).toBeUndefined()
    expect(refreshTokens.read(`${token}A`)).toBeUndefined()
    const last = token.endsWith('A') ? 'B' : 'A'
    expect(refreshTokens.read(token.slice(0, -1) + last)).toBeUndefined()
  })
})

describe('a rotation', () => {
  it('renews the grant and gives the next token, which rotates in turn', async () => {
    const { replica, clock } = world()
    const one = replica()
    const { sid, token } = await login(one)
    const entra = fakeEntra()
    let next = token
    for (let count = 1; count <= 5; count += 1) {
      const rotation = await present(one, next, entra)
      expect(rotation.outcome).toBe('rotated')
      clock.now += 1000
      expect((await one.grants.read(sid))?.value).toEqual({
        ...loginGrant,
        generation: count,
        renewedAt: start / 1000 + count - 1,
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

  it('keeps nothing of its tokens beyond the grace, however many there are', async () => {
    const { replica, clock, storage } = world()
    const written = new Set<string>()
    const watched: Storage = {
      ...storage,
      set: (key, value, ttl) => {
        written.add(key)
        return storage.set(key, value, ttl)
      },
    }
    const one = replica({}, watched)
    const { token } = await login(one)
    const before = { size: storage.size, bytes: storage.bytes }
    const entra = fakeEntra()
    let next = token
    for (let count = 0; count < 50; count += 1) next = nextOf(await present(one, next, entra))
    expect(storage.size).toBe(before.size + 50)
    clock.now += seconds(60)
    for (const key of written) await storage.get(key)
    expect(storage.size).toBe(before.size)
    expect(storage.bytes - before.bytes).toBeLessThan(20)
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

  it('300 times over never evicts the login of somebody else from a full memory', async () => {
    const { clock } = world()
    const storage = memoryStorage({ now: () => clock.now, maxBytes: 30_000 })
    const one = world().replica({}, storage)
    const bystander = await login(one)
    const busy = await login(one)
    const entra = fakeEntra()
    let next = busy.token
    for (let count = 0; count < 300; count += 1) next = nextOf(await present(one, next, entra))
    expect(storage.bytes).toBeGreaterThan(25_000)
    expect((await present(one, bystander.token, entra)).outcome).toBe('rotated')
    expect((await present(one, next, entra)).outcome).toBe('rotated')
  })

  it('of a second token of the same generation is reuse: the client was only ever given one', async () => {
    const { replica } = world()
    const [one, other] = [replica(), replica()]
    const { sid, token } = await login(one)
    const twin = one.refreshTokens.issue(sid, 0)
    const entra = fakeEntra(settled)
    const rotations = await Promise.all([present(one, token, entra), present(other, twin, entra)])
    expect(rotations.map(({ outcome }) => outcome).sort()).toEqual(['reused', 'rotated'])
    expect(await one.grants.read(sid)).toBeUndefined()
  })

  it('of a token that is ahead of the store goes on: the store lost its last writes', async () => {
    const { replica } = world()
    const one = replica()
    const { sid } = await login(one)
    const ahead = one.refreshTokens.issue(sid, 2)
    const rotation = await present(one, ahead, fakeEntra())
    expect(rotation.outcome).toBe('rotated')
    expect((await one.grants.read(sid))?.value.generation).toBe(3)
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

  it('ends the grant even months later: reuse is detected for the life of the grant', async () => {
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
    expect(rotations.map(({ outcome }) => outcome).sort()).toEqual(['gone', 'reused', 'rotated'])
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
    const { sid, token } = await login(one)
    const presented = one.refreshTokens.read(token)
    const known = await one.grants.read(sid)
    if (!presented || !known) throw new Error('not read')
    await one.grants.revoke(sid)
    expect(await one.refreshTokens.rotate(presented, known, fakeEntra())).toEqual({
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

  // Lock, answer, grant, lock given back: one more shows that nothing else is written.
  const writes = 4
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
      expect((await replica().grants.read(sid))?.value.upstream?.refreshToken).toBe(
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
    // The third makes it news for gates.
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
    expect(entra.renewals).toBe(1)
  })

  it('during a rotation ends the grant for good, wherever its two steps fall', async () => {
    const { during: steps } = await race(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
    expect(steps).toBeGreaterThanOrEqual(9)
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
