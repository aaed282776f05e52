/** The option `session`: what it may be, and what an operator hears who got it wrong. */
import { describe, expect, it } from '@jest/globals'
import { RedisStore } from 'connect-redis'
import { MemoryStore } from 'express-session'
import { readSessionOptions } from '../../lib/account/session-options.js'

describe('the option session', () => {
  it('has limits by default: 15 minutes without use, and 8 hours in all', () => {
    const read = { store: undefined, idle: 900, absolute: 28_800 }
    expect(readSessionOptions()).toEqual(read)
    expect(readSessionOptions({})).toEqual(read)
  })

  it('takes limits and a store of express-session', () => {
    const store = new MemoryStore()
    expect(readSessionOptions({ idle: 60, absolute: 60, store })).toEqual({
      idle: 60,
      absolute: 60,
      store,
    })
    const redis = new RedisStore({ client: {} })
    expect(readSessionOptions({ store: redis }).store).toBe(redis)
  })

  const wrong: [string, unknown, string][] = [
    ['no object', 'redis', 'accountRoutes: session must be an object'],
    ['a list', [], 'accountRoutes: session must be an object'],
    [
      'a misspelt option',
      { idel: 60 },
      'accountRoutes: session has no option "idel": there are store, idle, absolute',
    ],
    [
      'an idle limit in words',
      { idle: '15m' },
      'accountRoutes: session.idle must be a number of seconds, at least 1',
    ],
    [
      'an idle limit of nothing',
      { idle: 0 },
      'accountRoutes: session.idle must be a number of seconds, at least 1',
    ],
    [
      'sessions without an end',
      { absolute: Number.POSITIVE_INFINITY },
      'accountRoutes: session.absolute must be a number of seconds, at least 1',
    ],
    [
      'an absolute limit below the idle one',
      { idle: 900, absolute: 600 },
      'accountRoutes: session.absolute must be at least session.idle (900 seconds)',
    ],
    [
      'a client in the place of a store',
      { store: { get() {}, set() {} } },
      'accountRoutes: session.store has no destroy(): give it a store of express-session, such as new RedisStore({ client }) of connect-redis',
    ],
  ]

  it.each(wrong)('refuses %s', (_what, given, message) => {
    expect(() => readSessionOptions(given as object)).toThrow(new TypeError(message))
  })
})
