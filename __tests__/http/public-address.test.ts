/** Which addresses are public: the registries of IANA, and every disguise of an IPv4 address. */
import { BlockList, isIPv4, isIPv6 } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { isPublicAddress } from '../../lib/http/public-address.js'

const specialV4: [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]
const special = new BlockList()
for (const [address, prefix] of specialV4) special.addSubnet(address, prefix, 'ipv4')
const unicast = new BlockList()
unicast.addSubnet('2000::', 3, 'ipv6')
const specialV6 = new BlockList()
for (const [address, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
] as const) {
  specialV6.addSubnet(address, prefix, 'ipv6')
}

const octet = fc.integer({ min: 0, max: 255 })
/** Anywhere, and often on or beside the edge of a special block. */
const v4 = fc.oneof(
  fc.tuple(octet, octet, octet, octet).map((parts) => parts.join('.')),
  fc
    .tuple(fc.constantFrom(...specialV4), fc.constantFrom(-1, 0, 1), fc.boolean())
    .map(([[address, prefix], shift, end]) => {
      const size = 2 ** (32 - prefix)
      return dotted(numberOf(address) + (end ? size - 1 : 0) + shift)
    }),
)
const group = fc.integer({ min: 0, max: 0xffff }).map((value) => value.toString(16))
const rest = (length: number) => fc.array(group, { minLength: length, maxLength: length })

describe('an IPv4 address', () => {
  it('is public unless it is of a special-purpose block (oracle: BlockList of node:net)', () => {
    fc.assert(
      fc.property(v4, (address) => {
        expect([address, isPublicAddress(address)]).toEqual([
          address,
          !special.check(address, 'ipv4'),
        ])
      }),
      { numRuns: 3000 },
    )
  })

  it.each([
    ['8.8.8.8', true],
    ['20.190.128.1', true],
    ['169.254.169.254', false],
    ['168.63.129.16', false],
    ['168.63.129.17', true],
    ['100.100.100.200', false],
    ['255.255.255.255', false],
    ['172.32.0.1', true],
    ['192.0.1.1', true],
  ])('%s: public %s', (address, expected) => {
    expect(isPublicAddress(address)).toBe(expected)
  })
})

/** Ways to write an IPv4 address as an IPv6 address, and whether such addresses are in use. */
const disguises: readonly (readonly [string, boolean, (a: string, b: string) => string])[] = [
  ['IPv4-mapped', true, (a, b) => `::ffff:${a}:${b}`],
  ['NAT64, well-known prefix', true, (a, b) => `64:ff9b::${a}:${b}`],
  ['6to4', true, (a, b) => `2002:${a}:${b}::1`],
  ['ISATAP', true, (a, b) => `2a00:1450:4001:80b:0:5efe:${a}:${b}`],
  ['ISATAP of a global address', true, (a, b) => `2a00:1450:4001:80b:200:5efe:${a}:${b}`],
  ['IPv4-compatible', false, (a, b) => `::${a}:${b}`],
  ['IPv4-translated', false, (a, b) => `::ffff:0:${a}:${b}`],
  ['NAT64, local-use prefix', false, (a, b) => `64:ff9b:1::${a}:${b}`],
  ['Teredo, as server', false, (a, b) => `2001:0:${a}:${b}::1`],
  ['Teredo, as client', false, (a, b) => `2001:0:808:808:0:0:${flipped(a)}:${flipped(b)}`],
]

describe('an IPv6 address', () => {
  it.each(disguises)('%s is no more public than the IPv4 address in it', (_name, used, write) => {
    fc.assert(
      fc.property(v4, (address) => {
        const disguised = write(...halves(address))
        expect(isIPv6(disguised)).toBe(true)
        const expected = used && !special.check(address, 'ipv4')
        expect([disguised, isPublicAddress(disguised)]).toEqual([disguised, expected])
      }),
      { numRuns: 500 },
    )
  })

  it('is read the same with its last part dotted', () => {
    fc.assert(
      fc.property(v4, (address) => {
        const expected = !special.check(address, 'ipv4')
        expect(isPublicAddress(`::ffff:${address}`)).toBe(expected)
        expect(isPublicAddress(`64:ff9b::${address}`)).toBe(expected)
        expect(isPublicAddress(`::${address}`)).toBe(false)
      }),
    )
  })

  it('is public as global unicast without special purpose (oracle: BlockList of node:net)', () => {
    const first = fc.constantFrom(
      '2000',
      '2001',
      '2a00',
      '2620',
      '3fff',
      '3ffe',
      'fd00',
      'fe80',
      '4000',
    )
    const second = fc.constantFrom('0', '2', '10', '1ff', '200', 'db8', '4f', 'fff', '1000')
    const shaped = fc.tuple(first, second, rest(6)).map(([a, b, more]) => [a, b, ...more].join(':'))
    const anything = rest(8).map((groups) => groups.join(':'))
    fc.assert(
      fc.property(fc.oneof(shaped, anything), (address) => {
        fc.pre(!/:(?:0|200):5efe:/.test(address) && !address.startsWith('2002:'))
        const expected = unicast.check(address, 'ipv6') && !specialV6.check(address, 'ipv6')
        expect([address, isPublicAddress(address)]).toEqual([address, expected])
      }),
      { numRuns: 3000 },
    )
  })

  it.each([
    ['2606:4700:4700::1111', true],
    ['2001:4860:4860::8888', true],
    ['::1', false],
    ['::', false],
    ['fe80::1', false],
    ['fe80::1%eth0', false],
    ['2606:4700:4700::1111%eth0', false],
    ['fd00:ec2::254', false],
    ['ff02::1', false],
    ['100::1', false],
    ['5f00::1', false],
    ['2001:db8::1', false],
    ['2001:2::1', false],
    ['::ffff:169.254.169.254', false],
    ['::ffff:8.8.8.8', true],
    ['64:ff9b::a9fe:a9fe', false],
    ['2002:a9fe:a9fe::', false],
    ['2002:7f00:1::', false],
  ])('%s: public %s', (address, expected) => {
    expect(isPublicAddress(address)).toBe(expected)
  })
})

it('text that is not an IP address is not public', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.constantFrom('', 'localhost', '8.8.8', '0x8080808', '[::1]', '08.8.8.8'),
      ),
      (text) => {
        fc.pre(!isIPv4(text) && !isIPv6(text))
        expect(isPublicAddress(text)).toBe(false)
      },
    ),
  )
})

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

function dotted(number: number): string {
  const bits = ((number % 2 ** 32) + 2 ** 32) % 2 ** 32
  return [24, 16, 8, 0].map((shift) => Math.floor(bits / 2 ** shift) % 256).join('.')
}

function halves(address: string): [string, string] {
  const bits = numberOf(address)
  return [Math.floor(bits / 65_536).toString(16), (bits % 65_536).toString(16)]
}

function flipped(half: string): string {
  return (0xffff - Number.parseInt(half, 16)).toString(16)
}
