import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type EntraEmulator, type MintAccessTokenOptions, startEntra } from 'mcp-entra/testing'
import {
  claimsOf,
  closeOthers,
  exchange,
  getCode,
  graph,
  type Params,
  refusal,
  signIn,
  startAnother,
  token,
} from '../../support/emulator-sign-in.js'

let entra: EntraEmulator
let assertion: string

beforeAll(async () => {
  entra = await startEntra()
})
afterAll(() => entra.close())
afterEach(closeOthers)
beforeEach(async () => {
  assertion = await entra.mintAccessToken({ scopes: ['notes.read'] })
})

it("exchanges a user's token for one of the downstream resource, for the same user", async () => {
  const { access_token } = await signIn(entra)
  const { status, body } = await exchange(entra, access_token)
  expect(status).toBe(200)
  expect(body).toEqual({
    token_type: 'Bearer',
    scope: `${graph}/User.Read`,
    expires_in: 4000,
    ext_expires_in: 4000,
    access_token: expect.any(String),
  })
  const me = await fetch(`${entra.graphUrl}/me`, {
    headers: { authorization: `Bearer ${body.access_token}` },
  })
  expect(await me.json()).toMatchObject({
    id: entra.user('ada@contoso.example').oid,
    userPrincipalName: 'ada@contoso.example',
    displayName: 'Ada Lovelace',
    mail: 'ada@contoso.example',
  })
})

it('echoes .default, and adds a refresh token only for offline_access', async () => {
  const { body } = await exchange(entra, assertion, { scope: `${graph}/.default offline_access` })
  expect(body.scope).toBe(`${graph}/User.Read ${graph}/.default`)
  expect(body).toHaveProperty('refresh_token')
})

it('accepts v1 tokens, whose audience is an App ID URI', async () => {
  const old = await entra.mintAccessToken({ version: 1 })
  expect(claimsOf(old).aud).toBe(`api://${entra.app.clientId}`)
  expect((await exchange(entra, old)).status).toBe(200)
})

it('accepts an assertion signed before the keys were rotated', async () => {
  await entra.rotateKeys()
  expect((await exchange(entra, assertion)).status).toBe(200)
})

describe('refuses the request', () => {
  it.each<[string, number, string, number, Params]>([
    ['without assertion', 400, 'invalid_request', 900144, { assertion: undefined }],
    [
      'without requested_token_use',
      400,
      'invalid_request',
      900144,
      { requested_token_use: undefined },
    ],
    [
      'with another requested_token_use',
      400,
      'invalid_request',
      90014,
      { requested_token_use: 'x' },
    ],
    ['without scope', 400, 'invalid_request', 900144, { scope: undefined }],
    ['without a secret', 401, 'invalid_client', 7000218, { client_secret: undefined }],
    ['with a wrong secret', 401, 'invalid_client', 7000215, { client_secret: 'wrong' }],
    [
      'for two resources',
      400,
      'invalid_request',
      28000,
      {
        scope: `${graph}/User.Read api://dae30001-0000-4000-8000-00000000cafe/.default`,
      },
    ],
    ['for a bare scope Graph lacks', 400, 'invalid_client', 650053, { scope: 'notes.read' }],
    ['for an unknown resource', 400, 'invalid_resource', 500011, { scope: 'api://x/.default' }],
    [
      'for .default mixed with names',
      400,
      'invalid_scope',
      70011,
      {
        scope: `${graph}/User.Read ${graph}/.default`,
      },
    ],
    [
      'with a resource that does not fit',
      400,
      'invalid_target',
      9010010,
      { resource: 'https://x' },
    ],
    ['with claims that are no JSON', 400, 'invalid_request', 90013, { claims: 'no' }],
    ['with a malformed assertion', 400, 'invalid_request', 50027, { assertion: 'bogus' }],
  ])('%s: %i %s (AADSTS%i)', async (_, status, error, code, params) => {
    expect(refusal(await exchange(entra, assertion, params))).toEqual({ status, error, code })
  })

  it('from a browser (AADSTS9002326)', async () => {
    const headers = { origin: 'https://mcp.example' }
    expect(refusal(await exchange(entra, assertion, {}, { headers }))).toMatchObject({
      code: 9002326,
    })
  })
})

describe('refuses the assertion', () => {
  it.each<[string, string, number, MintAccessTokenOptions]>([
    ['signed by a foreign key', 'invalid_grant', 50013, { key: 'foreign' }],
    ['not signed', 'invalid_grant', 50013, { key: 'none' }],
    ['signed with the public key', 'invalid_grant', 50013, { key: 'hs256-public' }],
    ['under an unknown key id', 'invalid_grant', 50013, { header: { kid: 'x' } }],
    ['of another issuer', 'invalid_grant', 50013, { claims: { iss: 'https://evil.example' } }],
    ['of another tenant', 'invalid_grant', 50013, { user: 'frida@fabrikam.example' }],
    ['for another audience', 'invalid_grant', 500131, { audience: 'api://other' }],
    ['with the audience in capitals', 'invalid_grant', 500131, { audience: 'API://x' }],
    ['for Graph', 'invalid_grant', 500131, { app: '00000003-0000-0000-c000-000000000000' }],
    ['that has expired', 'invalid_grant', 500133, { expiresIn: -1 }],
    ['that is not valid yet', 'invalid_grant', 500133, { notBefore: 60 }],
    ['without an end', 'invalid_grant', 500133, { claims: { exp: undefined } }],
    ['of an app', 'unauthorized_client', 7000114, { user: null }],
    ['of nobody here', 'invalid_grant', 50034, { claims: { oid: 'x' } }],
  ])('%s: %s (AADSTS%i)', async (_, error, code, options) => {
    const answer = await exchange(entra, await entra.mintAccessToken(options))
    expect(refusal(answer)).toEqual({ status: 400, error, code })
  })

  it('with a real app-only token too (AADSTS7000114)', async () => {
    const { body } = await token(entra, {
      grant_type: 'client_credentials',
      scope: `api://${entra.app.clientId}/.default`,
    })
    const answer = await exchange(entra, String(body.access_token))
    expect(refusal(answer)).toMatchObject({ error: 'unauthorized_client', code: 7000114 })
  })

  it("when its time is over by the emulator's clock (AADSTS500133)", async () => {
    const short = await entra.mintAccessToken({ expiresIn: 10 })
    expect((await exchange(entra, short)).status).toBe(200)
    entra.advance(10)
    expect(refusal(await exchange(entra, short))).toMatchObject({ code: 500133 })
  })

  it('when the key that signed it is published no more (AADSTS50013)', async () => {
    await entra.rotateKeys({ keepOld: false })
    expect(refusal(await exchange(entra, assertion))).toMatchObject({ code: 50013 })
  })
})

describe('consent', () => {
  const scope = `${graph}/Mail.Read`

  it('is demanded for the downstream scope, and given by a sign-in that asks for it', async () => {
    expect((await exchange(entra, assertion, { scope })).body).toMatchObject({
      error: 'invalid_grant',
      suberror: 'consent_required',
      error_codes: [65001],
    })
    await getCode(entra, { scope: `${scope} openid` })
    expect((await exchange(entra, assertion, { scope })).status).toBe(200)
  })

  it("is each user's own", async () => {
    entra.consent('ada@contoso.example', scope)
    const bobs = await entra.mintAccessToken({ user: 'bob@contoso.example' })
    expect(refusal(await exchange(entra, bobs, { scope }))).toMatchObject({ code: 65001 })
  })
})

describe('multi-factor authentication', () => {
  const bob = 'bob@contoso.example'

  it('is demanded with a claims challenge until a sign-in carries claims (AADSTS50076)', async () => {
    const bobs = await entra.mintAccessToken({ user: bob })
    entra.requireMfa(bob, true)
    const { status, body } = await exchange(entra, bobs)
    expect(status).toBe(400)
    expect(body).toMatchObject({
      error: 'invalid_grant',
      suberror: 'basic_action',
      error_codes: [50076],
      claims: expect.stringMatching(
        /^\{"access_token":\{"capolids":\{"essential":true,"values":\["/,
      ),
    })
    await getCode(entra, { login_hint: bob })
    expect(refusal(await exchange(entra, bobs))).toMatchObject({ code: 50076 })
    await getCode(entra, { login_hint: bob, claims: String(body.claims) })
    expect((await exchange(entra, bobs, { claims: String(body.claims) })).status).toBe(200)
    entra.requireMfa(bob, true)
    expect((await exchange(entra, bobs)).status).toBe(400)
    entra.requireMfa(bob, false)
    expect((await exchange(entra, bobs)).status).toBe(200)
  })

  it("is demanded when the request's claims ask for strength, not when they ask for freshness", async () => {
    const frida = await startAnother()
    const bobs = await frida.mintAccessToken({ user: bob })
    const strong = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
    const fresh = '{"access_token":{"nbf":{"essential":true,"value":"1"}}}'
    expect(refusal(await exchange(frida, bobs, { claims: strong }))).toMatchObject({ code: 50076 })
    expect((await exchange(frida, bobs, { claims: fresh })).status).toBe(200)
  })

  it("is another user's trouble only", async () => {
    entra.requireMfa(bob, true)
    expect((await exchange(entra, assertion)).status).toBe(200)
    entra.requireMfa(bob, false)
  })
})
