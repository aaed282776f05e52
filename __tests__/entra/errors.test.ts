import { describe, expect, it } from '@jest/globals'
import {
  EntraError,
  isAlreadyRedeemed,
  isMalformedRequest,
  UpstreamOutage,
} from '../../lib/entra/errors.js'

describe('EntraError', () => {
  it('may carry a cause and nothing else', () => {
    const cause = new Error('x')
    const error = new EntraError('app_only', 'm', { cause })
    expect(error).toMatchObject({
      name: 'EntraError',
      message: 'm',
      kind: 'app_only',
      codes: [],
      cause,
    })
    expect('cause' in new EntraError('app_only', 'm')).toBe(false)
    expect(new UpstreamOutage('m').kind).toBe('unavailable')
  })
})

describe('a failure that AADSTS numbers tell apart', () => {
  const failure = (...codes: number[]) => new EntraError('invalid_grant', 'm', { codes })

  it('is a code that was redeemed before (AADSTS54005)', () => {
    expect(isAlreadyRedeemed(failure(70008, 54005))).toBe(true)
    expect(isAlreadyRedeemed(failure(70008))).toBe(false)
    expect(isAlreadyRedeemed(failure())).toBe(false)
  })

  it('is a value that is not a code at all (AADSTS9002313)', () => {
    expect(isMalformedRequest(failure(9002313))).toBe(true)
    expect(isMalformedRequest(failure(54005))).toBe(false)
  })
})
