/** Families of cookies: each tab has a cookie of its own, so parallel tabs do not overwrite one another. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parse, serialize } from 'cookie'
import type { Clock } from '../async/clock.js'
import { OAuthError } from '../oauth/errors.js'

/** One family of cookies: `__Host-{name}-{id}`. */
export interface CookieFamily {
  read(req: IncomingMessage, id: string): string | undefined
  /** Whether browsers would keep a cookie with a value of this length. */
  fits(id: string, length: number): boolean
  /** Sets a cookie, and deletes the oldest of the family when there are too many or they are too long together. */
  write(req: IncomingMessage, res: ServerResponse, id: string, value: string): void
  clear(res: ServerResponse, id: string): void
}

/** Options of {@link cookieFamily}. */
export interface CookieFamilyOptions {
  readonly name: string
  /** Whether we are on https. On http (loopback) neither the prefix `__Host-` nor `Secure` is possible. */
  readonly secure: boolean
  /** Seconds. */
  readonly maxAge: number
  /** How many there may be at once. */
  readonly most: number
  readonly now: Clock
}

/** Most bytes of a family. The usual limit for all headers of a request is 16 kB. */
const mostBytes = 8192
/** Bytes of a cookie, with its attributes, that every browser keeps. @see RFC 6265 section 6.1 */
const longestCookie = 4096
/** More bytes than the attributes ever take. */
const attributesLength = 200

/**
 * Makes a cookie family. Each value begins with the time it was set, so that the oldest is found without opening any.
 *
 * @see RFC 6265bis section 4.1.3 (`__Host-`)
 */
export function cookieFamily(options: CookieFamilyOptions): CookieFamily {
  const { secure, maxAge, most, now } = options
  const prefix = `${secure ? '__Host-' : ''}${options.name}-`
  const attributes = { path: '/', httpOnly: true, secure, sameSite: 'lax' } as const
  const append = (res: ServerResponse, name: string, value: string, seconds: number) =>
    res.appendHeader('Set-Cookie', serialize(name, value, { ...attributes, maxAge: seconds }))
  const stamp = () => `${now().toString(36)}.`
  const lengthOf = (id: string, length: number) =>
    prefix.length + id.length + stamp().length + length
  const fits = (id: string, length: number) =>
    lengthOf(id, length) <= longestCookie - attributesLength
  const family = (req: IncomingMessage) =>
    Object.entries(parse(req.headers.cookie ?? '')).filter(
      (entry): entry is [string, string] => entry[0].startsWith(prefix) && entry[1] !== undefined,
    )
  return Object.freeze({
    read(req: IncomingMessage, id: string) {
      const value = parse(req.headers.cookie ?? '')[prefix + id]
      return value?.slice(value.indexOf('.') + 1)
    },
    fits,
    write(req: IncomingMessage, res: ServerResponse, id: string, value: string) {
      const name = prefix + id
      if (!fits(id, value.length)) {
        throw new OAuthError(
          'invalid_request',
          'The request is too long to be carried in a cookie.',
        )
      }
      append(res, name, stamp() + value, maxAge)
      let bytes = lengthOf(id, value.length)
      const newestFirst = family(req)
        .filter(([other]) => other !== name)
        .sort(([, a], [, b]) => time(b) - time(a))
      newestFirst.forEach(([other, otherValue], index) => {
        bytes += other.length + otherValue.length
        if (index + 1 >= most || bytes > mostBytes) append(res, other, '', 0)
      })
    },
    clear(res: ServerResponse, id: string) {
      append(res, prefix + id, '', 0)
    },
  })
}

/** The time at the start of a value. Parsing ends at the dot. */
function time(value: string): number {
  const stamp = Number.parseInt(value, 36)
  return Number.isFinite(stamp) ? stamp : 0
}
