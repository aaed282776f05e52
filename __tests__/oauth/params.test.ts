import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { longestParam, required, singleParams } from '../../lib/oauth/params.js'
import { refusal } from '../support/refusal.js'

describe('request parameters', () => {
  it('are read by name', () => {
    expect({ ...singleParams(new URLSearchParams('a=1&b=two+words&c=%C3%BC')) }).toEqual({
      a: '1',
      b: 'two words',
      c: 'ü',
    })
  })

  it('count as not sent when they are empty (RFC 6749 section 3.1)', () => {
    expect({ ...singleParams(new URLSearchParams('a=&b&c=1')) }).toEqual({ c: '1' })
  })

  it.each(['a=1&a=2', 'a=1&a=1', 'a=&a=', 'a=1&b=2&%61=3', 'a=1&a='])(
    'are refused when one is given more than once: %s',
    (query) => {
      expect(refusal(() => singleParams(new URLSearchParams(query)))).toEqual({
        error: 'invalid_request',
        error_description: "'a' is given more than once",
      })
    },
  )

  it('are refused, not cut, when one is too long', () => {
    const longest = 'x'.repeat(longestParam)
    expect(singleParams([['a', longest]]).a).toBe(longest)
    expect(refusal(() => singleParams([['a', `${longest}x`]]))).toEqual({
      error: 'invalid_request',
      error_description: "'a' is longer than 8192 characters",
    })
  })

  it('are refused when a name is absurdly long, and the answer does not repeat it', () => {
    const { error_description } = refusal(() => singleParams([['x'.repeat(longestParam + 1), '1']]))
    expect(error_description).toBe('a parameter has a name longer than 8192 characters')
  })

  it.each(['Your account is locked: call 555 0100', 'https://evil.example', 'x'.repeat(41), ''])(
    'are named in an error when that is a name, and no message of a stranger: %j',
    (name) => {
      const twice = [
        [name, '1'],
        [name, '2'],
      ] as const
      expect(refusal(() => singleParams(twice)).error_description).toBe(
        'a parameter is given more than once',
      )
      const long = [[name, 'x'.repeat(longestParam + 1)]] as const
      expect(refusal(() => singleParams(long)).error_description).toBe(
        'a parameter is longer than 8192 characters',
      )
    },
  )

  it.each(['\0', '\n', '\r', '\t', '\u001f', '\u007f'])(
    'are refused with a control character in value or name: %j',
    (control) => {
      const answer = {
        error: 'invalid_request',
        error_description: 'a parameter has control characters',
      }
      expect(refusal(() => singleParams([['a', `x${control}y`]]))).toEqual(answer)
      expect(refusal(() => singleParams([[`a${control}`, 'x']]))).toEqual(answer)
    },
  )

  it('may be named like anything an object has', () => {
    const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty']
    const params = singleParams(names.map((name) => [name, 'x'] as const))
    expect(names.map((name) => params[name])).toEqual(['x', 'x', 'x', 'x'])
    expect(names.map((name) => singleParams([])[name])).toEqual(Array(4).fill(undefined))
  })

  it('are the ones that were sent, no more and no less', () => {
    const text = fc.string({ maxLength: 20 })
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(text, text), { selector: ([name]) => name }), (sent) => {
        const params = singleParams(new URLSearchParams(sent))
        expect(Object.entries(params).sort()).toEqual(
          sent.filter(([, value]) => value !== '').sort(),
        )
      }),
    )
  })
})

describe('a required parameter', () => {
  it('is given back when it is there', () => {
    expect(required(singleParams([['code', 'c']]), 'code')).toBe('c')
  })

  it('is named when it is missing or empty', () => {
    for (const params of [singleParams([]), singleParams([['code', '']])]) {
      expect(refusal(() => required(params, 'code'))).toEqual({
        error: 'invalid_request',
        error_description: "'code' is missing",
      })
    }
  })
})
