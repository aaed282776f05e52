/** Which responses are watched, for how long, and what becomes of them. */
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import type { LiveGrants } from '../../lib/gate/live-grants.js'
import { type OpenResponses, openResponses } from '../../lib/gate/open-responses.js'
import type { OwnToken } from '../../lib/gate/own-token.js'
import { unavailable } from '../../lib/oauth/errors.js'
import { loginGrant } from '../support/replica.js'

const tokenOf = (sid: string) =>
  ({
    kind: 'proxy',
    clientId: 'c',
    scopes: [],
    sid,
    jti: `jti ${sid}`,
    grant: loginGrant,
  }) as unknown as OwnToken

/** As much of a response as is looked at. */
class Response extends EventEmitter {
  destroyed = false
  writableFinished = false
  readonly req: { readonly method: string }
  readonly headersSent: boolean

  constructor(
    readonly socket: object | null = {},
    { method = 'GET', headersSent = true } = {},
  ) {
    super()
    this.req = { method }
    this.headersSent = headersSent
  }

  destroy(): void {
    this.destroyed = true
  }
}

let responses: OpenResponses
let ended: Set<string>
let failures: Map<string, unknown>
let asked: string[]
let news: string
let events: { name: string; event: object }[]

beforeEach(() => {
  jest.useFakeTimers()
  ended = new Set()
  failures = new Map()
  asked = []
  news = 'none'
  events = []
  const fail = (what: string) => {
    asked.push(what)
    if (failures.has(what)) throw failures.get(what)
  }
  const live = {
    recall: () => undefined,
    async read(sid: string) {
      fail(sid)
      return ended.has(sid) ? undefined : { value: loginGrant, version: '1' }
    },
    async catchUp() {
      fail('news')
      return news
    },
  } as unknown as LiveGrants
  responses = openResponses({
    live,
    grants: { isTokenRevoked: async () => false },
    report: (name, event) => void events.push({ name, event }),
  })
})
afterEach(() => {
  jest.useRealTimers()
})

function watch(
  sid: string,
  socket?: object | null,
  kind?: { method: string; headersSent: boolean },
): Response {
  const response = new Response(socket, kind)
  responses.watch(response as unknown as ServerResponse, tokenOf(sid))
  return response
}

/** As it is written: a login that has ended is news. */
function end(...sids: string[]): void {
  for (const sid of sids) ended.add(sid)
  news = `${sids} ended`
}

const second = () => jest.advanceTimersByTimeAsync(1000)

describe('a response that is sent at once', () => {
  it('is forgotten in the next round, and nothing is read for it', async () => {
    watch('a').writableFinished = true
    watch('b').destroyed = true
    const used = {}
    for (let n = 0; n < 3; n++) watch('c', used).writableFinished = true
    await second()
    expect(asked).toEqual([])
    expect(jest.getTimerCount()).toBe(0)
  })
})

describe('a response that is open', () => {
  it('is looked at when there are news and once a minute, until it closes', async () => {
    const response = watch('a')
    await second()
    await second()
    expect(asked).toEqual(['news', 'a', 'news'])
    news = 'some'
    await second()
    expect(asked).toEqual(['news', 'a', 'news', 'news', 'a'])
    await jest.advanceTimersByTimeAsync(59_000)
    expect(asked.filter((what) => what === 'a')).toHaveLength(2)
    await second()
    expect(asked.filter((what) => what === 'a')).toHaveLength(3)
    expect(response.listenerCount('close')).toBe(1)
    response.emit('close')
    const before = asked.length
    await second()
    expect(asked).toHaveLength(before)
    expect(jest.getTimerCount()).toBe(0)
  })

  it('is looked at in turn where there are very many, however much news there is', async () => {
    const many = Array.from({ length: 2500 }, (_, index) => watch(`${index}`))
    const looks = () => new Set(asked.filter((what) => what !== 'news')).size
    for (const expected of [1000, 2000, 2500]) {
      news = `${expected}`
      await second()
      expect(looks()).toBe(expected)
    }
    expect(asked.filter((what) => what === '0')).toHaveLength(2)
    ended.add('2499')
    news = 'the last one has ended'
    for (let n = 0; n < 3; n++) await second()
    expect(many.filter(({ destroyed }) => destroyed)).toEqual([many[2499]])
  })

  it('is cut off when its login has ended, once, and the others go on', async () => {
    const [gone, stays] = [watch('gone'), watch('stays')]
    await second()
    end('gone')
    await second()
    await second()
    expect([gone.destroyed, stays.destroyed]).toEqual([true, false])
    expect(events).toEqual([
      { name: 'refusal', event: expect.objectContaining({ reason: 'invalid_token' }) },
    ])
  })

  it('is watched beside those that wait for it on its connection', async () => {
    const [first, queued, next] = [watch('a', {}), watch('a', null), watch('a', null)]
    end('a')
    await second()
    expect([first, queued, next].map(({ destroyed }) => destroyed)).toEqual([true, true, true])
  })

  it.each([
    ['the answer to a call', { method: 'POST', headersSent: true }],
    ['an answer that has not been begun', { method: 'GET', headersSent: false }],
  ])('has ten seconds to end by itself when it is %s, and is cut off then', async (_what, kind) => {
    const [slow, stuck] = [watch('slow', {}, kind), watch('stuck', {}, kind)]
    await second()
    end('slow', 'stuck')
    await jest.advanceTimersByTimeAsync(9_000)
    slow.writableFinished = true
    slow.emit('close')
    await second()
    expect([slow.destroyed, stuck.destroyed]).toEqual([false, false])
    await second()
    expect([slow.destroyed, stuck.destroyed]).toEqual([false, true])
    expect(events).toHaveLength(1)
  })

  it('goes on while nobody can tell, and is looked at again', async () => {
    const [one, other] = [watch('one'), watch('other')]
    failures.set('news', unavailable('away', undefined))
    await second()
    expect(asked).toEqual(['news'])
    failures.clear()
    failures.set('one', unavailable('away', undefined))
    end('one', 'other')
    await second()
    expect([one.destroyed, other.destroyed]).toEqual([false, true])
    failures.clear()
    await second()
    expect(one.destroyed).toBe(true)
    expect(events.map(({ name }) => name)).toEqual(['refusal', 'refusal'])
  })

  it('goes on when looking at it fails for a fault of ours, which is reported; all the others are looked at', async () => {
    const faulty = Array.from({ length: 20 }, (_, index) => watch(`faulty ${index}`))
    const last = watch('last')
    for (let index = 0; index < 20; index++) failures.set(`faulty ${index}`, new TypeError('ours'))
    end('last')
    await second()
    expect(last.destroyed).toBe(true)
    expect(faulty.some(({ destroyed }) => destroyed)).toBe(false)
    expect(events.filter(({ name }) => name === 'failure')).toHaveLength(20)
  })
})
