import { inspect } from 'node:util'
import { beforeEach, describe, expect, it } from '@jest/globals'
import { EntraError, type EntraFailureKind, UpstreamOutage } from '../../lib/entra/errors.js'
import {
  type ExchangeResult,
  type OnBehalfOfInput,
  onBehalfOf,
} from '../../lib/entra/on-behalf-of.js'
import type { TokenEndpoint, UpstreamTokens } from '../../lib/entra/token-endpoint.js'
import { type Clock, clock, otherTenantId, outcome, tenantId } from '../support/entra.js'

type Asked = Parameters<TokenEndpoint['onBehalfOf']>[0]

let now: Clock
let asked: Asked[]
let answer: (input: Asked, count: number) => UpstreamTokens | Promise<UpstreamTokens>
let events: ExchangeResult[]
let exchange: ReturnType<typeof make>

const lifetime = 3600
const minute = 60

function make(options: { maxEntries?: number } = {}) {
  return onBehalfOf({
    endpoint: {
      async onBehalfOf(input) {
        asked.push(input)
        return answer(input, asked.length)
      },
    },
    now,
    onExchange: (event) => events.push(event),
    ...options,
  })
}

beforeEach(() => {
  now = clock()
  asked = []
  events = []
  answer = ({ assertion }, count) => ({ accessToken: `${assertion}#${count}`, expiresIn: lifetime })
  exchange = make()
})

const ada: OnBehalfOfInput = {
  assertion: 'ada',
  tid: tenantId,
  oid: 'ada-oid',
  scopes: ['https://graph.microsoft.com/User.Read'],
}

/** Lets a background renewal come to its end. */
const breathe = () => new Promise((resolve) => setImmediate(resolve))

function gate(): { open(): void; opened: Promise<void> } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, opened }
}

function failing(kind: EntraFailureKind, retryAfter?: number): () => never {
  return () => {
    throw new EntraError(kind, 'no', { retryAfter })
  }
}

describe('the next assertion of a login', () => {
  const of = (login: string, assertion: string, more: Partial<OnBehalfOfInput> = {}) =>
    exchange.token({ ...ada, login, assertion, ...more })

  it('takes the place of the one before, and of nothing else', async () => {
    await of('one', 'a1')
    await of('one', 'a1', { scopes: ['https://other.example/x'] })
    await of('two', 'b1')
    await exchange.token(ada)
    expect(exchange.size).toBe(4)
    for (const assertion of ['a2', 'a3', 'a4']) await of('one', assertion)
    expect(exchange.size).toBe(4)
    const before = asked.length
    await of('one', 'a4')
    await of('one', 'a1', { scopes: ['https://other.example/x'] })
    await of('two', 'b1')
    await exchange.token(ada)
    expect(asked.length).toBe(before)
  })

  it('takes the place of a token with claims as well', async () => {
    await of('one', 'a1', { claims: '{}' })
    expect(exchange.size).toBe(2)
    await of('one', 'a2', { claims: '{}' })
    expect(exchange.size).toBe(2)
  })
})

describe('onBehalfOf', () => {
  it('exchanges a token at the tenant of the user and keeps the result', async () => {
    const first = await exchange.token(ada)
    expect(first).toEqual({ token: 'ada#1', expiresAt: now() / 1000 + lifetime })
    expect(asked).toEqual([{ assertion: 'ada', scopes: ada.scopes, tenant: tenantId }])
    now.advance(minute)
    expect(await exchange.token({ ...ada })).toBe(first)
    expect(asked).toHaveLength(1)
    expect(Object.isFrozen(first)).toBe(true)
  })

  it('uses the real clock when nothing is said', async () => {
    const plain = onBehalfOf({
      endpoint: { onBehalfOf: async () => ({ accessToken: 't', expiresIn: 60 }) },
    })
    const { expiresAt } = await plain.token(ada)
    expect(Math.abs(expiresAt - 60 - Date.now() / 1000)).toBeLessThan(5)
    await plain.token(ada)
    expect(plain.size).toBe(1)
  })

  it('makes one exchange of fifty at the same time', async () => {
    const door = gate()
    answer = async () => {
      await door.opened
      return { accessToken: 't', expiresIn: lifetime }
    }
    const all = Array.from({ length: 50 }, () => exchange.token(ada))
    door.open()
    expect(new Set(await Promise.all(all)).size).toBe(1)
    expect(asked).toHaveLength(1)
  })

  it('keeps apart whatever differs: assertion, tenant, user, scopes, claims', async () => {
    const others: OnBehalfOfInput[] = [
      ada,
      { ...ada, assertion: 'ada again' },
      { ...ada, tid: otherTenantId },
      { ...ada, oid: 'bob-oid' },
      { ...ada, scopes: ['https://graph.microsoft.com/Mail.Read'] },
      { ...ada, scopes: [...ada.scopes, 'https://graph.microsoft.com/Mail.Read'] },
      { ...ada, oid: 'carol-oid', claims: '{"access_token":{}}' },
    ]
    const tokens = []
    for (const input of others) tokens.push((await exchange.token(input)).token)
    expect(new Set(tokens).size).toBe(others.length)
    expect(asked[6]).toMatchObject({ claims: '{"access_token":{}}' })
    for (const [index, input] of others.entries()) {
      expect((await exchange.token(input)).token).toBe(tokens[index])
    }
    expect(asked).toHaveLength(others.length)
  })

  it('never answers one user with the token of another, however they race', async () => {
    answer = async ({ assertion }) => {
      for (let i = Math.random() * 5; i > 0; i--) await breathe()
      return { accessToken: `for ${assertion}`, expiresIn: 60 + Math.floor(Math.random() * 60) }
    }
    exchange = make({ maxEntries: 20 })
    const users = Array.from({ length: 40 }, (_item, index) => `user ${index}`)
    for (let round = 0; round < 20; round++) {
      const calls = users.flatMap((user) => [user, user]).sort(() => Math.random() - 0.5)
      const results = await Promise.all(
        calls.map((user) => exchange.token({ ...ada, assertion: user, oid: user })),
      )
      expect(results.map(({ token }) => token)).toEqual(calls.map((user) => `for ${user}`))
      now.advance(Math.random() * 30)
      expect(exchange.size).toBeLessThanOrEqual(20)
    }
  })

  it('does not keep the assertion', async () => {
    const assertion = `secret.${'x'.repeat(1500)}`
    answer = () => ({ accessToken: 't', expiresIn: lifetime })
    const keys: unknown[] = []
    const set = Map.prototype.set
    Map.prototype.set = function spy(key, value) {
      keys.push(key)
      return set.call(this, key, value)
    }
    try {
      await exchange.token({ ...ada, assertion })
    } finally {
      Map.prototype.set = set
    }
    expect(keys.length).toBeGreaterThan(0)
    expect(inspect(keys, { maxStringLength: null })).not.toContain('secret.')
  })
})

describe('renewal', () => {
  it('happens in the background when five minutes are left, and nobody waits', async () => {
    const first = await exchange.token(ada)
    now.advance(lifetime - 5 * minute - 1)
    await exchange.token(ada)
    expect(asked).toHaveLength(1)
    now.advance(1)
    expect(await exchange.token(ada)).toBe(first)
    expect(await exchange.token(ada)).toBe(first)
    expect(asked).toHaveLength(2)
    await breathe()
    expect(await exchange.token(ada)).toEqual({
      token: 'ada#2',
      expiresAt: now() / 1000 + lifetime,
    })
    expect(asked).toHaveLength(2)
    expect(events.map(({ background }) => background)).toEqual([false, true])
  })

  it('happens after four fifths of a short life: not at every call', async () => {
    answer = (_input, count) => ({ accessToken: `t${count}`, expiresIn: 200 })
    await exchange.token(ada)
    now.advance(159)
    await exchange.token(ada)
    expect(asked).toHaveLength(1)
    now.advance(1)
    await exchange.token(ada)
    expect(asked).toHaveLength(2)
  })

  it('that fails does no harm, and is tried again after five seconds', async () => {
    const first = await exchange.token(ada)
    answer = failing('unavailable')
    now.advance(lifetime - 5 * minute)
    for (let i = 0; i < 10; i++) {
      expect(await exchange.token(ada)).toBe(first)
      await breathe()
    }
    expect(asked).toHaveLength(2)
    now.advance(5)
    expect(await exchange.token(ada)).toBe(first)
    await breathe()
    expect(asked).toHaveLength(3)
    now.advance(5 * minute - 5 - 30)
    expect(await outcome(() => exchange.token(ada))).toMatchObject({ kind: 'unavailable' })
  })

  it('waits as long as Entra asks', async () => {
    const first = await exchange.token(ada)
    answer = failing('unavailable', 40)
    now.advance(lifetime - 5 * minute)
    await exchange.token(ada)
    await breathe()
    now.advance(39)
    expect(await exchange.token(ada)).toBe(first)
    expect(asked).toHaveLength(2)
    now.advance(1)
    await exchange.token(ada)
    expect(asked).toHaveLength(3)
  })

  it('survives errors of ours', async () => {
    const first = await exchange.token(ada)
    answer = () => {
      throw new RangeError('a bug')
    }
    now.advance(lifetime - minute)
    expect(await exchange.token(ada)).toBe(first)
    await breathe()
    expect(await exchange.token(ada)).toBe(first)
    expect(asked).toHaveLength(2)
  })

  it('is joined by those who come after the token is too old', async () => {
    await exchange.token(ada)
    const door = gate()
    answer = async () => {
      await door.opened
      return { accessToken: 'new', expiresIn: lifetime }
    }
    now.advance(lifetime - minute)
    await exchange.token(ada)
    now.advance(31)
    const waiting = exchange.token(ada)
    door.open()
    expect((await waiting).token).toBe('new')
    expect(asked).toHaveLength(2)
  })

  it('is not tried with an assertion that has expired, which does not end the token', async () => {
    const input = { ...ada, assertionExpiresAt: now() / 1000 + lifetime - 4 * minute }
    const first = await exchange.token(input)
    now.advance(lifetime - 4 * minute)
    expect(await exchange.token(input)).toBe(first)
    expect(asked).toHaveLength(1)
  })
})

describe('the end of a token', () => {
  it('is 30 seconds before Entra says', async () => {
    answer = (_input, count) => {
      if (count === 2) throw new UpstreamOutage('down')
      return { accessToken: `t${count}`, expiresIn: lifetime }
    }
    const first = await exchange.token(ada)
    now.advance(lifetime - 30.001)
    expect(await exchange.token(ada)).toBe(first)
    await breathe()
    now.advance(0.001)
    expect((await exchange.token(ada)).token).toBe('t3')
  })

  it('comes at once for one that lives no longer than that', async () => {
    answer = (_input, count) => ({ accessToken: `t${count}`, expiresIn: 30 })
    expect((await exchange.token(ada)).token).toBe('t1')
    expect((await exchange.token(ada)).token).toBe('t2')
    expect(exchange.size).toBe(0)
  })

  it('is counted from the question, not from the answer', async () => {
    const started = now()
    answer = () => {
      now.advance(20)
      return { accessToken: 't', expiresIn: lifetime }
    }
    expect((await exchange.token(ada)).expiresAt).toBe(started / 1000 + lifetime)
  })

  it('takes it out of memory, although its user does not come back', async () => {
    for (let i = 0; i < 100; i++) await exchange.token({ ...ada, assertion: `user ${i}` })
    answer = () => ({ accessToken: 'long', expiresIn: 24 * 3600 })
    await exchange.token({ ...ada, assertion: 'one who stays' })
    expect(exchange.size).toBe(101)
    now.advance(lifetime)
    await exchange.token(ada)
    expect(exchange.size).toBe(2)
  })

  it('comes early for the least recently used when there are too many', async () => {
    exchange = make({ maxEntries: 3 })
    const of = (user: string) => exchange.token({ ...ada, assertion: user })
    for (const user of ['a', 'b', 'c', 'a', 'd']) await of(user)
    expect(exchange.size).toBe(3)
    expect(asked.map(({ assertion }) => assertion)).toEqual(['a', 'b', 'c', 'd'])
    await of('a')
    expect(asked).toHaveLength(4)
    await of('b')
    expect(asked).toHaveLength(5)
  })
})

describe('a refusal', () => {
  it.each<EntraFailureKind>([
    'interaction_required',
    'misconfigured',
    'invalid_grant',
    'invalid_assertion',
    'access_denied',
    'app_only',
  ])('of kind %s stands for five seconds', async (kind) => {
    answer = failing(kind)
    const first = await outcome(() => exchange.token(ada))
    expect(first).toMatchObject({ kind })
    now.advance(4.999)
    expect(await outcome(() => exchange.token(ada))).toBe(first)
    expect(asked).toHaveLength(1)
    now.advance(0.001)
    await outcome(() => exchange.token(ada))
    expect(asked).toHaveLength(2)
  })

  it.each([
    [20, 20],
    [600, 60],
  ])('with a Retry-After of %s stands for %s seconds', async (retryAfter, stands) => {
    answer = failing('unavailable', retryAfter)
    await outcome(() => exchange.token(ada))
    now.advance(stands - 0.001)
    expect(await outcome(() => exchange.token(ada))).toMatchObject({ retryAfter })
    expect(asked).toHaveLength(1)
    now.advance(0.001)
    await outcome(() => exchange.token(ada))
    expect(asked).toHaveLength(2)
  })

  it('does not stand after an outage: the next call asks again', async () => {
    answer = (_input, count) => {
      if (count === 1) throw new UpstreamOutage('down')
      return { accessToken: 't', expiresIn: lifetime }
    }
    expect(await outcome(() => exchange.token(ada))).toBeInstanceOf(UpstreamOutage)
    expect(await exchange.token(ada)).toMatchObject({ token: 't' })
  })

  it('does not stand for missing consent: a client that has asked for it comes back with the same token', async () => {
    answer = (_input, count) => {
      if (count === 1) return failing('consent_required')()
      return { accessToken: 't', expiresIn: lifetime }
    }
    const refused = await Promise.all([1, 2].map(() => outcome(() => exchange.token(ada))))
    expect(refused).toMatchObject([{ kind: 'consent_required' }, { kind: 'consent_required' }])
    expect(asked).toHaveLength(1)
    expect(await exchange.token(ada)).toMatchObject({ token: 't' })
  })

  it('is shared by all who wait for the same, and by nobody else', async () => {
    answer = ({ assertion }) =>
      assertion === 'ada' ? failing('unavailable', 60)() : { accessToken: 't', expiresIn: lifetime }
    const all = await Promise.all(
      Array.from({ length: 20 }, () => outcome(() => exchange.token(ada))),
    )
    expect(new Set(all).size).toBe(1)
    expect(asked).toHaveLength(1)
    expect(await exchange.token({ ...ada, assertion: 'bob' })).toMatchObject({ token: 't' })
    expect(await exchange.token({ ...ada, assertion: "ada's new one" })).toMatchObject({
      token: 't',
    })
  })

  it('takes its turn and leaves memory like everything else', async () => {
    answer = failing('interaction_required')
    for (let i = 0; i < 10; i++)
      await outcome(() => exchange.token({ ...ada, assertion: `user ${i}` }))
    expect(exchange.size).toBe(10)
    now.advance(minute)
    answer = () => ({ accessToken: 't', expiresIn: lifetime })
    await exchange.token(ada)
    expect(exchange.size).toBe(1)
  })

  it('needs no question when the assertion is known to have expired', async () => {
    const error = await outcome(() => exchange.token({ ...ada, assertionExpiresAt: now() / 1000 }))
    expect(error).toBeInstanceOf(EntraError)
    expect(error).toMatchObject({ kind: 'invalid_assertion' })
    expect(asked).toHaveLength(0)
    expect(events).toHaveLength(0)
  })

  it('that is an error of ours passes as it is and is not kept', async () => {
    answer = () => {
      throw new RangeError('a bug')
    }
    expect(await outcome(() => exchange.token(ada))).toBeInstanceOf(RangeError)
    expect(exchange.size).toBe(0)
    expect(events).toHaveLength(0)
  })
})

describe('events', () => {
  it('tell what happened, for whom and how long it took, without token or assertion', async () => {
    const trace = { correlationId: 'c-1', traceId: 't-1' }
    answer = () => {
      now.advance(0.25)
      return { accessToken: 't0ken', expiresIn: lifetime, trace }
    }
    const facts = { sid: 'of ada' }
    await exchange.token({ ...ada, facts })
    answer = failing('consent_required')
    const error = await outcome(() => exchange.token({ ...ada, assertion: 'bob' }))
    expect(events).toEqual([
      { outcome: 'success', facts, trace, milliseconds: 250, background: false },
      {
        outcome: 'consent_required',
        milliseconds: 0,
        background: false,
        error,
      },
    ])
    expect(inspect(events, { depth: 9 })).not.toMatch(/t0ken|ada-oid|bob/)
  })
})

describe('a warm call', () => {
  // What it costs is measured by `npm run bench`.
  it.each([1, 1000])('asks Entra nothing, whoever of %s users comes again', async (users) => {
    answer = ({ assertion }) => ({ accessToken: assertion, expiresIn: lifetime })
    const inputs = Array.from({ length: users }, (_item, index) => ({
      ...ada,
      assertion: `${index}.x`,
    }))
    for (const input of inputs) await exchange.token(input)
    expect(exchange.size).toBe(users)
    for (const input of [...inputs].reverse())
      expect((await exchange.token(input)).token).toBe(input.assertion)
    expect(asked).toHaveLength(users)
  })
})
