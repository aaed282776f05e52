/** Interactions in the store: shared by the calls of one login, finished once, and never given out again. */
import { describe, expect, it } from '@jest/globals'
import { keyRing } from '../../lib/crypto/key-ring.js'
import { vault } from '../../lib/storage/vault.js'
import { type Interaction, interactionId, interactions } from '../../lib/tokens/interactions.js'
import { countingStorage } from '../support/proxy.js'
import { around, ring, settled, start } from '../support/replica.js'

const adas: Interaction = {
  sid: 'the secret of a grant',
  clientId: 'client',
  tid: 't',
  oid: 'o',
  claims: '{"a":1}',
  wanted: 'https://graph.example/Mail.Read',
}

const { claims: _claims, ...noClaims } = adas
const consent: Interaction = { ...noClaims, scopes: [adas.wanted] }

function setup() {
  const clock = { now: start }
  const { storage, writes } = countingStorage(() => clock.now)
  const replica = (keys = ring, seen = storage) => interactions(vault(seen, keys), () => clock.now)
  return { clock, storage, writes, replica, one: replica(), two: replica() }
}

describe('an interaction', () => {
  it('is joined by every call that wants the same, on every replica, and written once', async () => {
    const { clock, writes, one, two } = setup()
    const id = await one.begin(adas)
    expect(id).toMatch(interactionId)
    clock.now += 299_999
    // Entra may have other words for it each time.
    const reworded = { ...adas, claims: '{"a":2}' }
    expect([await one.begin(adas), await two.begin(reworded)]).toEqual([id, id])
    expect(writes).toHaveLength(1)
    expect(await two.read(id)).toEqual(adas)
  })

  it('is another one for each login, for each wish, and for consent and MFA', async () => {
    const { one } = setup()
    const others = [
      { ...adas, sid: 'another secret' },
      { ...adas, wanted: 'https://graph.example/Files.Read' },
      consent,
    ]
    const ids = await Promise.all([adas, ...others].map(one.begin))
    expect(new Set(ids).size).toBe(4)
    for (const [n, other] of others.entries())
      expect(await one.read(ids[n + 1] ?? '')).toEqual(other)
  })

  it('is one, however many calls on two replicas begin it together', async () => {
    const { one, two, writes } = setup()
    const all = Array.from({ length: 20 }, (_, n) => (n % 2 ? one : two).begin(adas))
    const ids = new Set(await Promise.all(all))
    expect(ids.size).toBe(1)
    expect(await one.read([...ids][0] ?? '')).toEqual(adas)
    // All tried, one did.
    expect(new Set(writes).size).toBe(1)
  })

  it('cannot be told from what a client knows: the same login never has the same id twice', async () => {
    const ids = await Promise.all(Array.from({ length: 5 }, () => setup().one.begin(adas)))
    expect(new Set(ids).size).toBe(5)
  })

  it('is good for five minutes at least when its id is given, and for ten at most', async () => {
    const { clock, one } = setup()
    const first = await one.begin(adas)
    clock.now += 300_000
    const second = await one.begin(adas)
    expect(second).not.toBe(first)
    clock.now += 299_000
    expect(await one.begin(adas)).toBe(second)
    expect([await one.read(first), await one.read(second)]).toEqual([adas, adas])
    clock.now += 1_001
    expect([await one.read(first), await one.read(second)]).toEqual([undefined, adas])
    const third = await one.begin(adas)
    expect([first, second]).not.toContain(third)
    clock.now += 300_000
    expect(await one.read(second)).toBeUndefined()
    expect(await one.read(third)).toEqual(adas)
  })

  it('that never was is none, whatever stands in its place', async () => {
    const { one } = setup()
    const id = await one.begin(adas)
    const forged = [
      `${id.slice(0, -1)}${id.endsWith('A') ? 'B' : 'A'}`,
      `${id}A`,
      id.slice(0, 21),
      '',
      '__proto__',
      'x'.repeat(100_000),
    ]
    for (const other of forged) {
      expect([await one.read(other), await one.isOf(other, adas.sid)]).toEqual([undefined, false])
    }
  })

  it('belongs to its login', async () => {
    const { one } = setup()
    const id = await one.begin(adas)
    expect([await one.isOf(id, adas.sid), await one.isOf(id, 'another')]).toEqual([true, false])
  })
})

describe('what is finished', () => {
  it('was claimed by exactly one of many on two replicas', async () => {
    const { one, two } = setup()
    const id = await one.begin(adas)
    const claims = await Promise.all(
      Array.from({ length: 10 }, (_, n) => (n % 2 ? one : two).claim(id)),
    )
    expect(claims.filter(Boolean)).toHaveLength(1)
    expect(await two.read(id)).toBeUndefined()
    expect(await two.claim(id)).toBe(false)
  })

  it('is not ended before the claimant says so', async () => {
    const { one, two } = setup()
    const id = await one.begin(adas)
    expect(await two.isEnded(id)).toBe(false)
    await one.claim(id)
    expect([await two.isEnded(id), await two.isOf(id, adas.sid)]).toEqual([false, true])
    await one.end(id)
    expect(await two.isEnded(id)).toBe(true)
  })

  it('is not given out again: the next challenge gets another id, and the first stays dead', async () => {
    const { clock, one, two } = setup()
    const first = await one.begin(adas)
    await one.claim(first)
    const second = await two.begin(adas)
    expect(second).not.toBe(first)
    await one.end(first)
    expect(await one.begin(adas)).toBe(second)
    expect([await one.read(first), await one.read(second)]).toEqual([undefined, adas])
    expect(await one.claim(second)).toBe(true)
    for (let minute = 0; minute < 30; minute++) {
      clock.now += 60_000
      await one.begin(adas)
      expect(await one.read(first)).toBeUndefined()
    }
  })

  it('is not brought back by a call that begins while another finishes', async () => {
    const { storage, replica, one } = setup()
    const id = await one.begin(adas)
    let goOn = (): void => undefined
    const paused = new Promise<void>((resolve) => {
      goOn = resolve
    })
    // This replica has read that there is none, and is slow to write.
    let first = true
    const slow = around(storage, async (name, operation) => {
      if (name === 'get' && first) {
        first = false
        return undefined as never
      }
      if (name === 'add') await paused
      return operation()
    })
    const begun = replica(ring, slow).begin(adas)
    await settled()
    await one.claim(id)
    await one.end(id)
    goOn()
    const other = await begun
    expect(other).not.toBe(id)
    expect([await one.read(id), await one.read(other)]).toEqual([undefined, adas])
  })

  it('many times in ten minutes without an end is an outage, and nothing more is written', async () => {
    const { one, writes } = setup()
    for (let count = 0; count < 5; count++) await one.claim(await one.begin(adas))
    const before = writes.length
    await expect(one.begin(adas)).rejects.toMatchObject({ status: 503 })
    expect(writes).toHaveLength(before)
  })
})

describe('when the keys change', () => {
  const [oldKey, newKey] = [
    'operator-secret-of-these-tests-02',
    'operator-secret-of-these-tests-03',
  ]

  it('a new first key changes neither the id nor who joins it', async () => {
    const { replica } = setup()
    const id = await replica(keyRing([oldKey])).begin(adas)
    const after = replica(keyRing([newKey, oldKey]))
    expect(await after.begin(adas)).toBe(id)
    expect(await after.read(id)).toEqual(adas)
  })

  it('a record that nobody can read any more is in nobody’s way, and a claim still counts', async () => {
    const { replica } = setup()
    const before = replica(keyRing([oldKey]))
    const id = await before.begin(adas)
    const after = replica(keyRing([newKey]))
    const other = await after.begin(adas)
    expect(await after.begin(adas)).toBe(other)
    expect([await after.read(id), await after.read(other)]).toEqual([undefined, adas])
    await before.claim(id)
    expect(await after.claim(id)).toBe(false)
  })
})
