/** Documents of strangers and how long they are kept, on a clock of the test. */
import { beforeEach, describe, expect, it } from '@jest/globals'
import { type CachedDocuments, cachedDocuments } from '../../lib/http/cached-documents.js'
import { FetchFailure, type SafeRequest, type SafeResponse } from '../../lib/http/safe-fetch.js'
import { held } from '../support/client-documents.js'

const url = 'https://client.example/app'
const hour = 3600

let now: number
let answers: (Partial<SafeResponse> | Error)[]
let asked: { url: string; headers: SafeRequest['headers'] }[]
let documents: CachedDocuments<unknown>
let stale: string[]
/** What the clock for ages is ahead of the time of day. */
let skew: number

function make(maxKeptBytes = 1024 * 1024): CachedDocuments<unknown> {
  return cachedDocuments({
    fetch: async (target, request) => {
      asked.push({ url: target.href, headers: request.headers })
      const answer = answers.shift() ?? json({ version: asked.length })
      if (answer instanceof Error) throw answer
      return { status: 200, headers: {}, body: Buffer.from(''), ...answer }
    },
    read: (value) => {
      if (Object(value).wrong) throw new Error('wrong')
      return value
    },
    maxBytes: 1000,
    timeout: 5,
    maxKeptBytes,
    sizeOf: () => 100,
    onStale: (url, { message }) => stale.push(`${url}: ${message}`),
    now: () => now,
    monotonic: () => now + skew,
  })
}

function json(value: unknown, headers: SafeResponse['headers'] = {}): Partial<SafeResponse> {
  return { headers, body: Buffer.from(JSON.stringify(value)) }
}

/** What is at hand so many seconds later. */
async function fetchedIn(seconds: number): Promise<unknown> {
  now += seconds * 1000
  return documents.get(url)
}

async function messageOf(attempt: Promise<unknown>): Promise<string> {
  return attempt.then(
    () => 'no failure',
    (error: Error) => error.message,
  )
}

beforeEach(() => {
  now = Date.UTC(2026, 0, 1)
  answers = []
  asked = []
  stale = []
  skew = 0
  documents = make()
})

const one = { version: 1 }
const two = { version: 2 }

describe('a document', () => {
  it.each([
    ['for an hour when nothing is said', {}, hour],
    ['for its max-age', { 'cache-control': 'public, max-age=600' }, 600],
    ['for its max-age in quotes and capitals', { 'cache-control': 'Max-Age="600"' }, 600],
    ['for what of its max-age is left', { 'cache-control': 'max-age=600', age: '200' }, 400],
    ['for a minute at least', { 'cache-control': 'max-age=0' }, 60],
    ['for a day at most', { 'cache-control': 'max-age=31536000' }, 24 * hour],
    ['until it expires', { expires: 'Thu, 01 Jan 2026 00:10:00 GMT' }, 600],
    [
      'until it expires by the clock of its server',
      { expires: 'Thu, 01 Jan 2030 00:10:00 GMT', date: 'Thu, 01 Jan 2030 00:00:00 GMT' },
      600,
    ],
    ['for a minute when its expiry is no date', { expires: '0' }, 60],
    ['by max-age rather than Expires', { 'cache-control': 'max-age=600', expires: '0' }, 600],
    ['for an hour when max-age is no number', { 'cache-control': 'max-age=-5' }, hour],
  ])('is kept %s', async (_what, headers, seconds) => {
    answers = [json(one, headers)]
    expect(await fetchedIn(0)).toEqual(one)
    expect(await fetchedIn(seconds - 1)).toEqual(one)
    expect(asked).toHaveLength(1)
    expect(await fetchedIn(1)).toEqual(two)
    expect(asked).toHaveLength(2)
  })

  it('with no-store is not kept at all', async () => {
    answers = [json(one, { 'cache-control': 'no-store', etag: '"1"' })]
    await fetchedIn(0)
    expect(await fetchedIn(0)).toEqual(two)
    expect(asked[1]?.headers).toEqual({})
  })

  it('with no-cache is asked for each time, and not sent again when it is the same', async () => {
    const headers = { 'cache-control': 'no-cache', etag: '"1"' }
    answers = [json(one, headers), { status: 304 }, { status: 304 }]
    for (let count = 0; count < 3; count += 1) expect(await fetchedIn(1)).toEqual(one)
    expect(asked.map(({ headers }) => headers)).toEqual([
      {},
      { 'if-none-match': '"1"' },
      { 'if-none-match': '"1"' },
    ])
  })

  it('is renewed by a 304, which without headers of its own changes no policy', async () => {
    const headers = { 'cache-control': 'max-age=600', etag: '"1"', 'last-modified': 'yesterday' }
    answers = [json(one, headers), { status: 304 }]
    await fetchedIn(0)
    expect(await fetchedIn(600)).toEqual(one)
    expect(asked[1]?.headers).toEqual({ 'if-none-match': '"1"', 'if-modified-since': 'yesterday' })
    expect(await fetchedIn(599)).toEqual(one)
    expect(asked).toHaveLength(2)
    await fetchedIn(1)
    expect(asked).toHaveLength(3)
  })

  it('is kept by the headers of a 304 that has some', async () => {
    answers = [
      json(one, { 'cache-control': 'max-age=600', etag: '"1"' }),
      { status: 304, headers: { 'cache-control': 'max-age=1200', etag: '"2"' } },
    ]
    await fetchedIn(0)
    await fetchedIn(600)
    await fetchedIn(1199)
    expect(asked).toHaveLength(2)
    await fetchedIn(1)
    expect(asked[2]?.headers).toEqual({ 'if-none-match': '"2"' })
  })

  it('is not made by a 304 that nobody asked for', async () => {
    answers = [{ status: 304 }]
    expect(await messageOf(fetchedIn(0))).toBe('the host redirects, which is not followed')
  })

  it('is fetched once however many want it', async () => {
    const gate = held<void>()
    let fetches = 0
    documents = cachedDocuments({
      fetch: async () => {
        fetches += 1
        await gate.promise
        return { status: 200, headers: {}, body: Buffer.from('{}') }
      },
      read: (value) => value,
      maxBytes: 1000,
      timeout: 5,
      maxKeptBytes: 10_000,
      sizeOf: () => 100,
      now: () => now,
      monotonic: () => now,
    })
    const many = Array.from({ length: 20 }, () => documents.get(url))
    gate.release()
    expect(await Promise.all(many)).toEqual(Array(20).fill({}))
    expect(fetches).toBe(1)
  })

  it('that will not do is fetched again at once, and then not for as long as somebody says', async () => {
    await fetchedIn(0)
    const again = () => documents.get(url, { againAfter: 30_000 })
    expect(await again()).toEqual(two)
    now += 29_999
    expect(await again()).toEqual(two)
    expect(await fetchedIn(0)).toEqual(two)
    now += 1
    expect(await again()).toEqual({ version: 3 })
  })

  it('that was fetched again because it had become old may be asked for again', async () => {
    answers = [json(one, { 'cache-control': 'max-age=60' })]
    const again = () => documents.get(url, { againAfter: 90_000 })
    await fetchedIn(0)
    expect(await again()).toEqual(two)
    answers = [json(one, { 'cache-control': 'max-age=60' })]
    now += 3600_000
    expect(await documents.get(url)).toEqual(one)
    expect(await again()).toEqual({ version: 4 })
  })
})

describe('a failure', () => {
  it.each([
    ['HTTP 404', { status: 404 }, 'the host answered with HTTP 404'],
    ['HTTP 410', { status: 410 }, 'the host answered with HTTP 410'],
    ['a redirect', { status: 301 }, 'the host redirects, which is not followed'],
    ['an empty answer', { status: 204 }, 'the host answered with HTTP 204'],
    ['no JSON', { body: Buffer.from('{') }, 'the answer is not valid JSON'],
    ['broken UTF-8', { body: Buffer.from([0x22, 0xff, 0x22]) }, 'the answer is not valid JSON'],
    ['a byte order mark', { body: Buffer.from('\ufeff{}') }, 'the answer is not valid JSON'],
    [
      'a page',
      { headers: { 'content-type': 'text/html; charset=utf-8' }, body: Buffer.from('{}') },
      'the answer is not JSON: its Content-Type says otherwise',
    ],
    ['what its reader refuses', json({ wrong: true }), 'wrong'],
  ])('is remembered for 30 seconds: %s', async (_what, answer, message) => {
    answers = [answer]
    expect(await messageOf(fetchedIn(0))).toBe(message)
    expect(await messageOf(fetchedIn(29.9))).toBe(message)
    expect(asked).toHaveLength(1)
    expect(await fetchedIn(0.1)).toEqual(two)
  })

  it.each([
    ...[401, 403, 418, 429, 451, 500, 503].map(
      (status) => [`HTTP ${status}`, { status }, `the host answered with HTTP ${status}`] as const,
    ),
    ['no answer', new FetchFailure('outage', 'gone'), 'gone'],
  ])('that is an outage is remembered for 5 seconds: %s', async (_what, answer, message) => {
    answers = [answer]
    expect(await messageOf(fetchedIn(0))).toBe(message)
    expect(await messageOf(fetchedIn(4.9))).toBe(message)
    expect(asked).toHaveLength(1)
    expect(await fetchedIn(0.1)).toEqual(two)
  })

  it('leaves the last good document in use through an outage, for a day and no longer', async () => {
    answers = [json(one), ...Array<Error>(10).fill(new FetchFailure('outage', 'gone'))]
    await fetchedIn(0)
    expect(await fetchedIn(hour)).toEqual(one)
    expect(await fetchedIn(4)).toEqual(one)
    expect(asked).toHaveLength(2)
    expect(await fetchedIn(22 * hour)).toEqual(one)
    expect(await messageOf(fetchedIn(hour))).toBe('gone')
  })

  it.each(['must-revalidate, max-age=60', 'no-cache'])(
    'that is an outage counts at once for a document with %s',
    async (control) => {
      answers = [json(one, { 'cache-control': control }), new FetchFailure('outage', 'gone')]
      await fetchedIn(0)
      expect(await messageOf(fetchedIn(60))).toBe('gone')
    },
  )

  const endings: [string, Partial<SafeResponse>, string][] = [
    ['HTTP 404', { status: 404 }, 'the host answered with HTTP 404'],
    ['HTTP 410', { status: 410 }, 'the host answered with HTTP 410'],
    ['a document that is another now, and wrong', json({ wrong: true }), 'wrong'],
  ]

  it.each(endings)('ends a document that was good before: %s', async (_what, answer, message) => {
    answers = [json(one), answer, new FetchFailure('outage', 'no way')]
    await fetchedIn(0)
    expect(await messageOf(fetchedIn(hour))).toBe(message)
    expect(await messageOf(fetchedIn(29))).toBe(message)
    expect(await messageOf(fetchedIn(1))).toBe('no way')
    expect(stale).toEqual([])
  })

  const html = { headers: { 'content-type': 'text/html' }, body: Buffer.from('<html>') }
  const harmless: [string, Partial<SafeResponse> | Error][] = [
    ...[204, 301, 302, 400, 401, 403, 407, 408, 421, 425, 429, 451, 500, 502, 503, 504, 599].map(
      (status): [string, Partial<SafeResponse>] => [`HTTP ${status}`, { status }],
    ),
    ['a page', html],
    ['half a document', { body: Buffer.from('{"version":') }],
    ['nothing', { body: Buffer.from('') }],
    ['broken UTF-8', { body: Buffer.from([0x22, 0xff, 0x22]) }],
    ['an answer that is too long or compressed', new FetchFailure('refused', 'too long')],
    ['an address that is not public', new FetchFailure('refused', 'not public')],
    ['no DNS, network or TLS', new FetchFailure('outage', 'no way')],
    ['places that others needed', new FetchFailure('busy', 'busy')],
  ]

  it.each(harmless)('leaves the last good document in use: %s', async (_what, answer) => {
    answers = [json(one), answer, answer, answer, answer]
    await fetchedIn(0)
    expect(await fetchedIn(hour)).toEqual(one)
    expect(await fetchedIn(1)).toEqual(one)
    expect(await fetchedIn(23 * hour - 2)).toEqual(one)
    expect(await messageOf(fetchedIn(1))).not.toBe('no failure')
    answers = []
    expect(await fetchedIn(30)).toMatchObject({ version: expect.any(Number) })
  })

  it.each(harmless)(
    'never refuses a document that must be asked for: %s',
    async (_what, answer) => {
      answers = [json(one, { 'cache-control': 'no-cache' }), answer]
      await fetchedIn(0)
      const failure = await documents.get(url).catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(FetchFailure)
      expect((failure as FetchFailure).kind).toMatch(/^(?:denied|outage|busy)$/)
    },
  )

  it('is told to the operator, while the last good document does', async () => {
    answers = [json(one), { status: 403 }]
    await fetchedIn(0)
    expect(await fetchedIn(hour)).toEqual(one)
    expect(await fetchedIn(4)).toEqual(one)
    expect(stale).toEqual([`${url}: the host answered with HTTP 403`])
  })

  it('of our own making is remembered by nobody', async () => {
    answers = [new FetchFailure('busy', 'busy')]
    expect(await messageOf(fetchedIn(0))).toBe('busy')
    expect(await fetchedIn(0)).toEqual(two)
    expect(stale).toEqual([])
  })

  it('is an outage for whom the one at hand will not do', async () => {
    answers = [json(one), { status: 302 }]
    await fetchedIn(0)
    now += 30_000
    const asked = documents.get(url, { againAfter: 30_000 })
    expect(await asked.catch(({ kind }: FetchFailure) => kind)).toBe('denied')
    expect(await documents.get(url)).toEqual(one)
  })
})

it.each([
  'application/json',
  'application/json; charset=utf-8',
  'application/client+json',
  'TEXT/PLAIN',
  'application/octet-stream',
  'text/json',
])('a document of type %s is read', async (type) => {
  answers = [json(one, { 'content-type': type })]
  expect(await fetchedIn(0)).toEqual(one)
})

describe('the ages of documents and failures', () => {
  const day = 24 * hour

  it('do not grow when the time of day is set forward', async () => {
    answers = [json(one), new FetchFailure('outage', 'no way')]
    await fetchedIn(0)
    skew -= day * 1000
    expect(await fetchedIn(day)).toEqual(one)
    expect(asked).toHaveLength(1)
    now += hour * 1000
    expect(await fetchedIn(0)).toEqual(one)
    skew -= day * 1000
    expect(await fetchedIn(day)).toEqual(one)
    expect(asked).toHaveLength(2)
  })

  it('grow on when the time of day is set back', async () => {
    const noWay = new FetchFailure('outage', 'no way')
    answers = [json(one), noWay, noWay]
    await fetchedIn(0)
    skew += (day + hour) * 1000
    expect(await fetchedIn(-day)).toEqual(one)
    expect(asked).toHaveLength(2)
    skew += (day + 23 * hour) * 1000
    expect(await messageOf(fetchedIn(-day))).toBe('no way')
    skew += (day + 5) * 1000
    expect(await fetchedIn(-day)).toEqual({ version: 4 })
  })
})

it('validators of no sane length are not kept', async () => {
  answers = [json(one, { etag: `"${'x'.repeat(127)}"`, 'last-modified': 'x'.repeat(129) })]
  await fetchedIn(0)
  await fetchedIn(hour)
  expect(asked[1]?.headers).toEqual({})
})

it('no more than so many documents and failures are kept: the least recently used goes first', async () => {
  // A document of the size it says, its key and what is around it: room for two.
  documents = make(1000)
  const get = (name: string) => documents.get(`https://client.example/${name}`).catch(() => {})
  for (const name of ['a', 'b', 'a', 'c', 'a', 'c']) await get(name)
  expect(asked).toHaveLength(3)
  await get('b')
  expect(asked).toHaveLength(4)
  const many = Array.from({ length: 600 }, (_, index) => `gone/${index}`)
  answers = many.map(() => new FetchFailure('refused', 'gone'))
  for (const name of many) await get(name)
  expect(asked).toHaveLength(604)
  for (const name of many.slice(-100)) await get(name)
  expect(asked).toHaveLength(604)
  await get('gone/0')
  expect(asked).toHaveLength(605)
})
