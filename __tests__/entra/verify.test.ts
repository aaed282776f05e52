import { createHmac } from 'node:crypto'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { base64url } from 'jose'
import { decodeJwt } from '../../lib/crypto/decode-jwt.js'
import { type EntraAuthority, entraAuthority } from '../../lib/entra/authority.js'
import { isAppOnly } from '../../lib/entra/caller-claims.js'
import { UpstreamOutage } from '../../lib/entra/errors.js'
import { type SigningKey, type SigningKeys, signingKeys } from '../../lib/entra/signing-keys.js'
import { tenantIdOf } from '../../lib/entra/tenant-id.js'
import {
  type EntraClaims,
  type EntraVerifier,
  type EntraVerifierOptions,
  entraVerifier,
} from '../../lib/entra/verify.js'
import { OAuthError } from '../../lib/oauth/errors.js'
import {
  type Answer,
  type Clock,
  clientId,
  clock,
  otherTenantId,
  outcome,
  startUpstream,
  type TestKey,
  tenantId,
  testKey,
  type Upstream,
} from '../support/entra.js'

const oid = '11111111-2222-4333-8444-555555555555'
const domainIssuer = { ok: true }
let templated: TestKey
let consumers: TestKey
let bare: TestKey
let foreign: TestKey
let entra: Upstream
let authority: EntraAuthority
let now: Clock
let verifier: EntraVerifier
let keysAnswer: Answer | undefined

const consumerTenant = '9188040d-6c67-4c5b-b112-36a304b66dad'

beforeAll(async () => {
  ;[templated, consumers, bare, foreign] = (await Promise.all(
    ['templated', 'consumers', 'bare', 'foreign'].map(testKey),
  )) as [TestKey, TestKey, TestKey, TestKey]
})

beforeEach(async () => {
  now = clock()
  keysAnswer = undefined
  domainIssuer.ok = true
  entra = await startUpstream(({ path }) => {
    if (path.endsWith('openid-configuration')) {
      return domainIssuer.ok
        ? { body: { issuer: `${entra.url}/${tenantId}/v2.0` } }
        : { status: 503, headers: { 'retry-after': '4' } }
    }
    return (
      keysAnswer ?? {
        body: {
          keys: [
            { ...templated.jwk, issuer: `${entra.url}/{tenantid}/v2.0` },
            { ...consumers.jwk, issuer: `${entra.url}/${consumerTenant}/v2.0` },
            bare.jwk,
          ],
        },
      }
    )
  })
  authority = entraAuthority({ host: entra.url, tenantId })
  verifier = make()
  await primed(verifier)
})
afterEach(() => entra.close())

function make(options: Partial<EntraVerifierOptions> = {}): EntraVerifier {
  const used = options.authority ?? authority
  return entraVerifier({
    authority: used,
    clientId,
    keys: signingKeys({ uri: used.jwksUri, now }),
    now,
    ...options,
  })
}

const seconds = () => now() / 1000

function goodClaims(changes: Record<string, unknown> = {}): Record<string, unknown> {
  const claims: Record<string, unknown> = {
    ver: '2.0',
    iss: `${entra.url}/${tenantId}/v2.0`,
    aud: clientId,
    tid: tenantId,
    oid,
    sub: 'pairwise',
    azp: 'b0b1c2d3-1111-4222-8333-444455556666',
    scp: 'notes.read',
    name: 'Ada Lovelace',
    preferred_username: 'ada@contoso.com',
    iat: seconds(),
    nbf: seconds(),
    exp: seconds() + 3600,
    ...changes,
  }
  for (const name of Object.keys(claims)) if (claims[name] === undefined) delete claims[name]
  return claims
}

async function check(token: string, by = verifier): Promise<EntraClaims | Error> {
  const jwt = decodeJwt(token)
  if (!jwt) throw new Error('not a JWS')
  return outcome(() => by.accessToken(jwt))
}

async function primed(by: EntraVerifier): Promise<void> {
  expect(await check(await templated.sign(goodClaims()), by)).toMatchObject({ oid })
}

/** A token no library would make. */
function raw(header: unknown, claims: unknown, signature = 'AAAA'): string {
  const part = (value: unknown) => base64url.encode(JSON.stringify(value))
  return `${part(header)}.${part(claims)}.${signature}`
}

function expectRefusal(result: unknown, words: RegExp): void {
  expect(result).toBeInstanceOf(OAuthError)
  expect(result).toMatchObject({ code: 'invalid_token', status: 401 })
  const { description } = result as OAuthError
  expect(description).toMatch(words)
  // Descriptions help and tell nothing about who or what is behind the token.
  for (const secret of ['ada', 'Ada', oid, tenantId, otherTenantId, 'http']) {
    expect(description).not.toContain(secret)
  }
}

describe('accessToken', () => {
  it('returns the claims of a good token', async () => {
    const jwt = decodeJwt(await templated.sign(goodClaims({ roles: ['Admin'] })))
    const claims = jwt && (await verifier.accessToken(jwt))
    expect(claims).toEqual(goodClaims({ roles: ['Admin'] }))
  })

  it('writes the ids of tenant and user as Entra does, in lower case', async () => {
    const upper = 'AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE'
    const tid = tenantId.toUpperCase()
    const spelt = goodClaims({ tid, iss: `${entra.url}/${tid}/v2.0`, oid: upper })
    expect(await check(await templated.sign(spelt))).toMatchObject({
      tid: tenantId.toLowerCase(),
      oid: upper.toLowerCase(),
    })
  })

  it('goes by the real clock when nothing is said', async () => {
    const real = entraVerifier({
      authority,
      clientId,
      keys: signingKeys({ uri: authority.jwksUri }),
    })
    const exp = Math.floor(Date.now() / 1000) + 60
    expect(
      await check(await templated.sign(goodClaims({ nbf: undefined, exp })), real),
    ).toMatchObject({ oid })
    expectRefusal(
      await check(await templated.sign(goodClaims({ exp: exp - 70, nbf: undefined })), real),
      /expired/,
    )
  })

  it('takes the App ID URI for audience, and the client id written in upper case by the operator', async () => {
    expect(
      await check(await templated.sign(goodClaims({ aud: `api://${clientId}` }))),
    ).toMatchObject({ oid })
    const shouting = make({
      clientId: clientId.toUpperCase(),
      identifierUris: ['https://api.contoso.com'],
    })
    await primed(shouting)
    const uri = await templated.sign(goodClaims({ aud: 'https://api.contoso.com' }))
    expect(await check(uri, shouting)).toMatchObject({ oid })
    expectRefusal(await check(uri), /another application/)
    expectRefusal(
      await check(await templated.sign(goodClaims({ aud: `api://${clientId}` })), shouting),
      /another/,
    )
  })

  describe('refuses before it looks for a key', () => {
    const cases: [string, RegExp, Record<string, unknown>, Record<string, unknown>?][] = [
      ['alg none', /RS256/, {}, { alg: 'none' }],
      ['alg HS256', /RS256/, {}, { alg: 'HS256' }],
      ['alg RS512', /RS256/, {}, { alg: 'RS512' }],
      ['alg rs256', /RS256/, {}, { alg: 'rs256' }],
      ['no alg', /RS256/, {}, { alg: undefined }],
      ['no kid', /names no key/, {}, { kid: undefined }],
      ['an empty kid', /names no key/, {}, { kid: '' }],
      ['a kid that is no text', /names no key/, {}, { kid: 7 }],
      ['crit', /critical/, {}, { crit: ['exp'] }],
      ['an empty crit', /critical/, {}, { crit: [] }],
      ['another typ', /not a JWT/, {}, { typ: 'at+jwt' }],
      ['a typ that is no text', /not a JWT/, {}, { typ: 7 }],
      ['the nonce header of Graph tokens', /Microsoft Graph/, {}, { nonce: 'x' }],
      ['no exp', /no expiry/, { exp: undefined }],
      ['a textual exp', /no expiry/, { exp: '9999999999' }],
      ['a negative exp', /no expiry/, { exp: -1 }],
      ['a null exp', /no expiry/, { exp: null }],
      ['exp 0', /expired/, { exp: 0 }],
      ['a textual nbf', /not valid yet/, { nbf: 'soon' }],
      ['a negative nbf', /not valid yet/, { nbf: -1 }],
      ['another audience', /another application/, { aud: otherTenantId }],
      ['no audience', /another application/, { aud: undefined }],
      ['a list of audiences', /another application/, { aud: [clientId] }],
      ['the audience Graph', /Microsoft Graph/, { aud: 'https://graph.microsoft.com' }],
      [
        'the audience Graph with a slash',
        /Microsoft Graph/,
        { aud: 'https://graph.microsoft.com/' },
      ],
      [
        'the audience Graph by id',
        /Microsoft Graph/,
        { aud: '00000003-0000-0000-c000-000000000000' },
      ],
      ['version 1', /requestedAccessTokenVersion to 2.*manifest/, { ver: '1.0' }],
      [
        'a version 1 issuer',
        /requestedAccessTokenVersion to 2/,
        { iss: `https://sts.windows.net/${tenantId}/` },
      ],
      [
        'a version 1 issuer in China',
        /requestedAccessTokenVersion/,
        { iss: 'https://sts.chinacloudapi.cn/x/' },
      ],
      ['no version', /version 2/, { ver: undefined }],
      ['no scope: an id token', /no scope.*not an id token/, { scp: undefined, nonce: 'n' }],
      ['an empty scope', /no scope/, { scp: '' }],
      ['a blank scope', /no scope/, { scp: ' ' }],
      ['a list of scopes', /no scope/, { scp: ['notes.read'] }],
      ['roles alone, for a user', /no scope/, { scp: undefined, roles: ['Admin'] }],
    ]
    it.each(cases)('%s', async (_what, words, claims, header = {}) => {
      const asked = entra.requests.length
      // A kid nobody knows, after the pause for unknown ones: looking for it would make a request.
      now.advance(31)
      const full = { alg: 'RS256', typ: 'JWT', kid: 'unknown', ...header }
      expectRefusal(await check(raw(full, goodClaims(claims))), words)
      expect(entra.requests).toHaveLength(asked)
    })

    it('NaN and Infinity, which JSON cannot write but 1e999 reads as', async () => {
      const infinite = raw({ alg: 'RS256', kid: 'x' }, goodClaims({ exp: 'X' })).split('.')
      const claims = JSON.stringify(goodClaims({ exp: 'X' })).replace('"X"', '1e999')
      expectRefusal(await check(`${infinite[0]}.${base64url.encode(claims)}.AAAA`), /no expiry/)
    })
  })

  it('honours exp and nbf with five seconds of skew, or what it is told', async () => {
    const token = await templated.sign(goodClaims({ nbf: seconds() + 5, exp: seconds() + 60 }))
    expect(await check(token)).toMatchObject({ oid })
    const strict = make({ clockSkew: 0 })
    await primed(strict)
    expectRefusal(await check(token, strict), /not valid yet/)
    now.advance(5)
    expect(await check(token, strict)).toMatchObject({ oid })
    now.advance(54.9)
    expect(await check(token, strict)).toMatchObject({ oid })
    now.advance(0.1)
    expectRefusal(await check(token, strict), /expired/)
    expect(await check(token)).toMatchObject({ oid })
    now.advance(4.9)
    expect(await check(token)).toMatchObject({ oid })
    now.advance(0.1)
    expectRefusal(await check(token), /expired/)
  })

  it('needs neither nbf nor typ', async () => {
    const token = await templated.sign(goodClaims({ nbf: undefined }), {
      typ: undefined as unknown as string,
    })
    expect(await check(token)).toMatchObject({ oid })
  })

  it('refuses a signature of another key under a known kid', async () => {
    expectRefusal(await check(await foreign.sign(goodClaims(), { kid: 'templated' })), /signature/)
  })

  it('refuses a key nobody published', async () => {
    now.advance(31)
    expectRefusal(await check(await foreign.sign(goodClaims())), /signature/)
  })

  it('refuses changed claims, and a missing or doubled signature', async () => {
    const [header, , signature] = (await templated.sign(goodClaims())).split('.')
    const changed = base64url.encode(JSON.stringify(goodClaims({ scp: 'notes.write' })))
    expectRefusal(await check(`${header}.${changed}.${signature}`), /signature/)
    const [, claims] = (await templated.sign(goodClaims())).split('.')
    expectRefusal(await check(`${header}.${claims}.`), /signature/)
    expectRefusal(await check(`${header}.${claims}.${signature}${signature}`), /signature/)
  })

  it('refuses a signature that is cut, longer, changed, or all zero', async () => {
    const token = await templated.sign(goodClaims())
    const good = Buffer.from(token.split('.')[2] ?? '', 'base64url')
    const flipped = Buffer.from(good)
    flipped[3] = (flipped[3] ?? 0) ^ 1
    for (const signature of [
      good.subarray(1),
      Buffer.concat([good, Buffer.from([0])]),
      flipped,
      Buffer.alloc(good.length),
    ]) {
      const forged = token.replace(/[^.]*$/, signature.toString('base64url'))
      expectRefusal(await check(forged), /signature/)
    }
  })

  it('refuses a signed token whose iat is not a number', async () => {
    expectRefusal(await check(await templated.sign(goodClaims({ iat: 'today' }))), /'iat'/)
  })

  it('refuses HS256 signed with the public key as the secret', async () => {
    const key = await signingKeys({ uri: authority.jwksUri, now }).find('templated')
    const pem = String(key?.key.export({ type: 'spki', format: 'pem' }))
    const unsigned = raw({ alg: 'HS256', kid: 'templated' }, goodClaims()).replace(/\.[^.]*$/, '')
    const signature = createHmac('sha256', pem).update(unsigned).digest('base64url')
    expectRefusal(await check(`${unsigned}.${signature}`), /RS256/)
    const claimed = raw({ alg: 'RS256', kid: 'templated' }, goodClaims()).replace(/\.[^.]*$/, '')
    const forged = createHmac('sha256', pem).update(claimed).digest('base64url')
    expectRefusal(await check(`${claimed}.${forged}`), /signature/)
  })

  describe('issuer and tenant', () => {
    it.each([
      ['another host', () => ({ iss: `https://evil.example/${tenantId}/v2.0` })],
      ['a template', () => ({ iss: `${entra.url}/{tenantid}/v2.0` })],
      ['another tenant than tid', () => ({ iss: `${entra.url}/${otherTenantId}/v2.0` })],
      ['a slash at the end', () => ({ iss: `${entra.url}/${tenantId}/v2.0/` })],
      ['the word organizations', () => ({ iss: `${entra.url}/organizations/v2.0` })],
      ['no issuer', () => ({ iss: undefined })],
    ])('refuses %s', async (_what, changes) => {
      expectRefusal(await check(await templated.sign(goodClaims(changes()))), /issuer/)
    })

    it.each(['organizations', '', undefined, 7, `${tenantId}/x`, '{tenantid}', '$&'])(
      'refuses the tid %j',
      async (tid) => {
        const iss = `${entra.url}/${tid}/v2.0`
        expectRefusal(await check(await templated.sign(goodClaims({ tid, iss }))), /no tenant/)
      },
    )

    it('falls back to the authority when the key names no issuer', async () => {
      expect(await check(await bare.sign(goodClaims()))).toMatchObject({ oid })
      expectRefusal(
        await check(await bare.sign(goodClaims({ iss: `${entra.url}/x/v2.0` }))),
        /issuer/,
      )
    })

    it('refuses a key with a fixed issuer that signs for another tenant than its own', async () => {
      const iss = `${entra.url}/${consumerTenant}/v2.0`
      // Issuer and tenant are both good by themselves, but they are not each other's.
      expectRefusal(await check(await consumers.sign(goodClaims({ iss }))), /issuer/)
      expectRefusal(await check(await consumers.sign(goodClaims())), /issuer/)
    })

    it('refuses a key whose issuer is no URL', async () => {
      const key = await signingKeys({ uri: authority.jwksUri, now }).find('bare')
      const odd = { ...(key as SigningKey), issuer: '{tenantid}' }
      const result = await check(
        await bare.sign(goodClaims({ iss: tenantId })),
        make({ keys: { find: async () => odd } }),
      )
      expectRefusal(result, /issuer/)
    })

    it('refuses users of other tenants, although Entra signed for them', async () => {
      const iss = `${entra.url}/${otherTenantId}/v2.0`
      expectRefusal(
        await check(await templated.sign(goodClaims({ iss, tid: otherTenantId }))),
        /tenant/,
      )
    })

    it('takes the tenants on the list at an authority of many, in any case of letters', async () => {
      const organizations = entraAuthority({ host: entra.url, tenantId: 'organizations' })
      const listed = make({ authority: organizations, allowedTenants: [tenantId.toUpperCase()] })
      await primed(listed)
      const iss = `${entra.url}/${otherTenantId}/v2.0`
      const other = await templated.sign(goodClaims({ iss, tid: otherTenantId }))
      expectRefusal(await check(other, listed), /tenant/)
      const open = make({ authority: organizations, allowedTenants: 'any' })
      expect(await check(other, open)).toMatchObject({ tid: otherTenantId })
    })

    it.each(['organizations', 'common', 'consumers'])('wants allowedTenants for %s', (word) => {
      const many = entraAuthority({ tenantId: word })
      expect(() => make({ authority: many })).toThrow(TypeError)
      expect(() => make({ authority: many })).toThrow(
        /^entraAuth: tenantId .*allowedTenants: 'any'/,
      )
      expect(() => make({ authority: many, allowedTenants: 'any' })).not.toThrow()
    })

    it.each([[[]], [['contoso.com']], ['all'], ['any']])(
      'refuses allowedTenants %j for one tenant',
      (given) => {
        const allowedTenants = given as unknown as readonly string[]
        expect(() => make({ allowedTenants })).toThrow(/^entraAuth: allowedTenants/)
      },
    )

    it('refuses a list that names tenants which cannot sign in there', () => {
      expect(() => make({ allowedTenants: [otherTenantId] })).toThrow(/'organizations'/)
      expect(() => make({ allowedTenants: [tenantId, otherTenantId] })).toThrow(/'organizations'/)
      expect(() => make({ allowedTenants: [tenantId] })).not.toThrow()
    })
  })

  describe('a tenant given by its domain', () => {
    let byDomain: EntraVerifier
    const discoveries = () => entra.requests.filter(({ path }) => path.includes('openid')).length
    beforeEach(() => {
      byDomain = make({ authority: entraAuthority({ host: entra.url, tenantId: 'contoso.com' }) })
    })

    it('is looked up once, on the first token, for all who wait', async () => {
      const token = await templated.sign(goodClaims())
      expect(discoveries()).toBe(0)
      const results = await Promise.all(Array.from({ length: 10 }, () => check(token, byDomain)))
      for (const result of results) expect(result).toMatchObject({ oid })
      expect(discoveries()).toBe(1)
      expect(
        entra.requests.some(
          ({ path }) => path === '/contoso.com/v2.0/.well-known/openid-configuration',
        ),
      ).toBe(true)
      expect(await check(token, byDomain)).toMatchObject({ oid })
      expect(discoveries()).toBe(1)
    })

    it('keeps others out', async () => {
      const iss = `${entra.url}/${otherTenantId}/v2.0`
      const other = await templated.sign(goodClaims({ iss, tid: otherTenantId }))
      expectRefusal(await check(other, byDomain), /tenant/)
    })

    it('is not looked up for a token with a bad signature', async () => {
      expectRefusal(
        await check(await foreign.sign(goodClaims(), { kid: 'templated' }), byDomain),
        /signature/,
      )
      expect(discoveries()).toBe(0)
    })

    it('is an outage and no refusal while it cannot be looked up, with a back-off', async () => {
      domainIssuer.ok = false
      const token = await templated.sign(goodClaims())
      expect(await check(token, byDomain)).toMatchObject({
        code: 'temporarily_unavailable',
        retryAfter: 4,
      })
      expect(await check(token, byDomain)).toMatchObject({ status: 503, retryAfter: 4 })
      expect(discoveries()).toBe(1)
      domainIssuer.ok = true
      now.advance(4)
      expect(await check(token, byDomain)).toMatchObject({ oid })
    })

    it.each<[string, Answer]>([
      ['a page', { body: '<html>' }],
      ['no issuer', { body: {} }],
      ['an issuer without a tenant', { body: { issuer: 'https://login.example/{tenantid}/v2.0' } }],
      ['a reset', 'reset'],
    ])('is an outage when the document is %s', async (_what, answer) => {
      const previous = entra.answer
      entra.answer = (request, count) =>
        request.path.includes('openid') ? answer : previous(request, count)
      expect(await check(await templated.sign(goodClaims()), byDomain)).toMatchObject({
        status: 503,
      })
    })

    it('is looked up by the real clock when nothing is said', async () => {
      domainIssuer.ok = false
      const tell = tenantIdOf(entraAuthority({ host: entra.url, tenantId: 'contoso.com' }))
      expect(await outcome(tell)).toBeInstanceOf(UpstreamOutage)
      expect(await outcome(tell)).toMatchObject({ retryAfter: expect.closeTo(4, 1) })
    })

    it('needs no lookup when the tenant id is on the list', async () => {
      const contoso = entraAuthority({ host: entra.url, tenantId: 'contoso.com' })
      const listed = make({ authority: contoso, allowedTenants: [tenantId] })
      await primed(listed)
      expect(discoveries()).toBe(0)
    })
  })

  describe('without keys', () => {
    it('is an outage and no refusal', async () => {
      keysAnswer = { status: 503, headers: { 'retry-after': '9' } }
      const result = await check(await templated.sign(goodClaims()), make())
      expect(result).toBeInstanceOf(OAuthError)
      expect(result).toMatchObject({ code: 'temporarily_unavailable', status: 503, retryAfter: 9 })
      expect((result as OAuthError).cause).toBeInstanceOf(UpstreamOutage)
    })

    it('leaves errors of ours alone', async () => {
      const broken: SigningKeys = { find: () => Promise.reject(new RangeError('a bug')) }
      expect(
        await check(await templated.sign(goodClaims()), make({ keys: broken })),
      ).toBeInstanceOf(RangeError)
    })
  })

  it.each([
    ['oid', undefined, /names no user/],
    ['oid', 7, /names no user/],
    ['oid', '', /names no user/],
    ['sub', undefined, /names no user/],
    ['roles', 'Admin', /of another type/],
    ['roles', [7], /of another type/],
    ['name', { first: 'x' }, /of another type/],
    ['azp', 7, /of another type/],
  ])('refuses a signed token whose %s is %j', async (name, value, words) => {
    expectRefusal(await check(await templated.sign(goodClaims({ [name]: value }))), words)
  })

  describe("an application's token", () => {
    const daemon = (changes: Record<string, unknown> = {}) =>
      goodClaims({
        scp: undefined,
        name: undefined,
        sub: oid,
        roles: ['Notes.Read.All'],
        ...changes,
      })

    it('is taken with idtyp, and without it by its looks', async () => {
      for (const claims of [
        daemon(),
        daemon({ idtyp: 'app' }),
        daemon({ idtyp: 'app', roles: undefined, sub: 'x' }),
      ]) {
        const result = await check(await templated.sign(claims))
        expect(result).toMatchObject({ oid })
        expect(isAppOnly(result as EntraClaims)).toBe(true)
      }
    })

    it.each([
      ['idtyp user', { idtyp: 'user' }],
      ['no roles', { roles: undefined }],
      ['another sub than oid', { sub: 'pairwise' }],
      ['a nonce, as id tokens have', { nonce: 'n' }],
      ['no oid', { oid: undefined, sub: undefined }],
    ])('is none with %s', async (_what, changes) => {
      expect(isAppOnly(daemon(changes))).toBe(false)
      expectRefusal(await check(await templated.sign(daemon(changes))), /no scope/)
    })

    it("is none when it has scopes: it is a user's", () => {
      expect(isAppOnly(daemon({ scp: 'notes.read' }))).toBe(false)
    })
  })
})

describe('idToken', () => {
  const idClaims = (changes: Record<string, unknown> = {}) =>
    goodClaims({ scp: undefined, azp: undefined, nonce: 'n-1', ...changes })
  const checkId = async (token: string, nonce = 'n-1') =>
    outcome(() => verifier.idToken(token, { nonce }))

  it('returns the claims when the nonce is the one of the login', async () => {
    expect(await checkId(await templated.sign(idClaims()))).toEqual(idClaims())
  })

  it.each(['n-2', '', undefined, 7, ['n-1']])('refuses the nonce %j', async (nonce) => {
    expectRefusal(await checkId(await templated.sign(idClaims({ nonce }))), /another login/)
  })

  it('refuses a nonce that is empty on both sides only by comparing', async () => {
    expectRefusal(
      await checkId(await templated.sign(idClaims({ nonce: undefined })), ''),
      /another login/,
    )
  })

  it('takes the client id alone for audience, not the App ID URI', async () => {
    expectRefusal(
      await checkId(await templated.sign(idClaims({ aud: `api://${clientId}` }))),
      /another application/,
    )
  })

  it.each(['', 'x', 'a.b', 'a.b.c', '..'])('refuses %j', async (token) => {
    expectRefusal(await checkId(token), /not a JWT/)
  })

  it('refuses expired ones, other tenants, foreign keys and version 1 as for access tokens', async () => {
    expectRefusal(await checkId(await templated.sign(idClaims({ exp: seconds() - 6 }))), /expired/)
    const iss = `${entra.url}/${otherTenantId}/v2.0`
    expectRefusal(
      await checkId(await templated.sign(idClaims({ iss, tid: otherTenantId }))),
      /tenant/,
    )
    expectRefusal(await checkId(await foreign.sign(idClaims(), { kid: 'templated' })), /signature/)
    expectRefusal(await checkId(await templated.sign(idClaims({ ver: '1.0' }))), /1\.0/)
  })

  it('is an outage without keys', async () => {
    keysAnswer = 'reset'
    const result = await outcome(async () =>
      make().idToken(await templated.sign(idClaims()), { nonce: 'n-1' }),
    )
    expect(result).toMatchObject({ status: 503 })
  })
})
