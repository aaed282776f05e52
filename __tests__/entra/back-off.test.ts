import { describe, expect, it } from '@jest/globals'
import { backOff } from '../../lib/entra/back-off.js'
import { UpstreamOutage } from '../../lib/entra/errors.js'

describe('backOff', () => {
  it('waits for nothing before a failure and after a success', () => {
    const retry = backOff()
    expect([retry.failing, retry.wait(0)]).toEqual([false, undefined])
    retry.failed(0, new Error('any'))
    expect([retry.failing, retry.wait(0), retry.wait(999), retry.wait(1000)]).toEqual([
      true,
      1,
      0.001,
      undefined,
    ])
    retry.succeeded()
    expect([retry.failing, retry.wait(0)]).toEqual([false, undefined])
    retry.failed(0, undefined)
    expect(retry.wait(0)).toBe(1)
  })

  it('waits at least as long as the server asks', () => {
    const retry = backOff()
    retry.failed(0, new UpstreamOutage('down', { retryAfter: 12 }))
    expect(retry.wait(0)).toBe(12)
    retry.failed(0, new UpstreamOutage('down', { retryAfter: 0 }))
    expect(retry.wait(0)).toBe(2)
  })
})
