/** Rate limits of the OAuth endpoints: they end floods, and nobody who is logging in ever meets them. */
import type { Request, RequestHandler, Response } from 'express'
import { type AugmentedRequest, ipKeyGenerator, rateLimit, type Store } from 'express-rate-limit'

/** Requests each address may send in a minute. An office of thousands may share one address. */
export const defaultLimits = {
  register: 120,
  authorize: 300,
  consent: 300,
  token: 600,
  revoke: 300,
} as const

/** What is limited. */
export type LimitedEndpoint = keyof typeof defaultLimits

/** What the limits are, and where the counts are kept. */
export interface RateLimits {
  readonly perMinute?: Partial<Readonly<Record<LimitedEndpoint, number>>>
  /** Makes the store of one endpoint (default: memory, so that each replica counts for itself). */
  readonly store?: (prefix: string) => Store
}

/** Milliseconds. */
const minute = 60_000

/**
 * A limiter for each endpoint, with the path it belongs to. Requests of this very machine are not counted:
 * neither a developer's nor a test's. Those a reverse proxy on this machine passes on are, by their sender.
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
      skip: (req) => req.method === 'OPTIONS' || isOwn(req),
      handler: (req, res) => refuse(res, (req as AugmentedRequest).rateLimit?.resetTime),
      // Logging in does not end with Redis's first hiccup: without counts nobody is refused.
      passOnStoreError: true,
      // It would write a line for each of them; the storage is the one to report an outage.
      logger: { error: () => undefined, warn: console.warn },
      standardHeaders: false,
      legacyHeaders: false,
      ...(store && { store: store(`mcp-entra-rate:${endpoint}:`) }),
    }),
  ])
}

/** One IPv4 address, or one IPv6 network: whoever has one address of a /56 has them all. */
function addressOf({ ip = '' }: Request): string {
  // Azure App Service writes the sender's port behind an IPv4 address, another one for each connection.
  return ipKeyGenerator(ip.replace(/^([\d.]+):\d+$/, '$1'))
}

/** From this machine, directly or through a proxy of it: a proxy names everybody else by their address. */
function isOwn({ socket, headers }: Request): boolean {
  const forwarded = String(headers['x-forwarded-for'] ?? '').split(',')
  return [socket.remoteAddress ?? '', ...forwarded].every(isLoopbackAddress)
}

function isLoopbackAddress(address: string): boolean {
  return /^(?:(?:::ffff:)?127(?:\.\d+){3}|::1|)$/.test(address.trim())
}

/** An OAuth error that programs of any origin can read. @see RFC 6585 section 4 */
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
