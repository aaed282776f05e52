/** Redirect URIs: which may be registered, which match a registration, and how parameters are added. */

import { OAuthError } from './errors.js'
import { isLoopbackHost } from './loopback.js'
import { hasUserinfo } from './userinfo.js'

/** @see OpenID Connect Dynamic Client Registration 1.0, section 2 */
export type ApplicationType = 'native' | 'web'

/**
 * Private-use schemes of well-known clients, which are always allowed. An application adds others with the
 * `customSchemes` option.
 */
export const knownCustomSchemes: readonly string[] = [
  'claude:',
  'com.raycast:',
  'cursor:',
  'raycast:',
  'vscode-insiders:',
  'vscode:',
  'windsurf:',
]

const longestUri = 2000
/** Most characters of a scheme that a message repeats. */
const longestScheme = 64
/** How often a path is decoded in search of dot segments. Honest paths are encoded twice at most. */
const mostDecodings = 8

/**
 * Checks a redirect URI that a client wants to register.
 *
 * @throws OAuthError `invalid_redirect_uri` that says what is wrong
 * @see RFC 6749 section 3.1.2, RFC 8252 section 7, RFC 9700 section 2.1, MCP SEP-837
 */
export function checkRedirectUri(
  uri: string,
  applicationType: ApplicationType,
  customSchemes: readonly string[],
): void {
  if (uri.length > longestUri) throw refusal(`is longer than ${longestUri} characters`)
  const url = parse(uri)
  if (uri.includes('#')) throw refusal('has a fragment')
  if (hasUserinfo(url) || hasAtSign(uri)) throw refusal('has userinfo')
  if (/^https?:(?!\/\/[^/])/i.test(uri)) throw refusal('has no host')
  if (hasDotSegment(uri)) throw refusal('has a dot segment in its path')
  for (const name of ['code', 'error', 'iss', 'state']) {
    if (url.searchParams.has(name))
      throw refusal(`has the response parameter '${name}' in its query`)
  }
  checkScheme(url, applicationType, customSchemes)
}

function checkScheme(url: URL, type: ApplicationType, customSchemes: readonly string[]): void {
  const loopback = isLoopbackHost(url.hostname)
  if (url.protocol === 'https:') {
    if (type === 'web' && loopback) throw refusal('of a web client is on a loopback host')
    return
  }
  if (type === 'web') throw refusal('of a web client is not https')
  if (url.protocol === 'http:') {
    if (!loopback) throw refusal('is http and not on a loopback host')
    return
  }
  if (!customSchemes.includes(url.protocol)) {
    const scheme = url.protocol.slice(0, -1).slice(0, longestScheme)
    throw refusal(`has the scheme '${scheme}', which this server does not allow`)
  }
}

/**
 * Whether a requested redirect URI is one of the registered ones: equal character by character, except
 * for the port of an http URI on a loopback host.
 *
 * @see RFC 9700 section 2.1 (exact matching), RFC 8252 section 7.3 (any port on loopback)
 */
export function matchesRegistration(requested: string, registered: readonly string[]): boolean {
  if (registered.includes(requested)) return true
  const portless = withoutLoopbackPort(requested)
  return portless !== undefined && registered.some((uri) => withoutLoopbackPort(uri) === portless)
}

/** The text of an http loopback URI without its port. Nothing else about it is normalised. */
function withoutLoopbackPort(uri: string): string | undefined {
  const parts = /^(http:\/\/(?:localhost|127\.0\.0\.1|\[::1\]))(?::(\d{1,5}))?($|[/?].*$)/i.exec(
    uri,
  )
  if (!parts || Number(parts[2] ?? 0) > 65535) return undefined
  return `${parts[1]}${parts[3]}`
}

/**
 * Whether a redirect URI leads to the user's own device, where no TLS certificate shows who receives the answer: to
 * loopback, or to the application that has registered its scheme.
 *
 * @see RFC 8252 sections 7.1 and 7.3
 */
export function staysOnDevice(uri: string): boolean {
  const { protocol, hostname } = parse(uri)
  return (protocol !== 'http:' && protocol !== 'https:') || isLoopbackHost(hostname)
}

/**
 * Who receives what is sent to a redirect URI: its origin, the device for a loopback host on whatever port, or the
 * application that has registered its scheme.
 *
 * @see RFC 6454 section 4
 */
export function redirectOrigin(uri: string): string {
  const { protocol, hostname, origin } = parse(uri)
  if (protocol !== 'http:' && protocol !== 'https:') return protocol
  return isLoopbackHost(hostname) ? `${protocol}//${hostname}` : origin
}

/**
 * Adds response parameters to a redirect URI, and leaves every byte of it as the client registered it.
 *
 * @see RFC 6749 section 4.1.2
 */
export function withParams(
  uri: string,
  params: Readonly<Record<string, string | undefined>>,
): string {
  const added = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined) added.append(name, value)
  }
  // Only the first question mark begins the query: a second one is part of it.
  const query = uri.indexOf('?')
  const separator = query < 0 ? '?' : query === uri.length - 1 || uri.endsWith('&') ? '' : '&'
  return `${uri}${separator}${added}`
}

function parse(uri: string): URL {
  // RFC 3986: ASCII without blanks or control characters, which the URL parser would silently remove.
  if (!/^[\x21-\x7e]+$/.test(uri) || uri.includes('\\')) throw refusal('has characters no URI has')
  if (!URL.canParse(uri)) throw refusal('is not an absolute URI')
  return new URL(uri)
}

/** Also with nothing in front of it, which a parsed URL does not show. */
function hasAtSign(uri: string): boolean {
  const authority = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(uri)?.[1]
  return authority?.includes('@') ?? false
}

/**
 * Whether there are dot segments in the path, plain or percent-encoded. So that `%252525...` is not decoded once per
 * character, the answer is yes for a path that is still encoded after {@link mostDecodings} passes.
 */
export function hasDotSegment(uri: string): boolean {
  let path = uri.replace(/[?#].*$/s, '')
  for (let count = 0; ; count += 1) {
    const decoded = path.replace(/%([0-7][0-9a-f])/gi, (_, hex) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    if (decoded === path) break
    if (count === mostDecodings) return true
    path = decoded
  }
  return path.split(/[/\\]/).some((segment) => segment === '.' || segment === '..')
}

function refusal(why: string): OAuthError {
  return new OAuthError('invalid_redirect_uri', `The redirect URI ${why}.`)
}
