import { describe, expect, it } from '@jest/globals'
import { jsonObject } from '../../lib/entra/json-object.js'

describe('jsonObject', () => {
  it('returns the members of an object', () => {
    expect(jsonObject('{"a":1,"b":{"c":[]}}')).toEqual({ a: 1, b: { c: [] } })
  })

  it.each(['', '<html>', '{"a":', 'null', '1', 'true', '"text"'])(
    'has no members for %j',
    (text) => {
      expect(Object.keys(jsonObject(text))).toEqual([])
    },
  )
})
