import { describe, expect, it } from '@jest/globals'
import { flattenHeaders } from '../../lib/http/flatten-headers.js'

describe('flattenHeaders', () => {
  it('joins the values of a header that came more than once, and keeps the others', () => {
    expect(flattenHeaders({ a: '1', b: ['2', '3'], c: [], d: undefined })).toEqual({
      a: '1',
      b: '2, 3',
      c: '',
      d: undefined,
    })
  })
})
