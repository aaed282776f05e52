/** Who sent a request, as far as sharing fairly goes. */
import type { IncomingMessage } from 'node:http'
import { isIPv6 } from 'node:net'

/**
 * The sender's address, as an opaque key: Express's `req.ip`, which heeds `trust proxy`, or that of the socket.
 * Of an IPv6 address the first 64 bits, for every customer has all of the others. Good for sharing places, not for
 * deciding who somebody is.
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
