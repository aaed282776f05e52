import { describe, expect, it } from '@jest/globals'
import { aadstsCodesIn } from '../../lib/entra/aadsts-codes.js'

describe('aadstsCodesIn', () => {
  it.each([
    ['AADSTS65004: User declined to consent.\r\nTrace ID: 1', [65004]],
    ['AADSTS50105 and AADSTS7000114', [50105, 7000114]],
    ['AADSTS12, AADSTS, aadsts50105', []],
    ['', []],
  ])('finds the numbers in %j', (description, codes) => {
    expect(aadstsCodesIn(description)).toEqual(codes)
  })

  it('finds no more than eight', () => {
    expect(aadstsCodesIn('AADSTS50105 '.repeat(100))).toHaveLength(8)
  })
})
