/** Tokens as every cloud and kind of tenant mints them, and what each authority makes of the others'. */
import { createPublicKey } from 'node:crypto'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeJwt } from '../../lib/crypto/decode-jwt.js'
import {
  type EntraAuthority,
  type EntraAuthorityOptions,
  entraAuthority,
} from '../../lib/entra/authority.js'
import { type Cloud, clouds } from '../../lib/entra/clouds.js'
import { clientSecret } from '../../lib/entra/credentials.js'
import type { SigningKeys } from '../../lib/entra/signing-keys.js'
import { signingKeys } from '../../lib/entra/signing-keys.js'
import { tokenEndpoint } from '../../lib/entra/token-endpoint.js'
import { type EntraVerifierOptions, entraVerifier } from '../../lib/entra/verify.js'
import {
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

const personal = '9188040d-6c67-4c5b-b112-36a304b66dad'
const oid = '11111111-2222-4333-8444-555555555555'
const now = clock()
let key: TestKey
let other: TestKey

beforeAll(async () => {
  ;[key, other] = await Promise.all([testKey('one'), testKey('two')])
})

/** The key set of an authority, without fetching: as it names the issuer, or does not. */
function keysOf(issuer: string | undefined, from = key): SigningKeys {
  const published = createPublicKey({ key: from.jwk as never, format: 'jwk' })
  return {
    find: async (kid) => (kid === from.kid ? { kid, key: published, issuer } : undefined),
  }
}

const claims = (tid: string, iss: string, more: object = {}) => ({
  ver: '2.0',
  iss,
  aud: clientId,
  tid,
  oid,
  sub: 'pairwise',
  scp: 'notes.read',
  exp: now() / 1000 + 600,
  ...more,
})

async function check(
  authority: EntraAuthority,
  keys: SigningKeys,
  token: string,
  allowedTenants?: EntraVerifierOptions['allowedTenants'],
) {
  const verifier = entraVerifier({ authority, clientId, keys, now, allowedTenants })
  const jwt = decodeJwt(token)
  if (!jwt) throw new Error('no JWS')
  return outcome(() => verifier.accessToken(jwt))
}

const refusal = (description: RegExp) => ({
  code: 'invalid_token',
  description: expect.stringMatching(description),
})

describe('the table of clouds', () => {
  it('holds what Microsoft documents', () => {
    expect(clouds).toMatchObject({
      public: {
        host: 'https://login.microsoftonline.com',
        exchangeAudience: 'api://AzureADTokenExchange',
        graph: 'https://graph.microsoft.com',
      },
      usgov: {
        host: 'https://login.microsoftonline.us',
        exchangeAudience: 'api://AzureADTokenExchangeUSGov',
        graph: 'https://graph.microsoft.us',
      },
      china: {
        host: 'https://login.partner.microsoftonline.cn',
        exchangeAudience: 'api://AzureADTokenExchangeChina',
        graph: 'https://microsoftgraph.chinacloudapi.cn',
      },
    })
  })

  it.each(Object.entries(clouds))(
    'is what the authority of %s is made of',
    async (name, expected) => {
      const authority = entraAuthority({ cloud: name as Cloud, tenantId })
      const { host, graph, exchangeAudience } = expected
      expect(authority).toMatchObject({
        cloud: name,
        kind: 'workforce',
        host,
        graph,
        exchangeAudience,
        onBehalfOf: true,
        discoversIssuer: false,
        authorizationServer: `${host}/${tenantId}/v2.0`,
      })
      expect(authority.tokenEndpoint()).toBe(`${host}/${tenantId}/oauth2/v2.0/token`)
    },
  )

  it.each(Object.entries(clouds))(
    'tells the cloud of %s by its hosts',
    (name, { aliases, host }) => {
      for (const known of [host, ...aliases]) {
        const authority = entraAuthority({ host: known, tenantId })
        expect([authority.cloud, authority.host]).toEqual([name, known])
        // Whatever the host is called, it is one issuer.
        expect(authority.issuerFor(tenantId)).toBe(`${host}/${tenantId}/v2.0`)
      }
    },
  )
})

describe.each(Object.keys(clouds) as Cloud[])('tokens of the cloud %s', (cloud) => {
  const { host, v1Issuer } = clouds[cloud]
  const issuer = `${host}/${tenantId}/v2.0`
  const template = `${host}/{tenantid}/v2.0`

  it.each<[string, string | undefined]>([
    ['a template', template],
    ['a template in another case', `${host}/{TenantId}/v2.0`],
    ["the tenant's own", issuer],
    ['none', undefined],
  ])('are good at the tenant when the issuer of the key is %s', async (_what, ofKey) => {
    const token = await key.sign(claims(tenantId, issuer))
    const authority = entraAuthority({ cloud, tenantId })
    expect(await check(authority, keysOf(ofKey), token)).toMatchObject({ tid: tenantId, oid })
  })

  it('are no good in any other cloud', async () => {
    const token = await key.sign(claims(tenantId, issuer))
    for (const elsewhere of (Object.keys(clouds) as Cloud[]).filter((name) => name !== cloud)) {
      const authority = entraAuthority({ cloud: elsewhere, tenantId })
      for (const keys of [keysOf(undefined), keysOf(`${authority.host}/{tenantid}/v2.0`)]) {
        expect(await check(authority, keys, token)).toMatchObject(refusal(/issuer/))
      }
    }
  })

  it('are refused in version 1, with what to change', async () => {
    const token = await key.sign(claims(tenantId, `${v1Issuer}${tenantId}/`, { ver: undefined }))
    const authority = entraAuthority({ cloud, tenantId })
    expect(await check(authority, keysOf(template), token)).toMatchObject(
      refusal(/requestedAccessTokenVersion to 2/),
    )
  })
})

describe('an authority of many tenants', () => {
  const { host } = clouds.public
  const iss = (tid: string) => `${host}/${tid}/v2.0`
  const template = keysOf.bind(undefined, `${host}/{tenantid}/v2.0`)
  const at = (word: string) => entraAuthority({ tenantId: word })

  it.each(['organizations', 'common'])(
    'lets the listed tenants in at %s, and no others',
    async (word) => {
      const allowed = [tenantId]
      const own = await key.sign(claims(tenantId, iss(tenantId)))
      const foreign = await key.sign(claims(otherTenantId, iss(otherTenantId)))
      expect(await check(at(word), template(), own, allowed)).toMatchObject({ tid: tenantId })
      expect(await check(at(word), template(), foreign, allowed)).toMatchObject(refusal(/tenant/))
      expect(await check(at(word), template(), foreign, 'any')).toMatchObject({
        tid: otherTenantId,
      })
    },
  )

  it('knows whose accounts each name stands for', async () => {
    const fixed = keysOf(iss(personal))
    const mine = await key.sign(claims(personal, iss(personal)))
    expect(await check(at('common'), fixed, mine, 'any')).toMatchObject({ tid: personal })
    expect(await check(at('consumers'), fixed, mine, 'any')).toMatchObject({ tid: personal })
    expect(await check(at('consumers'), fixed, mine, [personal])).toMatchObject({ tid: personal })
    expect(await check(at('organizations'), fixed, mine, 'any')).toMatchObject(refusal(/tenant/))
    const work = await key.sign(claims(tenantId, iss(tenantId)))
    expect(await check(at('consumers'), template(), work, 'any')).toMatchObject(refusal(/tenant/))
  })

  it("never lets a key with a fixed issuer speak for another tenant's", async () => {
    const fixed = keysOf(iss(personal))
    for (const forged of [
      claims(tenantId, iss(tenantId)),
      claims(tenantId, iss(personal)),
      claims(personal, iss(tenantId)),
    ]) {
      expect(await check(at('common'), fixed, await key.sign(forged), 'any')).toMatchObject(
        refusal(/issuer/),
      )
    }
  })

  it('refuses a tid that is not the one in the issuer', async () => {
    const token = await key.sign(claims(tenantId, iss(otherTenantId)))
    expect(await check(at('organizations'), template(), token, 'any')).toMatchObject(
      refusal(/issuer/),
    )
  })

  it('takes guests for users of the tenant they are guests in', async () => {
    const idp = `https://sts.windows.net/${otherTenantId}/`
    const token = await key.sign(claims(tenantId, iss(tenantId), { idp, acct: 1 }))
    expect(await check(at('organizations'), template(), token, [tenantId])).toMatchObject({
      tid: tenantId,
      acct: 1,
    })
    expect(await check(at('organizations'), template(), token, [otherTenantId])).toMatchObject(
      refusal(/tenant/),
    )
  })

  it.each([
    ['organizations', [personal], /'common'/],
    ['consumers', [tenantId], /'organizations'/],
  ])('refuses at creation a list that %s cannot have: %j', (word, allowed, remedy) => {
    const make = () =>
      entraVerifier({ authority: at(word), clientId, keys: template(), allowedTenants: allowed })
    expect(make).toThrow(TypeError)
    expect(make).toThrow(/^entraAuth: allowedTenants/)
    expect(make).toThrow(remedy)
  })
})

describe('External ID', () => {
  const host = 'https://contoso.ciamlogin.com'
  const issuer = `https://${tenantId}.ciamlogin.com/${tenantId}/v2.0`

  it('has its issuer at a host named by the tenant id, whatever its own is called', async () => {
    const authority = entraAuthority({ host, tenantId })
    expect(authority).toMatchObject({ kind: 'external', cloud: 'public', onBehalfOf: true })
    expect(authority.authorizationServer).toBe(`${host}/${tenantId}/v2.0`)
    const token = await key.sign(claims(tenantId, issuer))
    for (const keys of [keysOf(issuer), keysOf(undefined)]) {
      expect(await check(authority, keys, token)).toMatchObject({ tid: tenantId })
    }
  })

  it('refuses the issuers of the workforce and of another customer', async () => {
    const authority = entraAuthority({ host, tenantId })
    for (const [tid, iss] of [
      [tenantId, `https://login.microsoftonline.com/${tenantId}/v2.0`],
      [tenantId, `${host}/${tenantId}/v2.0`],
      [tenantId, `https://${otherTenantId}.ciamlogin.com/${tenantId}/v2.0`],
      [otherTenantId, issuer],
    ] as const) {
      const token = await key.sign(claims(tid, iss))
      for (const keys of [keysOf(issuer), keysOf(undefined)]) {
        expect(await check(authority, keys, token)).toMatchObject(refusal(/issuer/))
      }
    }
    const theirs = `https://${otherTenantId}.ciamlogin.com/${otherTenantId}/v2.0`
    const token = await key.sign(claims(otherTenantId, theirs))
    expect(await check(authority, keysOf(undefined), token)).toMatchObject(refusal(/tenant/))
  })

  describe('under a domain of its own', () => {
    let entra: Upstream
    let authority: EntraAuthority
    beforeEach(async () => {
      entra = await startUpstream(() => ({ body: { issuer } }))
      const custom = entraAuthority({ host: 'https://login.contoso.example', tenantId })
      const path = new URL(custom.openidConfiguration).pathname
      authority = { ...custom, openidConfiguration: entra.url + path }
    })
    afterEach(() => entra.close())

    it('discovers its issuer once, for keys that name none', async () => {
      expect(authority).toMatchObject({ kind: 'external', discoversIssuer: true })
      const verifier = entraVerifier({ authority, clientId, keys: keysOf(undefined), now })
      const jwt = decodeJwt(await key.sign(claims(tenantId, issuer)))
      if (!jwt) throw new Error('no JWS')
      const many = Array.from({ length: 20 }, () => outcome(() => verifier.accessToken(jwt)))
      for (const one of await Promise.all(many)) expect(one).toMatchObject({ tid: tenantId })
      expect(await verifier.accessToken(jwt)).toMatchObject({ tid: tenantId })
      expect(entra.requests.map(({ path }) => path)).toEqual([
        `/${tenantId}/v2.0/.well-known/openid-configuration`,
      ])
    })

    it('is an outage, not a refusal, while that cannot be had; and keeps the last good answer', async () => {
      const verifier = entraVerifier({ authority, clientId, keys: keysOf(undefined), now })
      const jwt = decodeJwt(await key.sign(claims(tenantId, issuer)))
      if (!jwt) throw new Error('no JWS')
      entra.answer = () => ({ status: 503 })
      expect(await outcome(() => verifier.accessToken(jwt))).toMatchObject({ status: 503 })
      now.advance(1)
      entra.answer = () => ({ body: { issuer } })
      expect(await outcome(() => verifier.accessToken(jwt))).toMatchObject({ tid: tenantId })
      entra.answer = () => 'reset'
      now.advance(60)
      expect(await outcome(() => verifier.accessToken(jwt))).toMatchObject({ tid: tenantId })
      expect(entra.requests).toHaveLength(2)
    })

    it('needs no discovery for keys that name their issuer', async () => {
      const token = await key.sign(claims(tenantId, issuer))
      expect(await check(authority, keysOf(issuer), token)).toMatchObject({ tid: tenantId })
      expect(entra.requests).toHaveLength(0)
    })
  })
})

describe('Azure AD B2C', () => {
  const policy = 'B2C_1_signupsignin'
  let entra: Upstream
  let authority: EntraAuthority
  let issuer: string

  beforeEach(async () => {
    entra = await startUpstream(({ path }) =>
      path.includes('openid-configuration')
        ? { body: { issuer } }
        : path.includes('keys')
          ? { body: { keys: [key.jwk] } }
          : { body: { access_token: 'at', expires_in: 3600, refresh_token: 'rt' } },
    )
    issuer = `${entra.url}/${tenantId}/v2.0/`
    authority = entraAuthority({ host: entra.url, tenantId: 'contoso.onmicrosoft.com', policy })
  })
  afterEach(() => entra.close())

  /** As B2C writes them: no `tid`, no `oid`, a version of its own, the policy. */
  const b2cClaims = (more: object = {}) => ({
    ver: '1.0',
    iss: issuer,
    aud: clientId,
    sub: oid,
    tfp: policy,
    scp: 'notes.read',
    exp: now() / 1000 + 600,
    ...more,
  })
  const checkB2c = async (more: object = {}) =>
    check(authority, signingKeys({ uri: authority.jwksUri, now }), await key.sign(b2cClaims(more)))

  it('has the policy in every path', () => {
    const real = entraAuthority({
      host: 'https://contoso.b2clogin.com',
      tenantId: 'contoso.onmicrosoft.com',
      policy,
    })
    const base = `https://contoso.b2clogin.com/contoso.onmicrosoft.com/${policy}`
    expect(real).toMatchObject({
      kind: 'b2c',
      cloud: 'public',
      policy,
      onBehalfOf: false,
      discoversIssuer: true,
      authorizationServer: `${base}/v2.0`,
      jwksUri: `${base}/discovery/v2.0/keys`,
      openidConfiguration: `${base}/v2.0/.well-known/openid-configuration`,
    })
    expect(real.issuerFor(tenantId)).toBe(`https://contoso.b2clogin.com/${tenantId}/v2.0/`)
    expect(real.authorizationEndpoint()).toBe(`${base}/oauth2/v2.0/authorize`)
    expect(real.tokenEndpoint()).toBe(`${base}/oauth2/v2.0/token`)
    expect(real.tokenEndpoint(tenantId)).toBe(
      `https://contoso.b2clogin.com/${tenantId}/${policy}/oauth2/v2.0/token`,
    )
  })

  it('takes the issuer of its metadata, slash and all, and the tenant from there', async () => {
    expect(await checkB2c()).toMatchObject({ tid: tenantId, oid, sub: oid, iss: issuer })
    expect(await checkB2c({ oid: 'o', tid: tenantId })).toMatchObject({ tid: tenantId, oid: 'o' })
    expect(await checkB2c({ iss: issuer.slice(0, -1) })).toMatchObject(refusal(/issuer/))
    expect(await checkB2c({ tid: otherTenantId })).toMatchObject(refusal(/issuer/))
    expect(await checkB2c({ iss: `${entra.url}/${otherTenantId}/v2.0/` })).toMatchObject(
      refusal(/issuer/),
    )
  })

  it('takes the issuer with the policy in it, as old applications have it', async () => {
    issuer = `${entra.url}/tfp/${tenantId}/${policy.toLowerCase()}/v2.0/`
    expect(await checkB2c()).toMatchObject({ tid: tenantId })
  })

  it('refuses tokens of another policy, which the same key signs', async () => {
    expect(await checkB2c({ tfp: policy.toLowerCase() })).toMatchObject({ tid: tenantId })
    expect(await checkB2c({ tfp: undefined, acr: policy })).toMatchObject({ tid: tenantId })
    for (const weaker of [
      { tfp: 'B2C_1_no_mfa' },
      { tfp: 'B2C_1_no_mfa', acr: policy },
      { tfp: undefined },
      { tfp: '' },
    ]) {
      expect(await checkB2c(weaker)).toMatchObject(refusal(/another policy/))
    }
  })

  it('refuses other keys', async () => {
    const keys = signingKeys({ uri: authority.jwksUri, now })
    const forged = await other.sign(b2cClaims(), { kid: 'one' })
    expect(await check(authority, keys, forged)).toMatchObject(refusal(/signature/))
  })

  it('redeems codes and refreshes at the policy', async () => {
    const at = tokenEndpoint({ authority, clientId, credential: clientSecret('s') })
    const scopes = [`https://contoso.onmicrosoft.com/${clientId}/notes.read`, 'offline_access']
    const redirectUri = 'https://mcp.example/auth/callback'
    const answer = { accessToken: 'at', refreshToken: 'rt' }
    const code = { code: 'c', redirectUri, codeVerifier: 'v'.repeat(43), scopes }
    expect(await at.redeemCode(code)).toMatchObject(answer)
    expect(await at.refresh({ refreshToken: 'rt', scopes, tenant: tenantId })).toMatchObject(answer)
    expect(entra.requests.map(({ path }) => path.split('?')[0])).toEqual([
      `/contoso.onmicrosoft.com/${policy}/oauth2/v2.0/token`,
      `/${tenantId}/${policy}/oauth2/v2.0/token`,
    ])
  })
})

describe('what does not go together', () => {
  const b2c = 'https://contoso.b2clogin.com'
  const external = 'https://contoso.ciamlogin.com'
  it.each<[RegExp, EntraAuthorityOptions]>([
    [/cloud must be one of 'public', 'usgov', 'china'/, { cloud: 'moon' as Cloud, tenantId }],
    [/cloud must be one of/, { cloud: 'constructor' as Cloud, tenantId }],
    [/cloud is 'usgov'.*'public'/, { cloud: 'usgov', host: clouds.public.host, tenantId }],
    [/cloud is 'china'.*'public'/, { cloud: 'china', host: external, tenantId }],
    [/cloud is 'china'.*'public'/, { cloud: 'china', host: b2c, tenantId, policy: 'p' }],
    [/policy is missing.*user flow/, { host: b2c, tenantId }],
    [/policy is for Azure AD B2C/, { tenantId, policy: 'p' }],
    [/policy is for Azure AD B2C/, { host: external, tenantId, policy: 'p' }],
    [/policy must be a user flow/, { host: b2c, tenantId, policy: '../x' }],
    [/policy must be a user flow/, { host: b2c, tenantId, policy: '' }],
    [/tenantId cannot be 'common' in Azure AD B2C/, { host: b2c, tenantId: 'common', policy: 'p' }],
    [
      /tenantId cannot be 'organizations' in External ID/,
      { host: external, tenantId: 'organizations' },
    ],
  ])('is a TypeError at creation that says %s', (words, options) => {
    const make = () => entraAuthority(options)
    expect(make).toThrow(TypeError)
    expect(make).toThrow(/^entraAuth: /)
    expect(make).toThrow(words)
  })

  it('is not a cloud with the host of a fake Entra, or a custom domain', () => {
    const host = 'http://localhost:1'
    const authority = entraAuthority({ cloud: 'usgov', host, tenantId })
    expect(authority).toMatchObject({ cloud: 'usgov', host, kind: 'workforce' })
    expect(authority.issuerFor(tenantId)).toBe(`${host}/${tenantId}/v2.0`)
    expect(authority.exchangeAudience).toBe('api://AzureADTokenExchangeUSGov')
  })
})
