import { isIPv4, isIPv6 } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { isLoopbackAddress, isLoopbackHost } from '../../lib/oauth/loopback.js'

describe('a loopback host', () => {
  it.each([
    'localhost',
    'LocalHost',
    'localhost.',
    'app.localhost',
    '127.0.0.1',
    '127.255.1.2',
    '[::1]',
  ])('is %s', (host) => {
    expect(isLoopbackHost(host)).toBe(true)
  })

  it.each([
    '',
    'local',
    'localhost.com',
    'xlocalhost',
    '127.0.0.1.nip.io',
    '127.1',
    '1127.0.0.1',
    '[::2]',
    '0.0.0.0',
  ])('is not %j', (host) => {
    expect(isLoopbackHost(host)).toBe(false)
  })
})

describe('a loopback address', () => {
  it.each([
    ['127.0.0.1', true],
    ['127.255.255.254', true],
    ['::1', true],
    ['0:0:0:0:0:0:0:1', true],
    ['128.0.0.1', false],
    ['::ffff:127.0.0.1', false],
    ['::1%lo', false],
    ['::2', false],
  ])('%s: %s', (address, expected) => {
    expect(isLoopbackAddress(address)).toBe(expected)
  })

  it('is an address: any other text is not one', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string(), fc.constantFrom('', 'localhost', '127.1', '[::1]')),
        (text) => {
          fc.pre(!isIPv4(text) && !isIPv6(text))
          expect(isLoopbackAddress(text)).toBe(false)
        },
      ),
    )
  })

  it('is ::1 and no other address of IPv6', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const isOne = new URL(`http://[${address}]`).hostname === '[::1]'
        expect(isLoopbackAddress(address)).toBe(isOne)
        expect(isLoopbackHost(`[${address}]`)).toBe(isOne)
      }),
    )
  })
})
