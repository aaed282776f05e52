import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { sha256 } from '../../lib/crypto/hashing.js'
import { keyRing } from '../../lib/crypto/key-ring.js'
import { open } from '../../lib/crypto/sealing.js'
import { OAuthError } from '../../lib/oauth/errors.js'
import { memoryStorage } from '../../lib/storage/memory.js'
import type { Storage } from '../../lib/storage/storage.js'
import { vault } from '../../lib/storage/vault.js'

const ring = keyRing(['operator-secret-of-these-tests-01'])
const secret = 'the-secret-that-redeems-the-record'

/** A memory storage whose content the test can see and change, and a list of the lifetimes it was given. */
function openStorage() {
  const content = new Map<string, Uint8Array>()
  const lifetimes: number[] = []
  const storage: Storage = {
    get: async (key) => content.get(key),
    set: async (key, value, ttl) => {
      lifetimes.push(ttl)
      content.set(key, value)
    },
    add: async (key, value, ttl) => {
      lifetimes.push(ttl)
      if (content.has(key)) return false
      content.set(key, value)
      return true
    },
    take: async (key) => {
      const value = content.get(key)
      content.delete(key)
      return value
    },
  }
  return { storage, content, lifetimes }
}

describe('the vault', () => {
  it('gives back what was written, whatever it is', async () => {
    const shelf = vault(memoryStorage(), ring).shelf<unknown>('thing')
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.jsonValue(), async (name, value) => {
        await shelf.set(name, value, 60)
        expect((await shelf.get(name))?.value).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it('has nothing under a name that was never written', async () => {
    const shelf = vault(memoryStorage(), ring).shelf('thing')
    expect(await shelf.get(secret)).toBeUndefined()
    expect(await shelf.take(secret)).toBeUndefined()
  })

  it('knows whether a record is there, even one it has no key to read', async () => {
    const storage = memoryStorage()
    const shelf = vault(storage, ring).shelf('thing')
    const foreign = vault(storage, keyRing(['another-operator-secret-of-tests'])).shelf('thing')
    expect(await shelf.has(secret)).toBe(false)
    await foreign.set(secret, true, 60)
    expect(await shelf.get(secret)).toBeUndefined()
    expect([await shelf.has(secret), await foreign.has(secret)]).toEqual([true, true])
    await shelf.take(secret)
    expect(await shelf.has(secret)).toBe(false)
  })

  it('lets one caller add and one caller take', async () => {
    const shelf = vault(memoryStorage(), ring).shelf<number>('thing')
    const added = await Promise.all(Array.from({ length: 20 }, (_, n) => shelf.add(secret, n, 60)))
    expect(added.filter(Boolean)).toHaveLength(1)
    const winner = added.indexOf(true)
    const taken = await Promise.all(Array.from({ length: 20 }, () => shelf.take(secret)))
    expect(taken.filter((value) => value !== undefined)).toEqual([winner])
    expect(await shelf.get(secret)).toBeUndefined()
  })

  it('names a record by its kind and a hash, at most 128 characters of ASCII', async () => {
    const { storage, content } = openStorage()
    await vault(storage, ring).shelf('refresh-answer').set(secret, 1, 60)
    expect([...content.keys()]).toEqual([`refresh-answer:${sha256(`refresh-answer\0${secret}`)}`])
    expect([...content.keys()].join()).toMatch(/^[\x21-\x7e]{1,128}$/)
  })

  it('shows neither the secret nor the content in any key or value of the store', async () => {
    const { storage, content } = openStorage()
    const shelf = vault(storage, ring).shelf<object>('grant')
    const value = { username: 'alice@contoso.com', accessToken: 'token-of-entra' }
    await shelf.set(secret, value, 60)
    await shelf.add(`${secret}2`, value, 60)
    // As it is, as hex, and as base64 at any of its three alignments.
    const forms = (text: string) => [
      text,
      Buffer.from(text).toString('hex'),
      ...[0, 1, 2].map((skip) => Buffer.from(text.slice(skip)).toString('base64').slice(0, 8)),
    ]
    const hidden = [secret, 'alice@contoso', 'token-of-entra', 'accessToken'].flatMap(forms)
    expect(content.size).toBe(2)
    for (const [key, bytes] of content) {
      for (const form of hidden) {
        expect(Buffer.from(key).includes(form)).toBe(false)
        expect(Buffer.from(bytes).includes(form)).toBe(false)
      }
    }
  })

  it('does not open with the key ring alone: the secret of the holder is needed', async () => {
    const { storage, content } = openStorage()
    await vault(storage, ring).shelf('grant').set(secret, 1, 60)
    const [[name, box] = ['', new Uint8Array()]] = content
    const purpose = 'vault grant'
    expect(open(ring, { purpose, boundTo: name }, box)).toBeUndefined()
    expect(open(ring, { purpose, boundTo: name, secret: name }, box)).toBeUndefined()
    expect(open(ring, { purpose, boundTo: name, secret: sha256(secret) }, box)).toBeUndefined()
    expect(open(ring, { purpose, boundTo: name, secret }, box)).toEqual(Buffer.from('1'))
  })

  it('does not open with the secret alone: a key of the ring is needed', async () => {
    const storage = memoryStorage()
    await vault(storage, ring).shelf('grant').set(secret, 1, 60)
    const foreign = vault(storage, keyRing(['another-operator-secret-of-tests'])).shelf('grant')
    expect(await foreign.get(secret)).toBeUndefined()
  })

  it('opens what an older key of the ring sealed', async () => {
    const storage = memoryStorage()
    await vault(storage, ring).shelf('grant').set(secret, 'still here', 60)
    const rotated = keyRing([
      'a-new-operator-secret-of-the-tests',
      'operator-secret-of-these-tests-01',
    ])
    expect((await vault(storage, rotated).shelf('grant').get(secret))?.value).toBe('still here')
  })

  it('does not open a record that was moved to another name or another kind', async () => {
    const { storage, content } = openStorage()
    const shelf = vault(storage, ring).shelf<string>('grant')
    await shelf.set('mine', 'mine', 60)
    await shelf.set('yours', 'yours', 60)
    const [mine = '', yours = ''] = content.keys()
    content.set(mine, content.get(yours) ?? new Uint8Array())
    content.set(`code:${sha256('code\0yours')}`, content.get(yours) ?? new Uint8Array())
    expect(await shelf.get('mine')).toBeUndefined()
    expect(await vault(storage, ring).shelf('code').get('yours')).toBeUndefined()
    expect((await shelf.get('yours'))?.value).toBe('yours')
  })

  it('does not open a record that was tampered with', async () => {
    const { storage, content } = openStorage()
    const shelf = vault(storage, ring).shelf('grant')
    await shelf.set(secret, 1, 60)
    for (const [key, box] of content) content.set(key, box.with(30, (box[30] ?? 0) ^ 1))
    expect(await shelf.get(secret)).toBeUndefined()
    expect(await shelf.take(secret)).toBeUndefined()
  })

  it('keeps the kinds apart though the secret is the same', async () => {
    const { shelf } = vault(memoryStorage(), ring)
    await shelf('refresh').set(secret, 'refresh', 60)
    await shelf('refresh-answer').set(secret, 'answer', 60)
    expect((await shelf('refresh').get(secret))?.value).toBe('refresh')
    expect((await shelf('refresh-answer').get(secret))?.value).toBe('answer')
  })

  it('asks for whole seconds, at least one', async () => {
    const { storage, lifetimes } = openStorage()
    const shelf = vault(storage, ring).shelf('thing')
    for (const seconds of [-5, 0, 0.2, 1, 1.2, 60]) await shelf.set(secret, 1, seconds)
    await shelf.add('other', 1, 0.5)
    expect(lifetimes).toEqual([1, 1, 1, 1, 2, 60, 1])
  })
})

describe('getting a record again', () => {
  it('gives the same object while the bytes are the same', async () => {
    const shelf = vault(memoryStorage(), ring).shelf<object>('grant')
    await shelf.set(secret, { a: 1 }, 60)
    const known = await shelf.get(secret)
    if (!known) throw new Error('nothing read')
    expect(await shelf.getAgain(secret, known)).toBe(known)
  })

  it('gives the new value when it was written in the meantime, and nothing when it is gone', async () => {
    const shelf = vault(memoryStorage(), ring).shelf<object>('grant')
    await shelf.set(secret, { a: 1 }, 60)
    const known = await shelf.get(secret)
    if (!known) throw new Error('nothing read')
    await shelf.set(secret, { a: 2 }, 60)
    expect((await shelf.getAgain(secret, known))?.value).toEqual({ a: 2 })
    await shelf.take(secret)
    expect(await shelf.getAgain(secret, known)).toBeUndefined()
  })
})

describe('a store that fails', () => {
  const cause = new Error('ECONNREFUSED redis:6379')
  const rejecting = async () => Promise.reject(cause)
  const throwing = () => {
    throw cause
  }
  const record = { value: 1, version: '' }

  it.each([
    ['rejects', rejecting],
    ['throws', throwing],
  ])('is an outage, 503 with Retry-After, when it %s', async (_, fail) => {
    const shelf = vault({ get: fail, set: fail, add: fail, take: fail }, ring).shelf<number>(
      'grant',
    )
    const outcomes = [
      shelf.get(secret),
      shelf.getAgain(secret, record),
      shelf.has(secret),
      shelf.set(secret, 1, 60),
      shelf.add(secret, 1, 60),
      shelf.take(secret),
    ]
    for (const outcome of await Promise.allSettled(outcomes)) {
      const error = outcome.status === 'rejected' ? (outcome.reason as OAuthError) : undefined
      expect(error).toBeInstanceOf(OAuthError)
      expect(error).toMatchObject({
        code: 'temporarily_unavailable',
        status: 503,
        retryAfter: 5,
        cause,
      })
      expect(error?.toBody()).toEqual({
        error: 'temporarily_unavailable',
        error_description: 'The session store cannot be reached. Try again shortly.',
      })
    }
  })
})
