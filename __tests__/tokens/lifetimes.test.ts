import { describe, expect, it } from '@jest/globals'
import { type Lifetimes, lifetimes } from '../../lib/tokens/lifetimes.js'

const names = [
  'accessToken',
  'grant',
  'grantMaxAge',
  'code',
  'login',
  'refreshGrace',
  'consent',
] as const

describe('lifetimes', () => {
  it('have defaults, in seconds', () => {
    expect(lifetimes()).toEqual({
      accessToken: 3600,
      grant: 7_776_000,
      grantMaxAge: Number.POSITIVE_INFINITY,
      code: 120,
      login: 600,
      refreshGrace: 60,
      consent: 7_776_000,
    })
  })

  it('are each as given, the others as before, and fixed from then on', () => {
    const all = lifetimes({ code: 30, refreshGrace: 0 })
    expect(all).toEqual({ ...lifetimes(), code: 30, refreshGrace: 0 })
    expect(Object.isFrozen(all)).toBe(true)
  })

  it('that are undefined are the defaults', () => {
    expect(lifetimes({ code: undefined } as unknown as Partial<Lifetimes>)).toEqual(lifetimes())
  })

  it.each(names)('refuse nonsense for %s and name it', (name) => {
    const least = name === 'refreshGrace' ? 0 : 1
    for (const nonsense of [-1, Number.NaN, '60', null, {}, least - 0.5]) {
      expect(() => lifetimes({ [name]: nonsense })).toThrow(
        new TypeError(
          `entraAuth: lifetimes.${name} must be a number of seconds, at least ${least}`,
        ),
      )
    }
    expect(lifetimes({ [name]: least })[name]).toBe(least)
  })

  it.each(names.filter((name) => name !== 'grantMaxAge'))('refuse to be endless: %s', (name) => {
    expect(() => lifetimes({ [name]: Number.POSITIVE_INFINITY })).toThrow(TypeError)
  })

  it('refuse a name that does not exist, even one every object has', () => {
    for (const name of ['acessToken', 'toString']) {
      expect(() => lifetimes({ [name]: 60 })).toThrow(
        new TypeError(`entraAuth: no such lifetime: "${name}"`),
      )
    }
  })
})
