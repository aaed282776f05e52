/** Rate limits of the OAuth endpoints and the account pages: low enough to stop a flood, and too high for anybody who logs in to notice. */
import type { Request, RequestHandler, Response } from 'express'
import { type AugmentedRequest, ipKeyGenerator, rateLimit, type Store } from 'express-rate-limit'

/** Requests each address may send in a minute. An office of thousands may share one address. */
export const defaultLimits = {
  register: 120,
  authorize: 300,
  consent: 300,
  token: 600,
  revoke: 300,
  'auth/interaction': 300,
  'auth/apps': 300,
  'auth/signout': 300,
} as const

/** An endpoint with a limit. */
export type LimitedEndpoint = keyof typeof defaultLimits

/** The limits, and where the counts are kept. */
export interface RateLimits {
  readonly perMinute?: Partial<Readonly<Record<LimitedEndpoint, number>>>
  /** Makes the store of one endpoint (default: memory, so each replica counts for itself). */
  readonly store?: (prefix: string) => Store
}

/** Milliseconds. */
const minute = 60_000

/**
 * A limiter for each endpoint, with its path. Requests from this machine itself are not counted (a developer, a
 * test). Requests that a reverse proxy on this machine passes on are counted for their sender.
 */
export function rateLimits(
  basePath: string,
  { perMinute, store }: RateLimits = {},
): readonly (readonly [path: string, limiter: RequestHandler])[] {
  const limits = Object.entries({ ...defaultLimits, ...perMinute })
  return limits.map(([endpoint, limit]) => [
    `${basePath}/${endpoint}`,
    rateLimit({
      windowMs: minute,
      limit,
      keyGenerator: addressOf,
      skip: (req) => req.method === 'OPTIONS' || isFromThisMachine(req),
      handler: (req, res) => refuse(res, (req as AugmentedRequest).rateLimit?.resetTime),
      // While Redis is away nobody is counted and nobody is refused, so that people can still log in.
      passOnStoreError: true,
      // The limiter would log an error for every request. The storage reports the outage.
      logger: { error: () => undefined, warn: console.warn },
      standardHeaders: false,
      legacyHeaders: false,
      ...(store && { store: store(`mcp-entra-rate:${endpoint}:`) }),
    }),
  ])
}

/** One IPv4 address, or one IPv6 network (/56), since its owner can use any address in it. */
function addressOf({ ip = '' }: Request): string {
  // Azure App Service appends the sender's port to an IPv4 address, and every connection has another port.
  return ipKeyGenerator(ip.replace(/^([\d.]+):\d+$/, '$1'))
}

/** Directly, or through a proxy on this machine: for any other sender the proxy names another address. */
function isFromThisMachine({ socket, headers }: Request): boolean {
  const forwarded = String(headers['x-forwarded-for'] ?? '').split(',')
  return [socket.remoteAddress ?? '', ...forwarded].every(isLoopbackAddress)
}

function isLoopbackAddress(address: string): boolean {
  return /^(?:(?:::ffff:)?127(?:\.\d+){3}|::1|)$/.test(address.trim())
}

/** An OAuth error that web pages of any origin can read. @see RFC 6585 section 4 */
function refuse(res: Response, resetTime = new Date(Date.now() + minute)): void {
  const seconds = Math.max(1, Math.ceil((resetTime.getTime() - Date.now()) / 1000))
  res
    .status(429)
    .set({
      'Retry-After': String(seconds),
      'Cache-Control': 'no-store',
      'Access-Control-Allow-Origin': '*',
      'Access-Control-Expose-Headers': 'Retry-After',
    })
    .json({
      error: 'temporarily_unavailable',
      error_description: 'Too many requests from this address. Try again later.',
    })
}
