/** Who sent a request, for sharing resources fairly. */
import type { IncomingMessage } from 'node:http'
import { isIPv6 } from 'node:net'

/**
 * The sender's address, as an opaque key: Express's `req.ip`, which respects `trust proxy`, or that of the socket. Only
 * the first 64 bits of an IPv6 address count, because one customer has all the others. This is good for sharing
 * resources fairly, not for identifying anybody.
 *
 * @see RFC 6177 section 2
 */
export function senderOf(req: IncomingMessage & { readonly ip?: unknown }): string {
  const address = typeof req.ip === 'string' ? req.ip : (req.socket.remoteAddress ?? '')
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address
  return groupsOf(address).slice(0, 4).join(':')
}

function groupsOf(address: string): readonly string[] {
  const [head = [], tail = []] = address
    .toLowerCase()
    .split('::')
    .map((part) => (part === '' ? [] : part.split(':')))
  return [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail]
}
