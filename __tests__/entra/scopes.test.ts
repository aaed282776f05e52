import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { combineScopes, type EntraScopesOptions, entraScopes } from '../../lib/entra/scopes.js'
import { OAuthError } from '../../lib/oauth/errors.js'
import { clientId } from '../support/entra.js'

const graph = 'https://graph.microsoft.com/User.Read'
const options: EntraScopesOptions = {
  clientId,
  required: ['notes.read'],
  optional: ['notes.write', 'notes.share', 'notes.admin'],
  implies: { 'notes.write': ['notes.read'], 'notes.admin': ['notes.write', 'notes.share'] },
  additional: [graph],
  descriptions: { 'notes.read': 'Read your notes', [graph]: 'Read your profile' },
}
const scopes = entraScopes(options)
const prefixed = (name: string) => `api://${clientId}/${name}`
const oidc = ['openid', 'profile', 'offline_access']

function refusal(work: () => unknown): OAuthError {
  try {
    work()
  } catch (error) {
    if (error instanceof OAuthError) return error
  }
  throw new Error('not refused')
}

describe('entraScopes', () => {
  it('lists what there is, the required first, once each, and is frozen', () => {
    const twice = entraScopes({ clientId, required: ['b', 'a', 'b'], optional: ['c', 'a'] })
    expect(twice.required).toEqual(['b', 'a'])
    expect(twice.supported).toEqual(['b', 'a', 'c'])
    expect(twice.additional).toEqual([])
    expect([twice, twice.required, twice.supported, twice.additional].every(Object.isFrozen)).toBe(
      true,
    )
  })

  describe('fromClient', () => {
    it.each([undefined, '', '  ', 'openid', 'openid profile email offline_access'])(
      'takes %j for the required scopes',
      (scope) => expect(scopes.fromClient(scope)).toEqual(['notes.read']),
    )

    it('keeps the order, drops what is said twice and what belongs to OpenID Connect', () => {
      expect(scopes.fromClient('notes.write openid  notes.read notes.write')).toEqual([
        'notes.write',
        'notes.read',
      ])
    })

    it('takes the long form of its own scopes', () => {
      const long = `${prefixed('notes.write')} ${clientId}/notes.share notes.write`
      expect(scopes.fromClient(long)).toEqual(['notes.write', 'notes.share'])
    })

    it('refuses what there is not, by name, and says what there is', () => {
      const error = refusal(() => scopes.fromClient(`notes.read notes.raed ${graph} .default`))
      expect(error).toMatchObject({ code: 'invalid_scope', status: 400 })
      expect(error.description).toBe(
        `There is no such scope: 'notes.raed', '${graph}', '.default'. This server has: notes.read notes.write notes.share notes.admin.`,
      )
    })

    it('refuses scopes of other applications under the same names', () => {
      expect(refusal(() => scopes.fromClient('api://other/notes.read')).code).toBe('invalid_scope')
    })

    it('names no more than five, none endlessly long', () => {
      const { description } = refusal(() =>
        scopes.fromClient(`${'x'.repeat(5000)} 1 2 3 4 fifth sixth`),
      )
      expect(description.length).toBeLessThan(400)
      expect(description).not.toContain('sixth')
    })

    it.each(['__proto__', 'constructor', 'toString'])('does not know %s', (name) => {
      expect(refusal(() => scopes.fromClient(name)).code).toBe('invalid_scope')
    })
  })

  describe('towards Entra', () => {
    it('asks at authorize for its own scopes, those of other APIs, and OpenID Connect', () => {
      expect(scopes.toUpstreamAuthorize(['notes.write'])).toEqual([
        prefixed('notes.write'),
        graph,
        ...oidc,
      ])
    })

    it('asks in token requests for one resource only (AADSTS28000)', () => {
      const expected = [prefixed('notes.write'), ...oidc]
      expect(scopes.toUpstreamTokenExchange(['notes.write', graph])).toEqual(expected)
      expect(scopes.toUpstreamRefresh(['notes.write', graph])).toEqual(expected)
    })

    it('never asks for OpenID Connect alone: that is a token for Microsoft Graph', () => {
      for (const list of [[], ['gone'], ['openid']]) {
        expect(scopes.toUpstreamRefresh(list)).toEqual([prefixed('notes.read'), ...oidc])
        expect(scopes.toUpstreamAuthorize(list)).toContain(prefixed('notes.read'))
      }
    })

    it('puts the App ID URI in front, with the double slash a trailing slash asks for', () => {
      const named = (identifierUri: string) =>
        entraScopes({ clientId, required: ['read'], identifierUri }).toUpstreamRefresh(['read'])[0]
      expect(named('https://api.contoso.com')).toBe('https://api.contoso.com/read')
      expect(named('https://api.contoso.com/')).toBe('https://api.contoso.com//read')
    })
  })

  describe('from Entra', () => {
    it('takes the prefix off and drops OpenID Connect, other APIs and what it does not know', () => {
      const answer = `${prefixed('notes.read')} openid ${graph} User.Read ${prefixed('other')} api://x/notes.write ${prefixed('.default')}`
      expect(scopes.fromUpstream(answer)).toEqual(['notes.read'])
      expect(scopes.fromUpstream(undefined)).toEqual([])
      expect(scopes.fromUpstream('')).toEqual([])
    })

    it('reads the scp of users and the roles of applications', () => {
      expect(
        scopes.fromToken({ scp: 'notes.write other notes.read', roles: ['notes.admin'] }),
      ).toEqual(['notes.write', 'notes.read'])
      expect(scopes.fromToken({ roles: ['notes.admin', 'Notes.Read.All'] })).toEqual([
        'notes.admin',
      ])
      expect(scopes.fromToken({})).toEqual([])
      // Agents on their own have an empty `scp`, or a slash.
      for (const scp of ['', '/']) {
        expect(scopes.fromToken({ scp, roles: ['notes.admin'] })).toEqual(['notes.admin'])
        expect(scopes.fromToken({ scp })).toEqual([])
      }
      expect(scopes.fromToken({ scp: '/ other', roles: ['notes.admin'] })).toEqual([])
    })
  })

  describe('hierarchy', () => {
    it('misses nothing that is implied, however far', () => {
      expect(scopes.missing(['notes.admin'], ['notes.read', 'notes.write', 'notes.share'])).toEqual(
        [],
      )
      expect(scopes.missing(['notes.write'], ['notes.share', 'notes.read', 'notes.share'])).toEqual(
        ['notes.share'],
      )
      expect(scopes.missing([], ['notes.read'])).toEqual(['notes.read'])
      expect(scopes.missing(['notes.read'], ['notes.write'])).toEqual(['notes.write'])
    })

    it('grants what was requested and is held, in the order of the request', () => {
      expect(scopes.grant(['notes.share', 'notes.read'], ['notes.admin'])).toEqual([
        'notes.share',
        'notes.read',
      ])
      expect(scopes.grant(['notes.read'], ['notes.read', 'notes.write'])).toEqual(['notes.read'])
      expect(scopes.grant(['notes.admin'], ['notes.write', 'notes.share'])).toEqual([])
      expect(scopes.grant(['notes.read', 'notes.read'], ['notes.read'])).toEqual(['notes.read'])
    })

    it('is not led astray by circles', () => {
      const circle = entraScopes({
        clientId,
        required: ['a'],
        optional: ['b', 'c'],
        implies: { a: ['b'], b: ['c'], c: ['a'] },
      })
      expect(circle.missing(['b'], ['a', 'b', 'c'])).toEqual([])
    })
  })

  it('describes scopes in words, or else by name', () => {
    expect(scopes.describe('notes.read')).toBe('Read your notes')
    expect(scopes.describe(graph)).toBe('Read your profile')
    expect(scopes.describe('notes.write')).toBe('notes.write')
    expect(scopes.describe('constructor')).toBe('constructor')
  })

  it('checks the names guards are made with, and guesses what was meant', () => {
    const reader = entraScopes({ clientId, required: ['read'], optional: ['admin.all'] })
    expect(() => reader.check(['read', 'admin.all'], 'scopeGuard')).not.toThrow()
    expect(() => reader.check(['read', 'raed'], 'scopeGuard')).toThrow(
      new TypeError('scopeGuard: no such scope: "raed" (did you mean "read"?)'),
    )
    expect(() => reader.check(['delete'], 'scopeGuard')).toThrow(
      new TypeError('scopeGuard: no such scope: "delete" (there are: "read", "admin.all")'),
    )
    expect(() => reader.check([undefined as unknown as string], 'oboToken')).toThrow(
      /^oboToken: no such scope: undefined/,
    )
  })

  describe('at creation', () => {
    const wrong: [string, Partial<EntraScopesOptions>, RegExp][] = [
      ['no required scope', { required: [] }, /at least one scope.*Graph/],
      ['required as a text', { required: 'read' as unknown as string[] }, /at least one scope/],
      ['its own prefix', { required: [prefixed('read')] }, /write "read" for "api:/],
      ['a full URI', { optional: [graph] }, /another API: put it into additional/],
      ['.default', { required: ['.default'] }, /name the scopes themselves/],
      ['a prefixed .default', { required: [prefixed('.default')] }, /name the scopes themselves/],
      ['an OpenID Connect scope', { required: ['openid'] }, /leave "openid" out/],
      ['offline_access', { optional: ['offline_access'] }, /leave "offline_access" out/],
      ['an empty name', { required: [''] }, /RFC 6749 section 3\.3/],
      ['a name with a blank', { required: ['a b'] }, /RFC 6749 section 3\.3/],
      ['a name with a quote', { required: ['a"b'] }, /RFC 6749 section 3\.3/],
      ['a name with an umlaut', { required: ['ä'] }, /RFC 6749 section 3\.3/],
      ['a name that is no text', { required: [7 as unknown as string] }, /7 is not a scope name/],
      [
        'an unknown name that implies',
        { implies: { 'notes.wirte': ['notes.read'] } },
        /implies: no such scope: "notes\.wirte" \(did you mean "notes\.write"\?\)/,
      ],
      [
        'an unknown name implied',
        { implies: { 'notes.write': ['x'] } },
        /implies: no such scope: "x"/,
      ],
      [
        'a bare name in additional',
        { additional: ['User.Read'] },
        /write "https:\/\/graph\.microsoft\.com\/User\.Read"/,
      ],
      [
        '.default in additional',
        { additional: ['https://graph.microsoft.com/.default'] },
        /name the scopes/,
      ],
      [
        'an OpenID Connect scope in additional',
        { additional: ['email'] },
        /leave "email" out of additional/,
      ],
      [
        'an own scope in additional',
        { additional: [prefixed('read')] },
        /put it into required or optional/,
      ],
      ['a blank in additional', { additional: ['https://x/ y'] }, /is not a scope/],
      [
        'additional that is no text',
        { additional: [null as unknown as string] },
        /null in additional/,
      ],
      ['no client id', { clientId: '' }, /clientId must be the Application/],
      ['a client id that is no text', { clientId: undefined as unknown as string }, /clientId/],
      ['an identifier URI with a blank', { identifierUri: 'api://a b' }, /identifierUri/],
    ]
    it.each(wrong)('refuses %s with the remedy', (_what, changes, words) => {
      const make = () => entraScopes({ ...options, ...changes })
      expect(make).toThrow(TypeError)
      expect(make).toThrow(/^entraScopes: /)
      expect(make).toThrow(words)
    })

    it('takes a GUID-form scope of another API', () => {
      const additional = ['00000003-0000-0000-c000-000000000000/User.Read']
      expect(entraScopes({ ...options, additional }).additional).toEqual(additional)
    })
  })
})

describe('laws', () => {
  const token = fc
    .stringMatching(/^[A-Za-z0-9_.-]{1,12}$/)
    .filter(
      (name) =>
        !['openid', 'profile', 'offline_access', 'email', 'address', 'phone', '.default'].includes(
          name,
        ),
    )
  const names = fc.uniqueArray(token, { minLength: 1, maxLength: 6 })
  const uri = fc.constantFrom(
    undefined,
    'https://api.contoso.com',
    'https://api.contoso.com/',
    'api://contoso/x',
  )
  const strategy = fc
    .tuple(names, uri, fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 5 }), fc.nat())
    .map(([all, identifierUri, edges, cut]) => {
      const at = (index: number) => all[index % all.length] as string
      const required = all.slice(0, 1 + (cut % all.length))
      const implies: Record<string, string[]> = Object.create(null)
      for (const [from, to] of edges) implies[at(from)] = [...(implies[at(from)] ?? []), at(to)]
      return entraScopes({
        clientId,
        required,
        optional: all,
        implies,
        additional: [graph, 'https://other.example/x'],
        ...(identifierUri !== undefined && { identifierUri }),
      })
    })
  const anyScope = (known: readonly string[]) =>
    fc.oneof(
      fc.constantFrom(...known),
      fc.constantFrom(graph, 'openid', 'email', 'api://other/x', 'nobody.knows'),
    )
  const withRequest = strategy.chain((s) =>
    fc.tuple(
      fc.constant(s),
      fc.array(fc.constantFrom(...s.supported), { minLength: 1, maxLength: 8 }),
    ),
  )
  const withAnything = strategy.chain((s) =>
    fc.tuple(fc.constant(s), fc.array(anyScope(s.supported), { maxLength: 10 })),
  )
  const once = (list: readonly string[]) => [...new Set(list)]

  it('what goes to Entra comes back the same, in order and once', () => {
    fc.assert(
      fc.property(withRequest, ([s, requested]) => {
        for (const stage of [
          s.toUpstreamAuthorize,
          s.toUpstreamTokenExchange,
          s.toUpstreamRefresh,
        ]) {
          expect(s.fromUpstream(stage(requested).join(' '))).toEqual(once(requested))
        }
        expect(s.fromClient(requested.join(' '))).toEqual(once(requested))
      }),
    )
  })

  it('every stage is idempotent and holds nothing twice', () => {
    fc.assert(
      fc.property(withAnything, ([s, list]) => {
        for (const stage of [
          s.toUpstreamAuthorize,
          s.toUpstreamTokenExchange,
          s.toUpstreamRefresh,
        ]) {
          const result = stage(list)
          expect(stage(result)).toEqual(result)
          expect(once(result)).toEqual(result)
        }
        const down = s.fromUpstream(list.join(' '))
        expect(s.fromUpstream(down.join(' '))).toEqual(down)
        expect(once(down)).toEqual(down)
      }),
    )
  })

  it('no token request ever names a second resource, or none', () => {
    fc.assert(
      fc.property(withAnything, ([s, list]) => {
        for (const stage of [s.toUpstreamTokenExchange, s.toUpstreamRefresh]) {
          const resources = stage(list).filter((scope) => !oidc.includes(scope))
          expect(resources.length).toBeGreaterThan(0)
          expect(s.fromUpstream(resources.join(' '))).toHaveLength(resources.length)
        }
      }),
    )
  })

  it('nothing grows or is lost over a hundred refreshes', () => {
    fc.assert(
      fc.property(withRequest, ([s, requested]) => {
        const first = s.toUpstreamRefresh(requested)
        let current: readonly string[] = requested
        for (let i = 0; i < 100; i++) {
          // Entra may answer with more than was asked for.
          const answer = [...s.toUpstreamRefresh(current), ...s.supported, graph].join(' ')
          current = s.grant(current, s.fromUpstream(answer))
          expect(s.toUpstreamRefresh(current)).toEqual(first)
        }
      }),
      { numRuns: 20 },
    )
  })

  it('what is granted was requested and held, and what is missing was not', () => {
    fc.assert(
      fc.property(withAnything, ([s, list]) => {
        const requested = list.slice(0, 5)
        const granted = list.slice(5)
        const given = s.grant(requested, granted)
        expect(given).toEqual(
          once(requested).filter((scope) => s.missing(granted, [scope]).length === 0),
        )
        expect(s.missing(granted, given)).toEqual([])
        for (const scope of granted) expect(s.missing(granted, [scope])).toEqual([])
      }),
    )
  })
})

describe('combineScopes', () => {
  const named = ['api://app/notes.read', 'openid']

  it('adds the challenged scopes, without duplicates', () => {
    expect(combineScopes(named)).toEqual(named)
    expect(combineScopes(named, [graph, 'openid'])).toEqual([...named, graph])
  })

  it('leaves named scopes out beside .default, which Entra does not take together (AADSTS70011)', () => {
    expect(combineScopes(named, ['api://other/.default'])).toEqual([
      'api://other/.default',
      'openid',
    ])
  })
})
