/**
 * Whether an IP address is on the public internet. A server that fetches URLs from strangers must not give them access
 * to addresses that only the server can reach.
 *
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry
 */
import { isIP } from 'node:net'

/** The first address of a block, and the length of its prefix in bits. */
type Block = readonly [address: bigint, prefix: number]

/** Blocks for special purposes, whether or not the registry calls them reachable: none of them serves documents. */
const specialV4: readonly Block[] = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private use
  '100.64.0.0/10', // carrier-grade NAT
  '127.0.0.0/8', // loopback
  '168.63.129.16/32', // Azure's own: the agent's WireServer and the platform's DNS
  '169.254.0.0/16', // link-local: the metadata services of the clouds
  '172.16.0.0/12', // private use
  '192.0.0.0/24', // IETF protocol assignments
  '192.0.2.0/24', // documentation
  '192.31.196.0/24', // AS112
  '192.52.193.0/24', // AMT
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private use
  '192.175.48.0/24', // AS112
  '198.18.0.0/15', // benchmarking
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
].map(block)

/** The part of IPv6 that is assigned as global unicast. */
const globalUnicast = block('2000::/3')

const specialV6: readonly Block[] = [
  '2001::/23', // IETF protocol assignments: Teredo, benchmarking, ORCHID and others
  '2001:db8::/32', // documentation
  '2620:4f:8000::/48', // AS112
  '3fff::/20', // documentation
].map(block)

/**
 * Blocks whose addresses stand for an IPv4 address, which begins at the bit given. Teredo, IPv4-compatible,
 * IPv4-translated and local-use NAT64 addresses are outside of {@link globalUnicast} or in
 * {@link specialV6}: they are refused whatever is inside.
 */
const translations: readonly (readonly [Block, number])[] = [
  [block('::ffff:0:0/96'), 96], // IPv4-mapped
  [block('64:ff9b::/96'), 96], // NAT64, well-known prefix
  [block('2002::/16'), 16], // 6to4
]

/** Interface identifiers of ISATAP, followed by an IPv4 address. Any network can use them. */
const isatap: readonly bigint[] = [0x0000_5efen, 0x0200_5efen]

/**
 * Whether the address is public: global unicast, without a special purpose, and not a form of an IPv4 address that is
 * itself not public. False for text that is not an IP address.
 */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return isPublicV4(v4Bits(address))
  // Only addresses of a link have a zone (fe80::1%eth0).
  return family === 6 && !address.includes('%') && isPublicV6(v6Bits(address))
}

function isPublicV4(bits: bigint): boolean {
  return !specialV4.some((special) => contains(special, bits, 32))
}

function isPublicV6(bits: bigint): boolean {
  const translation = translations.find(([translated]) => contains(translated, bits, 128))
  if (translation) return isPublicV4(v4At(bits, translation[1]))
  if (!contains(globalUnicast, bits, 128)) return false
  if (specialV6.some((special) => contains(special, bits, 128))) return false
  return !isatap.includes(v4At(bits, 64)) || isPublicV4(v4At(bits, 96))
}

function v4At(bits: bigint, start: number): bigint {
  return (bits >> BigInt(96 - start)) & 0xffff_ffffn
}

function contains([address, prefix]: Block, bits: bigint, width: number): boolean {
  const shift = BigInt(width - prefix)
  return bits >> shift === address >> shift
}

function block(text: string): Block {
  const [address = '', prefix] = text.split('/')
  return [address.includes(':') ? v6Bits(address) : v4Bits(address), Number(prefix)]
}

function v4Bits(address: string): bigint {
  return address.split('.').reduce((bits, part) => (bits << 8n) | BigInt(part), 0n)
}

function v6Bits(address: string): bigint {
  const [left = '', right] = dottedTail(address).split('::')
  const head = groups(left)
  const tail = groups(right ?? '')
  const zeros = Array<string>(8 - head.length - tail.length).fill('0')
  return [...head, ...zeros, ...tail].reduce(
    (bits, group) => (bits << 16n) | BigInt(`0x${group}`),
    0n,
  )
}

function groups(text: string): string[] {
  return text === '' ? [] : text.split(':')
}

/** `::ffff:10.0.0.1` as `::ffff:a00:1`. */
function dottedTail(address: string): string {
  return address.replace(/[\d.]+\.[\d.]+$/, (dotted) => {
    const bits = v4Bits(dotted)
    return `${(bits >> 16n).toString(16)}:${(bits & 0xffffn).toString(16)}`
  })
}
