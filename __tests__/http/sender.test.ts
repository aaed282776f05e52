/** The key by which senders share. */
import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import { senderOf } from '../../lib/http/sender.js'

const request = (remoteAddress: string | undefined, ip?: unknown) =>
  ({ socket: { remoteAddress }, ip }) as IncomingMessage & { ip?: unknown }

describe('the sender of a request', () => {
  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
    ['2001:DB8:1:2::6', '2001:db8:1:2'],
    ['2001:db8::6', '2001:db8:0:0'],
    ['::1', '0:0:0:0'],
    ['fe80::1%eth0', 'fe80:0:0:0'],
    [undefined, ''],
  ])('at %s is %j', (address, sender) => {
    expect(senderOf(request(address))).toBe(sender)
  })

  it('is the one that Express names, which knows what proxies are trusted', () => {
    expect(senderOf(request('10.0.0.1', '2001:db8:1:2::6'))).toBe('2001:db8:1:2')
    expect(senderOf(request('10.0.0.1', undefined))).toBe('10.0.0.1')
    expect(senderOf(request('10.0.0.1', ['1.2.3.4']))).toBe('10.0.0.1')
  })
})
