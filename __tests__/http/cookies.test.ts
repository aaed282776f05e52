import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { CookieJar } from 'tough-cookie'
import { type CookieFamilyOptions, cookieFamily } from '../../lib/http/cookies.js'
import { send, serve } from '../support/http-server.js'
import { refusal } from '../support/refusal.js'

const start = 1_800_000_000_000
const stamp = start.toString(36)

function setup(options: Partial<CookieFamilyOptions> = {}) {
  const clock = { now: start }
  const family = cookieFamily({
    name: 'login',
    secure: true,
    maxAge: 600,
    most: 10,
    now: () => clock.now,
    ...options,
  })
  return { clock, family }
}

function requestWith(cookie?: string): IncomingMessage {
  const req = new IncomingMessage(new Socket())
  if (cookie !== undefined) req.headers.cookie = cookie
  return req
}

/** What a response would set, as a list. */
function setCookies(act: (res: ServerResponse) => void): string[] {
  const res = new ServerResponse(requestWith())
  act(res)
  const set = res.getHeader('Set-Cookie') ?? []
  return Array.isArray(set) ? set : [String(set)]
}

/** A browser: a jar that keeps what it is told to, on one https site. */
function browser() {
  const jar = new CookieJar(undefined, { prefixSecurity: 'strict' })
  const url = 'https://mcp.contoso.com/auth'
  return {
    request: () => requestWith(jar.getCookieStringSync(url)),
    accept: (set: readonly string[]) => {
      for (const cookie of set) jar.setCookieSync(cookie, url)
    },
    names: () => jar.getCookiesSync(url).map(({ key }) => key),
    bytes: () => jar.getCookieStringSync(url).length,
  }
}

describe('a cookie of a family', () => {
  it('over https is host-bound, out of reach of scripts, and lax (RFC 6265bis section 4.1.3)', () => {
    const { family } = setup()
    expect(setCookies((res) => family.write(requestWith(), res, 'id1', 'v.a-l_ue'))).toEqual([
      `__Host-login-id1=${stamp}.v.a-l_ue; Max-Age=600; Path=/; HttpOnly; Secure; SameSite=Lax`,
    ])
    expect(setCookies((res) => family.clear(res, 'id1'))).toEqual([
      '__Host-login-id1=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax',
    ])
  })

  it('over http has the plain name and no Secure', () => {
    const { family } = setup({ secure: false })
    expect(setCookies((res) => family.write(requestWith(), res, 'id1', 'value'))).toEqual([
      `login-id1=${stamp}.value; Max-Age=600; Path=/; HttpOnly; SameSite=Lax`,
    ])
    expect(setCookies((res) => family.clear(res, 'id1'))).toEqual([
      'login-id1=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax',
    ])
  })

  it('comes back as it was written, dots included', () => {
    const { family } = setup()
    const { request, accept } = browser()
    const value = fc.string({
      unit: fc.constantFrom(...'ABCXYZabcxyz0189-_.'),
      minLength: 1,
      maxLength: 200,
    })
    fc.assert(
      fc.property(value, (text) => {
        accept(setCookies((res) => family.write(request(), res, 'id', text)))
        expect(family.read(request(), 'id')).toBe(text)
      }),
    )
  })

  it('is not there before it was written, after it was cleared, and under another id', () => {
    const { family } = setup()
    const { request, accept } = browser()
    expect(family.read(requestWith(), 'id1')).toBeUndefined()
    expect(family.read(request(), 'id1')).toBeUndefined()
    accept(setCookies((res) => family.write(request(), res, 'id1', 'value')))
    expect(family.read(request(), 'id2')).toBeUndefined()
    accept(setCookies((res) => family.clear(res, 'id1')))
    expect(family.read(request(), 'id1')).toBeUndefined()
  })

  it('under a name without the prefix is not read over https: another host could have set it', () => {
    expect(setup().family.read(requestWith('login-id1=x.planted'), 'id1')).toBeUndefined()
  })

  it('that somebody else made up is handed out as it is, for its reader to refuse', () => {
    expect(setup().family.read(requestWith('__Host-login-id1=nodot'), 'id1')).toBe('nodot')
  })

  it('goes over the wire beside the cookies of others', async () => {
    const { family } = setup({ secure: false })
    const answer = await serve(
      (req, res) => {
        res.setHeader('Set-Cookie', 'theirs=1')
        family.write(req, res, 'b', 'two')
        res.end(family.read(req, 'a'))
      },
      (url) => send(url, { headers: { cookie: 'x=1; login-a=1.one; y=2' } }),
    )
    expect(answer.text).toBe('one')
    expect(answer.headers['set-cookie']).toEqual([
      'theirs=1',
      `login-b=${stamp}.two; Max-Age=600; Path=/; HttpOnly; SameSite=Lax`,
    ])
  })

  it('that is too long for a browser is refused, not cut', () => {
    const { family } = setup()
    const longest = 'x'.repeat(4096 - 200 - '__Host-login-id'.length - stamp.length - 1)
    expect(setCookies((res) => family.write(requestWith(), res, 'id', longest))).toHaveLength(1)
    const { length } = longest
    expect([family.fits('id', length), family.fits('id', length + 1)]).toEqual([true, false])
    expect(
      refusal(() => setCookies((res) => family.write(requestWith(), res, 'id', `${longest}x`))),
    ).toEqual({
      error: 'invalid_request',
      error_description: 'The request is too long to be carried in a cookie.',
    })
  })
})

describe('a cookie family', () => {
  it('keeps parallel tabs apart', () => {
    const { family, clock } = setup()
    const { request, accept } = browser()
    for (let tab = 0; tab < 10; tab += 1) {
      clock.now += 1000
      accept(setCookies((res) => family.write(request(), res, `tab${tab}`, `value${tab}`)))
    }
    for (let tab = 0; tab < 10; tab += 1) {
      expect(family.read(request(), `tab${tab}`)).toBe(`value${tab}`)
    }
  })

  it('keeps parallel tabs apart though their requests crossed', () => {
    const { family } = setup()
    const { request, accept } = browser()
    const before = request()
    const answers = ['a', 'b', 'c'].map((id) =>
      setCookies((res) => family.write(before, res, id, id)),
    )
    for (const answer of answers.reverse()) accept(answer)
    expect(['a', 'b', 'c'].map((id) => family.read(request(), id))).toEqual(['a', 'b', 'c'])
  })

  it('writes one again in its place and drops none for it', () => {
    const { family, clock } = setup({ most: 2 })
    const { request, accept } = browser()
    for (const [id, value] of [
      ['a', '1'],
      ['b', '1'],
      ['a', '2'],
    ] as const) {
      clock.now += 1000
      accept(setCookies((res) => family.write(request(), res, id, value)))
    }
    expect(['a', 'b'].map((id) => family.read(request(), id))).toEqual(['2', '1'])
  })

  it('lets the oldest go when there are too many, in whatever order the browser sends them', () => {
    const { family } = setup({ most: 3 })
    const age = (seconds: number) => (start - seconds * 1000).toString(36)
    const cookies = [1, 4, 2, 3].map((old) => `__Host-login-age${old}=${age(old)}.x`).join('; ')
    const dropped = setCookies((res) => family.write(requestWith(cookies), res, 'new', 'x'))
      .filter((cookie) => cookie.includes('Max-Age=0;'))
      .map((cookie) => cookie.split('=')[0])
    expect(dropped).toEqual(['__Host-login-age3', '__Host-login-age4'])
  })

  it('takes a cookie without a time for the oldest', () => {
    const { family } = setup({ most: 2 })
    const cookies = `__Host-login-odd=!.x; __Host-login-known=${stamp}.x`
    const dropped = setCookies((res) => family.write(requestWith(cookies), res, 'new', 'x')).slice(
      1,
    )
    expect(dropped).toEqual([
      '__Host-login-odd=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax',
    ])
  })

  it('never touches a cookie of another family or of the application', () => {
    const { family } = setup({ most: 1 })
    const others = 'session=1; __Host-consent-a=1.x; login-a=1.x; __Host-loginx=1.x'
    expect(setCookies((res) => family.write(requestWith(others), res, 'new', 'x'))).toHaveLength(1)
  })

  it('has at most ten in a browser, and at most 8 kB with them, always the newest', () => {
    const writes = fc.array(fc.tuple(fc.nat(15), fc.integer({ min: 1, max: 3500 })), {
      maxLength: 25,
    })
    fc.assert(
      fc.property(writes, (sizes) => {
        const { family, clock } = setup()
        const { request, accept, names, bytes } = browser()
        const order: string[] = []
        for (const [tab, size] of sizes) {
          clock.now += 1000
          const id = `tab${tab}`
          accept(setCookies((res) => family.write(request(), res, id, 'x'.repeat(size))))
          if (order.includes(id)) order.splice(order.indexOf(id), 1)
          order.push(id)
          const kept = names()
          expect(kept.length).toBeLessThanOrEqual(10)
          // The header has '=' and '; ' besides the names and values.
          expect(bytes() - kept.length * 3 + 2).toBeLessThanOrEqual(8192)
          const newest = order.slice(-kept.length).map((name) => `__Host-login-${name}`)
          expect([...kept].sort()).toEqual(newest.sort())
        }
      }),
      { numRuns: 50 },
    )
  })
})
