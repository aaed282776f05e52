import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeJwt } from '../../lib/crypto/decode-jwt.js'
import { type EntraAuthority, entraAuthority } from '../../lib/entra/authority.js'
import { isAppOnly } from '../../lib/entra/caller-claims.js'
import { clientSecret } from '../../lib/entra/credentials.js'
import { type OnBehalfOf, onBehalfOf } from '../../lib/entra/on-behalf-of.js'
import { entraScopes, type ScopeStrategy } from '../../lib/entra/scopes.js'
import { signingKeys } from '../../lib/entra/signing-keys.js'
import { type TokenEndpoint, tokenEndpoint } from '../../lib/entra/token-endpoint.js'
import { type EntraClaims, type EntraVerifier, entraVerifier } from '../../lib/entra/verify.js'
import { type EntraEmulator, startEntra } from '../../lib/testing/index.js'
import { outcome } from '../support/entra.js'

const redirectUri = 'https://mcp.example/auth/callback'
const graph = 'https://graph.microsoft.com/User.Read'
const nonce = 'n-1'
let entra: EntraEmulator
let authority: EntraAuthority
let scopes: ScopeStrategy
let verifier: EntraVerifier
let endpoint: TokenEndpoint
let exchange: OnBehalfOf

beforeAll(async () => {
  entra = await startEntra()
  entra.addRedirectUri(redirectUri)
})
afterAll(() => entra.close())

beforeEach(() => {
  entra.clearFaults()
  const { clientId, secrets } = entra.app
  authority = entraAuthority({ host: entra.url, tenantId: entra.tenant.id })
  scopes = entraScopes({
    clientId,
    required: ['notes.read'],
    optional: ['notes.write'],
    additional: [graph],
  })
  verifier = entraVerifier({ authority, clientId, keys: signingKeys({ uri: authority.jwksUri }) })
  endpoint = tokenEndpoint({ authority, clientId, credential: clientSecret(secrets[0] ?? '') })
  exchange = onBehalfOf({ endpoint })
})

async function logIn(requested: readonly string[]) {
  const codeVerifier = randomBytes(32).toString('base64url')
  const query = new URLSearchParams({
    client_id: entra.app.clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: scopes.toUpstreamAuthorize(requested).join(' '),
    state: 's',
    nonce,
    code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
    login_hint: entra.users[0]?.username ?? '',
  })
  const answer = await fetch(`${authority.authorizationEndpoint()}?${query}`, {
    redirect: 'manual',
  })
  const location = new URL(answer.headers.get('location') ?? 'none:')
  return {
    code: location.searchParams.get('code') ?? '',
    redirectUri,
    codeVerifier,
    scopes: scopes.toUpstreamTokenExchange(requested),
  }
}

async function accessClaims(token: string): Promise<EntraClaims> {
  const jwt = decodeJwt(token)
  if (!jwt) throw new Error('no JWT')
  return verifier.accessToken(jwt)
}

describe('against an Entra that refuses as Entra refuses', () => {
  it('a login goes from code to verified tokens, refreshes and exchanges', async () => {
    const tokens = await endpoint.redeemCode(await logIn(['notes.write', 'notes.read']))
    const claims = await accessClaims(tokens.accessToken)
    const identity = await verifier.idToken(tokens.idToken ?? '', { nonce })
    expect([identity.oid, identity.tid]).toEqual([claims.oid, entra.tenant.id])
    expect([...scopes.fromToken(claims)].sort()).toEqual(['notes.read', 'notes.write'])
    expect([...scopes.fromUpstream(tokens.scope)].sort()).toEqual(['notes.read', 'notes.write'])
    expect(isAppOnly(claims)).toBe(false)

    const renewed = await endpoint.refresh({
      refreshToken: tokens.refreshToken ?? '',
      scopes: scopes.toUpstreamRefresh(['notes.read']),
    })
    expect(renewed.refreshToken).toBeTruthy()
    expect((await accessClaims(renewed.accessToken)).oid).toBe(claims.oid)

    const { tid, oid } = claims
    const downstream = await exchange.token({
      assertion: renewed.accessToken,
      tid,
      oid,
      scopes: [graph],
    })
    const me = await fetch(`${entra.graphUrl}/me`, {
      headers: { authorization: `Bearer ${downstream.token}` },
    })
    expect(await me.json()).toMatchObject({ id: oid })
    // A downstream token is none for us.
    expect(await outcome(() => accessClaims(downstream.token))).toMatchObject({
      code: 'invalid_token',
    })
  })

  it('a code is redeemed once', async () => {
    const login = await logIn(['notes.read'])
    await endpoint.redeemCode(login)
    expect(await outcome(() => endpoint.redeemCode(login))).toMatchObject({
      kind: 'invalid_grant',
      codes: [54005],
    })
  })

  it('a revoked user, a wrong secret and a lost consent are told apart', async () => {
    const tokens = await endpoint.redeemCode(await logIn(['notes.read']))
    const { clientId } = entra.app
    const broken = tokenEndpoint({ authority, clientId, credential: clientSecret('wrong') })
    const refresh = {
      refreshToken: tokens.refreshToken ?? '',
      scopes: scopes.toUpstreamRefresh(['notes.read']),
    }
    expect(await outcome(() => broken.refresh(refresh))).toMatchObject({
      kind: 'misconfigured',
      codes: [7000215],
    })

    const { tid, oid } = await accessClaims(tokens.accessToken)
    const mail = ['https://graph.microsoft.com/Mail.Read']
    const input = { assertion: tokens.accessToken, tid, oid, scopes: mail }
    expect(await outcome(() => exchange.token(input))).toMatchObject({
      kind: 'consent_required',
      codes: [65001],
    })

    entra.revokeUser(entra.users[0]?.username ?? '')
    expect(await outcome(() => endpoint.refresh(refresh))).toMatchObject({
      kind: 'invalid_grant',
      codes: [50173],
    })
  })

  it('MFA asked for on the way downstream comes with its claims', async () => {
    const user = entra.users[1]?.username ?? ''
    const assertion = await entra.mintAccessToken({ user, scopes: ['notes.read'] })
    const { tid, oid } = await accessClaims(assertion)
    entra.requireMfa(user, true)
    const error = await outcome(() => exchange.token({ assertion, tid, oid, scopes: [graph] }))
    expect(error).toMatchObject({
      kind: 'interaction_required',
      claims: expect.stringContaining('access_token'),
    })
    entra.requireMfa(user, false)
  })

  it('tokens nobody should believe are refused', async () => {
    const odd = [
      entra.mintAccessToken({ key: 'foreign' }),
      entra.mintAccessToken({ key: 'none' }),
      entra.mintAccessToken({ key: 'hs256-public' }),
      entra.mintAccessToken({ version: 1 }),
      entra.mintAccessToken({ expiresIn: -60 }),
      entra.mintAccessToken({ notBefore: 60 }),
      entra.mintAccessToken({ audience: 'https://graph.microsoft.com' }),
      entra.mintAccessToken({ claims: { exp: undefined } }),
      entra.mintAccessToken({ header: { kid: undefined } }),
      entra.mintIdToken(),
    ]
    for (const token of await Promise.all(odd)) {
      expect(await outcome(() => accessClaims(token))).toMatchObject({
        code: 'invalid_token',
        status: 401,
      })
    }
    expect(await accessClaims(await entra.mintAccessToken())).toMatchObject({
      tid: entra.tenant.id,
    })
  })

  it('an application has no user to exchange for', async () => {
    const assertion = await entra.mintAccessToken({ user: null, roles: ['Notes.Read.All'] })
    const { tid, oid, ...claims } = await accessClaims(assertion)
    expect(isAppOnly({ tid, oid, ...claims })).toBe(true)
    const error = await outcome(() => exchange.token({ assertion, tid, oid, scopes: [graph] }))
    expect(error).toMatchObject({ kind: 'app_only', codes: [7000114] })
  })
})
