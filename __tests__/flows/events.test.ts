/** Events: who, through what and on whose authority; nothing that is secret; and docs/events.md tells no lies. */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from '@jest/globals'
import {
  entraAuth,
  memoryStorage,
  revokeClient,
  revokeTenant,
  revokeUser,
  type Storage,
} from 'mcp-entra'
import { sha256 } from '../../lib/crypto/hashing.js'
import { redisStorage } from '../../lib/storage/redis.js'
import { grantId } from '../../lib/tokens/grant-id.js'
import { authOptions } from '../support/auth-options.js'
import { startWorld, type World } from '../support/host.js'
import { ada, addNote, login, refresh, type Tokens } from '../support/oauth-client.js'
import { hear, startProxy, startTestEntra } from '../support/proxy.js'
import { describeWithRedis, redisForTests } from '../support/redis-server.js'
import { type Secrets, secretsIn, toldJourney, traveller } from '../support/told-journey.js'

const names = ['login', 'token', 'exchange', 'revocation', 'refusal', 'failure'] as const
type Name = (typeof names)[number]
type Event = Record<string, unknown>

/** Everything that a journey told, by the name of the event. */
interface Told {
  readonly events: Readonly<Record<Name, Event[]>>
  readonly secrets: Secrets
  readonly world: World
}

const heard = Object.fromEntries(
  names.map((name) => [name, hear(`mcp-entra:${name}`)]),
) as unknown as Record<Name, Event[]>

async function tell(storage: Storage): Promise<Told> {
  for (const list of Object.values(heard)) list.length = 0
  const world = await startWorld({ storage, settings: { refreshGrace: 1 } })
  try {
    const secrets = await toldJourney(world)
    const events = Object.fromEntries(names.map((name) => [name, [...heard[name]]]))
    return { events: events as Told['events'], secrets, world }
  } finally {
    await world.close()
  }
}

const all = ({ events }: Told) => names.flatMap((name) => events[name])

function describeJourney(title: string, told: () => Told): void {
  describe(`the events of a whole journey ${title}`, () => {
    it('hold no token, code, secret, cookie, sid, name or mail address', () => {
      const { secrets, world } = told()
      expect(secrets.size).toBeGreaterThan(40)
      expect(all(told()).length).toBeGreaterThan(30)
      for (const event of [...all(told()), ...world.logs]) {
        const text = JSON.stringify(event)
        expect([text, secretsIn(secrets, text)]).toEqual([text, []])
        expect(text).not.toMatch(/eyJ|@|Lovelace|declined|\bat .*\.(ts|js):/)
      }
    })

    it('would be caught if one of them did, whichever secret it was', () => {
      const { secrets } = told()
      for (const [secret, what] of secrets) {
        const planted = JSON.stringify({ reason: 'client', detail: `of ${secret}` })
        expect(secretsIn(secrets, planted)).toContain(what)
      }
    })

    it('name the user, the client and the grant from the login to its end', () => {
      const { events, world } = told()
      const user = { tid: world.entra.tenant.id, oid: traveller }
      const client = { id: expect.stringMatching(/^[\w-]{43}$/), onDevice: true }
      const subject = { user, client, grant: expect.stringMatching(/^[\w-]{16}$/) }
      for (const event of events.token) expect(event).toMatchObject(subject)
      for (const event of events.revocation) expect(event).toMatchObject(subject)
      const [first] = events.login.filter(({ outcome }) => outcome === 'success')
      const its = (name: Name) => events[name].filter(({ grant }) => grant === first?.grant)
      expect(its('token')).toHaveLength(1)
      expect(its('exchange')).toMatchObject([{ ...subject, reason: 'interaction_required' }])
      expect(its('revocation')).toMatchObject([{ ...subject, reason: 'code_replayed' }])
      expect(events.revocation.map(({ reason, token }) => [reason, token])).toEqual([
        ['code_replayed', undefined],
        ['client', 'access_token'],
        ['refresh_token_reused', undefined],
        ['client', 'refresh_token'],
      ])
    })

    it("name Entra's correlation id wherever Entra was asked", () => {
      const { events, world } = told()
      const known = new Set(world.entra.requests.map(({ params }) => params['client-request-id']))
      const signIns = events.login.filter(({ user }) => user !== undefined)
      const renewals = events.token.filter(({ grantType }) => grantType === 'refresh_token')
      const exchanges = events.exchange.filter(({ outcome }) => outcome === 'success')
      expect([signIns, renewals, exchanges].map(({ length }) => length > 0)).toEqual([
        true,
        true,
        true,
      ])
      for (const { correlationId, traceId } of [...signIns, ...renewals, ...exchanges]) {
        expect(known).toContain(correlationId)
        expect(traceId).toEqual(expect.any(String))
      }
    })

    it('name the tool that was called, if the operator has named it, and no other', () => {
      const { events } = told()
      const tools = (name: Name) => new Set(events[name].map(({ tool }) => tool))
      expect(tools('exchange')).toEqual(new Set(['my_profile']))
      expect(tools('refusal')).toEqual(new Set([undefined, 'add_note']))
    })

    it('know the caller of a refusal at the gate once its token is verified, and only then', () => {
      const gate = told().events.refusal.filter(({ endpoint }) => endpoint === 'gate')
      const ofDetail = (detail: string) => gate.filter((event) => event.detail === detail)
      const [bad] = ofDetail('The access token has a bad signature.')
      expect(bad).toEqual({ endpoint: 'gate', reason: 'invalid_token', detail: expect.any(String) })
      const user = { oid: traveller }
      expect(ofDetail('This needs the scope notes.write.')).toMatchObject([
        { user, needed: ['notes.write'], scopes: ['notes.read'] },
        { user, needed: ['notes.write'], scopes: ['notes.read'], tool: 'add_note' },
      ])
      for (const revoked of ofDetail('The access token has been revoked.')) {
        expect(revoked).toMatchObject({ client: { onDevice: true }, grant: expect.any(String) })
      }
    })

    it('have the fields that docs/events.md says, and of their types', () => {
      const { events } = told()
      for (const name of names) {
        const rows = new Map([...documented('Every event'), ...documented(name)])
        for (const [field, value] of events[name].flatMap(Object.entries)) {
          expect([name, field, rows.get(field)?.split(' or ')]).toEqual([
            name,
            field,
            expect.arrayContaining([expect.stringMatching(typeOf(value))]),
          ])
        }
      }
    })

    it('have every field that docs/events.md says, but for those that seldom come up', () => {
      const { events } = told()
      const missing = names.flatMap((name) => {
        const seen = new Set(events[name].flatMap(Object.keys))
        return [...documented(name).keys()]
          .filter((field) => !seen.has(field))
          .map((field) => `${name}.${field}`)
      })
      expect(missing.sort()).toEqual(seldom)
    })
  })
}

/**
 * They need a policy that says no, a renewal that fails in the background, another identity provider, a client with DPoP,
 * or a rare answer of Entra's.
 */
const seldom = [
  'exchange.hint',
  'failure.background',
  'failure.outcome',
  'failure.suberror',
  'revocation.detail',
  'revocation.tenant',
  'token.bound',
  'token.issuer',
]

const docs = readFileSync(new URL('../../docs/events.md', import.meta.url), 'utf8')

/** The rows of a table of docs/events.md: the type of each field. */
function documented(heading: string): ReadonlyMap<string, string> {
  const section = docs.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? ''
  const rows = [...section.matchAll(/^\| `(\w+)` \| ([^|]+) \|/gm)]
  return new Map(rows.map(([, field = '', type = '']) => [field, type]))
}

/** The type of a value, as the tables write it. An empty list is one of anything. */
function typeOf(value: unknown): RegExp {
  if (!Array.isArray(value)) return new RegExp(`^${typeof value}$`)
  return value.length === 0 ? /\[\]$/ : new RegExp(`^${typeof value[0]}\\[\\]$`)
}

describe('docs/events.md', () => {
  const source = readFileSync(new URL('../../lib/http/events.ts', import.meta.url), 'utf8')
  const interfaces = new Map(
    [
      ...source.matchAll(/^(?:export )?interface (\w+)(?: extends ([\w, ]+))? \{([\s\S]*?)^\}/gm),
    ].map(([, name = '', bases = '', body = '']) => [name, { bases: bases.split(', '), body }]),
  )
  /** The fields of a type, without those that every event has. */
  const fieldsOf = (name: string): string[] => {
    const { bases = [], body = '' } = interfaces.get(name) ?? {}
    const own = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, field = '']) => field)
    return [...own, ...bases.filter((base) => base !== 'EventSubject').flatMap(fieldsOf)]
  }

  it.each([
    ['Every event', 'EventSubject'],
    ['login', 'LoginEvent'],
    ['token', 'TokenEvent'],
    ['exchange', 'ExchangeEvent'],
    ['revocation', 'RevocationEvent'],
    ['refusal', 'RefusalEvent'],
    ['failure', 'FailureEvent'],
    ['warning', 'WarningEvent'],
  ])('has a row for each field of "%s", and no other: %s', (heading, type) => {
    expect(fieldsOf(type).length).toBeGreaterThan(1)
    expect([...documented(heading).keys()].sort()).toEqual(fieldsOf(type).sort())
  })
})

let onMemory: Told
beforeAll(async () => {
  onMemory = await tell(memoryStorage())
})
describeJourney('in memory', () => onMemory)

describeWithRedis('on Redis', () => {
  let onRedis: Told
  beforeAll(async () => {
    const redis = await redisForTests()
    const storage = redisStorage({ url: redis.url }, { prefix: `events-${process.pid}:` })
    try {
      onRedis = await tell(storage)
    } finally {
      await storage.close()
      await redis.close()
    }
  })
  describeJourney('on Redis', () => onRedis)
})

describe('a grant', () => {
  it('has one id over its refreshes, which is made of the sid of its tokens', async () => {
    const proxy = await startProxy(await startTestEntra())
    heard.token.length = 0
    const tokens = await login(proxy.url)
    const next = (await (await refresh(proxy.url, tokens)).json()) as Tokens
    await refresh(proxy.url, { ...tokens, ...next })
    const { sid } = JSON.parse(
      Buffer.from(tokens.access_token.split('.')[1] ?? '', 'base64url').toString(),
    )
    expect(heard.token.map(({ grant }) => grant)).toEqual(Array(3).fill(grantId(sid)))
  })
})

describe('access that the operator ends', () => {
  const clientId = 'some-client'
  const endAll = async (pseudonymousEvents: boolean) => {
    const entra = await startTestEntra()
    const options = { pseudonymousEvents }
    const auth = entraAuth(authOptions(entra, 'https://mcp.contoso.com', [], options))
    const tid = entra.tenant.id
    heard.revocation.length = 0
    await revokeUser(auth, { tid, oid: ada })
    await revokeClient(auth, clientId)
    await revokeTenant(auth, tid)
    return { tid, events: [...heard.revocation] }
  }
  const client = { id: sha256(clientId) }

  it('is told with the user, the client or the tenant', async () => {
    const { tid, events } = await endAll(false)
    expect(events).toEqual([
      { reason: 'operator', user: { tid, oid: ada } },
      { reason: 'operator', client },
      { reason: 'operator', tenant: tid },
    ])
  })

  it('is told by pseudonym where users have one', async () => {
    const { tid, events } = await endAll(true)
    expect(events).toEqual([
      { reason: 'operator', user: { pseudonym: expect.stringMatching(/^[\w-]{43}$/) } },
      { reason: 'operator', client },
      { reason: 'operator', tenant: tid },
    ])
  })
})

describe('pseudonymous events', () => {
  it('name each user by one pseudonym, the same on all replicas, and no id', async () => {
    const entra = await startTestEntra()
    for (const list of Object.values(heard)) list.length = 0
    const options = { pseudonymousEvents: true, storage: memoryStorage() }
    const one = await startProxy(entra, options)
    const two = await startProxy(entra, options)
    for (const { url } of [one, two]) await addNote(url, (await login(url)).access_token, 'refused')
    const events = names.flatMap((name) => heard[name])
    expect(events.length).toBeGreaterThan(5)
    const text = JSON.stringify([events, one.logs, two.logs])
    expect(
      secretsIn(
        new Map([
          [ada, 'oid'],
          [entra.tenant.id, 'tid'],
        ]),
        text,
      ),
    ).toEqual([])
    const users = events.map(({ user }) => user).filter((user) => user !== undefined)
    expect(users.length).toBeGreaterThan(5)
    const [first] = users
    expect(first).toEqual({ pseudonym: expect.stringMatching(/^[\w-]{43}$/) })
    expect(new Set(users.map((user) => JSON.stringify(user))).size).toBe(1)
  })

  it('need keys, and say so', async () => {
    const { keys: _none, ...direct } = authOptions(
      await startTestEntra(),
      'https://mcp.contoso.com',
      [],
    )
    expect(() => entraAuth({ ...direct, pseudonymousEvents: true })).toThrow(
      new TypeError(
        'entraAuth with pseudonymousEvents: entraAuth needs the option `keys` for this',
      ),
    )
    const wrong = 'yes' as unknown as boolean
    expect(() => entraAuth({ ...direct, pseudonymousEvents: wrong })).toThrow(
      'entraAuth: pseudonymousEvents must be true or false',
    )
  })
})
