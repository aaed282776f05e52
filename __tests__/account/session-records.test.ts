/** Where sessions lie: nobody reads one without the id of its session, and a store that is away is an outage. */
import { describe, expect, it } from '@jest/globals'
import {
  foreignRecords,
  type SessionRecord,
  type SessionRecords,
  vaultRecords,
} from '../../lib/account/session-records.js'
import { sha256 } from '../../lib/crypto/hashing.js'
import { keyRing } from '../../lib/crypto/key-ring.js'
import { memoryStorage } from '../../lib/storage/memory.js'
import type { Storage } from '../../lib/storage/storage.js'
import { vault } from '../../lib/storage/vault.js'

const ring = keyRing(['operator-secret-of-these-tests-01'])
const id = 'the-id-of-a-session'
const record: SessionRecord = {
  user: { tid: 'tid-contoso', oid: 'oid-ada', name: 'Ada Lovelace', username: 'ada@contoso.com' },
  signedInAt: 1_800_000_000,
  usedAt: 1_800_000_100,
  csrf: 'the-secret-of-its-forms',
}
/** Everything that a reader of the store must not find. */
const secrets = [id, ...Object.values(record.user), record.csrf, '1800000000']

/** A store of express-session that keeps what it is told, as connect-redis does: in JSON. */
function foreignStore() {
  const kept = new Map<string, string>()
  return {
    kept,
    get(sid: string, done: (error: unknown, session?: object | null) => void) {
      const text = kept.get(sid)
      done(null, text === undefined ? null : JSON.parse(text))
    },
    set(sid: string, session: object, done?: (error?: unknown) => void) {
      kept.set(sid, JSON.stringify(session))
      done?.()
    },
    destroy(sid: string, done?: (error?: unknown) => void) {
      kept.delete(sid)
      done?.()
    },
  }
}

const kinds: [string, (keys?: typeof ring) => SessionRecords][] = [
  [
    'our own storage',
    (() => {
      const storage = memoryStorage()
      return (keys = ring) => vaultRecords(vault(storage, keys))
    })(),
  ],
  [
    'a store of express-session',
    (() => {
      const store = foreignStore()
      return (keys = ring) => foreignRecords(store, keys)
    })(),
  ],
]

describe.each(kinds)('a session in %s', (_kind, recordsUnder) => {
  it('comes back as it was, until it is removed', async () => {
    const records = recordsUnder()
    expect(await records.get(id)).toBeUndefined()
    await records.set(id, record, 900)
    expect(await records.get(id)).toEqual(record)
    expect(await records.get('another-id')).toBeUndefined()
    await records.set(id, { ...record, usedAt: 1_800_000_200 }, 900)
    expect(await records.get(id)).toEqual({ ...record, usedAt: 1_800_000_200 })
    await records.remove(id)
    expect(await records.get(id)).toBeUndefined()
    await records.remove(id)
  })

  it('opens under any key of the ring, and under no other', async () => {
    await recordsUnder().set(id, record, 900)
    const rotated = keyRing([
      'operator-secret-of-these-tests-02',
      'operator-secret-of-these-tests-01',
    ])
    expect(await recordsUnder(rotated).get(id)).toEqual(record)
    expect(
      await recordsUnder(keyRing(['operator-secret-of-these-tests-02'])).get(id),
    ).toBeUndefined()
  })
})

describe('a store of express-session', () => {
  it('sees a hash, a lifetime and a box', async () => {
    const store = foreignStore()
    const before = Date.now()
    await foreignRecords(store, ring).set(id, record, 900)
    const [[name, text] = ['', '']] = [...store.kept]
    expect(name).toBe(sha256(`session\0${id}`))
    const kept = JSON.parse(text) as { cookie: { originalMaxAge: number; expires: string } }
    expect(kept).toEqual({
      cookie: { originalMaxAge: 900_000, expires: expect.any(String) },
      box: expect.stringMatching(/^[\w-]{200,}$/),
    })
    const expires = Date.parse(kept.cookie.expires)
    expect(expires).toBeGreaterThanOrEqual(before + 900_000)
    expect(expires).toBeLessThanOrEqual(Date.now() + 900_000)
    const box = Buffer.from(/"box":"([^"]*)"/.exec(text)?.[1] ?? '', 'base64url').toString('latin1')
    for (const secret of secrets) {
      expect(name + text).not.toContain(secret)
      expect(box).not.toContain(secret)
    }
  })

  it('cannot pass off one record as another, nor a changed one, nor one of its own', async () => {
    const store = foreignStore()
    const records = foreignRecords(store, ring)
    await records.set(id, record, 900)
    await records.set('another-id', { ...record, csrf: 'another' }, 900)
    const [[name = '', text = ''] = [], [, other = ''] = []] = [...store.kept]
    for (const put of [
      other,
      text.replace(/"box":"../, '"box":"AA'),
      '{"box":7}',
      '{}',
      'null',
      '7',
    ]) {
      store.kept.set(name, put)
      expect([put, await records.get(id)]).toEqual([put, undefined])
    }
    store.kept.set(name, text)
    expect(await records.get(id)).toEqual(record)
  })

  const failures: [string, (done?: (error?: unknown) => void) => unknown][] = [
    ['calls back with an error', (done) => done?.(new Error('ECONNREFUSED'))],
    [
      'throws',
      () => {
        throw new Error('ECONNREFUSED')
      },
    ],
    ['rejects', () => Promise.reject(new Error('ECONNREFUSED'))],
    ['never answers', () => undefined],
  ]

  it.each(failures)('that %s is an outage: 503', async (_how, fail) => {
    const store = {
      get: (_sid: string, done: (error: unknown) => void) => fail(done as () => void),
      set: (_sid: string, _session: object, done?: (error?: unknown) => void) => fail(done),
      destroy: (_sid: string, done?: (error?: unknown) => void) => fail(done),
    }
    const records = foreignRecords(store, ring, 0.05)
    for (const operation of [
      () => records.get(id),
      () => records.set(id, record, 900),
      () => records.remove(id),
    ]) {
      await expect(operation()).rejects.toMatchObject({
        code: 'temporarily_unavailable',
        status: 503,
        cause: expect.any(Error),
      })
    }
  })
})

describe('our own storage', () => {
  it('that is away is an outage too', async () => {
    const away = () => Promise.reject(new Error('ECONNREFUSED'))
    const storage: Storage = { get: away, set: away, add: away, take: away }
    const records = vaultRecords(vault(storage, ring))
    await expect(records.get(id)).rejects.toMatchObject({ status: 503 })
    await expect(records.set(id, record, 900)).rejects.toMatchObject({ status: 503 })
    await expect(records.remove(id)).rejects.toMatchObject({ status: 503 })
  })
})
