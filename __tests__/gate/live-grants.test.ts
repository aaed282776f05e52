/** The grants that a gate keeps: one copy for all tokens of a login, read once a second, and not for ever. */
import { beforeEach, describe, expect, it } from '@jest/globals'
import { type LiveGrants, liveGrants } from '../../lib/gate/live-grants.js'
import type { Grants } from '../../lib/tokens/grants.js'
import { loginGrant } from '../support/replica.js'

let time: number
let calls: string[]
let news: string
let newsAt: number
let version: number
let live: LiveGrants

/** Grants of which each read is recorded; a new `version` is a grant that somebody has written. */
function recordedGrants(tokenLength = 5000): Grants {
  const record = (sid: string) => ({
    value: {
      ...loginGrant,
      generation: version,
      upstream: { ...loginGrant.upstream, accessToken: sid.padEnd(tokenLength, '.') },
    },
    version: `${sid} ${version}`,
  })
  return {
    read: async (sid: string) => {
      calls.push(`read ${sid}`)
      return version < 0 ? undefined : record(sid)
    },
    reread: async (sid: string, known: ReturnType<typeof record>) => {
      calls.push(`reread ${sid}`)
      if (version < 0) return undefined
      return known.value.generation === version ? known : record(sid)
    },
    news: {
      recall: () => (time - newsAt < 1000 ? news : undefined),
      async read() {
        if (time - newsAt >= 1000) {
          calls.push('read the news')
          newsAt = time
        }
        return news
      },
    },
  } as unknown as Grants
}

beforeEach(() => {
  time = 0
  calls = []
  news = 'none'
  newsAt = 0
  version = 0
  live = liveGrants({ grants: recordedGrants(), maxBytes: 100_000, monotonic: () => time })
})

describe('a grant at the gate', () => {
  it('is known as long as there are no news, which are read once a second for all grants', async () => {
    expect(live.recall('a')).toBeUndefined()
    const record = await live.read('a')
    await live.read('b')
    time = 999
    expect(live.recall('a')).toBe(record)
    time = 1000
    expect(live.recall('a')).toBeUndefined()
    expect(await live.read('a')).toBe(record)
    expect(live.recall('a')).toBe(record)
    expect(live.recall('b')).toBeDefined()
    expect(calls).toEqual(['read a', 'read b', 'read the news'])
  })

  it('is read again when there are news, in one operation', async () => {
    const record = await live.read('a')
    news = 'somebody was logged out'
    expect(live.recall('a')).toBeUndefined()
    expect(await live.read('a')).toBe(record)
    expect(live.recall('a')).toBe(record)
    expect(calls).toEqual(['read a', 'reread a'])
  })

  it('is read again after a minute, since another replica may have refreshed it', async () => {
    const record = await live.read('a')
    time = newsAt = 59_999
    expect(live.recall('a')).toBe(record)
    time = 60_000
    expect(live.recall('a')).toBeUndefined()
    version = 1
    expect((await live.read('a'))?.value.generation).toBe(1)
    expect(calls).toEqual(['read a', 'reread a'])
  })

  it('is read again once more when news come while it is read', async () => {
    const reading = live.read('a')
    await Promise.resolve()
    news = 'somebody was logged out'
    await reading
    expect(live.recall('a')).toBeUndefined()
  })

  it('is another object once somebody has written it, and none when it is gone', async () => {
    const first = await live.read('a')
    version = 1
    news = 'one'
    const second = await live.read('a')
    expect(second).not.toBe(first)
    expect(second?.value.generation).toBe(1)
    version = -1
    news = 'two'
    expect(await live.read('a')).toBeUndefined()
    expect(live.recall('a')).toBeUndefined()
  })

  it("is kept without Entra's refresh token", async () => {
    const { upstream } = (await live.read('a'))?.value ?? loginGrant
    expect(Object.keys(upstream ?? {}).sort()).toEqual(['accessToken', 'expiresAt'])
  })

  it('is read once for all who wait', async () => {
    await Promise.all([live.read('a'), live.read('a'), live.read('b')])
    expect(calls).toEqual(['read a', 'read b'])
  })
})

describe('the memory of grants', () => {
  const isKnown = (sid: string) => live.recall(sid) !== undefined

  it('is bounded in bytes', async () => {
    for (let count = 0; count < 100; count += 1) await live.read(`${count}`)
    const kept = Array.from({ length: 100 }, (_item, index) => `${index}`).filter(isKnown)
    // Each takes at least the 5,000 bytes of its access token.
    expect(kept.length).toBeGreaterThan(5)
    expect(kept.length).toBeLessThanOrEqual(20)
  })

  it("has room for as many logins as there are 4 KiB, with Entra's tokens as long as they are", async () => {
    const maxBytes = 100 * 4096
    live = liveGrants({ grants: recordedGrants(2000), maxBytes, monotonic: () => time })
    const logins = Array.from({ length: 100 }, (_item, index) => `${index}`.padEnd(43, '.'))
    for (const sid of logins) await live.read(sid)
    expect(logins.filter(isKnown)).toEqual(logins)
  })

  it('lets go a grant that nobody has asked for in a quarter of an hour', async () => {
    await live.read('a')
    time = 900_001
    await live.read('b')
    await live.read('a')
    expect(calls.filter((call) => call !== 'read the news')).toEqual(['read a', 'read b', 'read a'])
  })
})

describe('tokens of one login', () => {
  const token = (key: string, issuedAt: number) => ({ key, issuedAt })

  it('supersede each other in the order in which they were issued, across refreshes', async () => {
    await live.read('a')
    expect(live.supersede('a', token('one', 10))).toBeUndefined()
    version = 1
    news = 'one'
    await live.read('a')
    expect(live.supersede('a', token('two', 20))).toBe('one')
    expect(live.supersede('a', token('one', 10))).toBeUndefined()
    expect(live.supersede('a', token('three', 30))).toBe('two')
  })

  it('do not supersede those of another login', async () => {
    await live.read('a')
    await live.read('b')
    live.supersede('a', token('one', 10))
    expect(live.supersede('b', token('two', 20))).toBeUndefined()
  })
})
