/** Loopback: addresses and names that stand for this machine itself. */
import { isIPv4, isIPv6 } from 'node:net'

/**
 * Whether the host of a URL, as `URL.hostname` gives it, is loopback: `localhost`, its subdomains, or a loopback
 * address.
 *
 * @see RFC 8252 section 7.3, RFC 6761 section 6.3
 */
export function isLoopbackHost(hostname: string): boolean {
  const host = hostname.toLowerCase().replace(/\.$/, '')
  if (host === 'localhost' || host.endsWith('.localhost')) return true
  return isLoopbackAddress(host.replace(/^\[(.*)\]$/, '$1'))
}

/** Whether an IP address is loopback: 127.0.0.0/8 or ::1, however it is written. */
export function isLoopbackAddress(address: string): boolean {
  if (isIPv4(address)) return address.startsWith('127.')
  // An address with a zone (::1%lo) is of a link. The URL parser gives each other one its normal form.
  if (!isIPv6(address) || address.includes('%')) return false
  return new URL(`http://[${address}]`).hostname === '[::1]'
}
