/** Cookies of one name family, each with a life of its own: parallel tabs never overwrite one another. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { parse, serialize } from 'cookie'
import { OAuthError } from '../oauth/errors.js'

/** One family of cookies: `__Host-{name}-{id}`. */
export interface CookieFamily {
  read(req: IncomingMessage, id: string): string | undefined
  /** Whether browsers would keep it. Lengths alone count: the value may be any of that length. */
  fits(id: string, value: string): boolean
  /** Sets one, and lets the oldest of the family go when there are too many or they are too long. */
  write(req: IncomingMessage, res: ServerResponse, id: string, value: string): void
  clear(res: ServerResponse, id: string): void
}

/** Options of {@link cookieFamily}. */
export interface CookieFamilyOptions {
  readonly name: string
  /** https. Without it (http on loopback) the `__Host-` prefix and `Secure` must go. */
  readonly secure: boolean
  /** Seconds. */
  readonly maxAge: number
  /** How many at once. */
  readonly most: number
  readonly now: () => number
}

/** Bytes of a family together: the usual limit of a whole request header is 16 kB. */
const mostBytes = 8192
/** What browsers keep of one cookie at least. @see RFC 6265 section 6.1 */
const longestCookie = 4096
/** More than the attributes ever take: they count, too. */
const attributesLength = 200

/**
 * A cookie family. The value carries its time in front, so that the oldest is known without opening it.
 *
 * @see RFC 6265bis section 4.1.3 (`__Host-`)
 */
export function cookieFamily(options: CookieFamilyOptions): CookieFamily {
  const { secure, maxAge, most, now } = options
  const prefix = `${secure ? '__Host-' : ''}${options.name}-`
  const attributes = { path: '/', httpOnly: true, secure, sameSite: 'lax' } as const
  const append = (res: ServerResponse, name: string, value: string, seconds: number) =>
    res.appendHeader('Set-Cookie', serialize(name, value, { ...attributes, maxAge: seconds }))
  const dated = (value: string) => `${now().toString(36)}.${value}`
  const lengthOf = (id: string, value: string) => prefix.length + id.length + dated(value).length
  const fits = (id: string, value: string) =>
    lengthOf(id, value) <= longestCookie - attributesLength
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
      if (!fits(id, value)) {
        throw new OAuthError(
          'invalid_request',
          'The request is too long to be carried in a cookie.',
        )
      }
      append(res, name, dated(value), maxAge)
      let bytes = lengthOf(id, value)
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

/** The time in front of a value: parsing ends at the dot. */
function time(value: string): number {
  const stamp = Number.parseInt(value, 36)
  return Number.isFinite(stamp) ? stamp : 0
}
