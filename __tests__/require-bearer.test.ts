/** What the gate lets in, and how it tells everybody else what to do. */
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { get } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import express, { type ErrorRequestHandler, type Express } from 'express'
import { type EntraAuth, entraAuth, oauthRoutes, requireBearer } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { keyRing } from '../lib/crypto/key-ring.js'
import {
  ada,
  alsoDpop,
  ask,
  bob,
  challenge,
  decode,
  encode,
  frida,
  notesScopes,
  post,
  startGate,
  type TestGate,
} from './support/gate.js'
import { type Entra, testKeys } from './support/host.js'
import { login, refresh, type Tokens } from './support/oauth-client.js'
import { signEs256 } from './support/sign-es256.js'
import { verifyingWith } from './support/verifying-with.js'

const graph = '00000003-0000-0000-c000-000000000000'

let entra: Entra
let gate: TestGate
let own: Tokens & { clientId: string }

function mount(app: Express, auth: EntraAuth): void {
  app.use(oauthRoutes(auth))
  for (const resource of ['/mcp', '/mcp2']) {
    app.all(resource, requireBearer(auth, { resource }), (req, res) => {
      res.json({ ...(req as { auth?: object }).auth, token: undefined })
    })
  }
}

beforeAll(async () => {
  entra = await startEntra()
  gate = await startGate(entra, {
    options: { resources: ['/mcp', '/mcp2'] },
    mount,
    maxHeaderSize: 200_000,
  })
  own = await login(gate.url, { user: ada, resource: `${gate.url}/mcp` })
})
afterAll(async () => {
  await gate.close()
  await entra.close()
})

/** The same token with something else in its header or claims: the signature stays what it was. */
function tampered(token: string, header: object, claims: object = {}): string {
  const parts = decode(token)
  const signature = token.split('.')[2] ?? ''
  const changed = (part: object, change: object) => encode({ ...part, ...change })
  return `${changed(parts.header, header)}.${changed(parts.claims, claims)}.${signature}`
}

/** A token of ours that only the holder of our keys could have signed. */
function signedByUs(header: object, claims: object = {}, keys: readonly string[] = testKeys) {
  const parts = decode(own.access_token)
  const { kid, privateKey } = keyRing(keys).current.signing
  const all = Object.entries({ typ: 'at+jwt', kid, ...header })
  const kept = Object.fromEntries(all.filter(([, value]) => value !== undefined))
  return signEs256(kept, { ...parts.claims, ...claims }, privateKey)
}

async function expectInvalidToken(
  token: string,
  description: string,
  resource = '/mcp',
): Promise<void> {
  const response = await ask(gate.url + resource, token)
  expect(response.status).toBe(401)
  expect(response.headers.get('www-authenticate')).toBe(
    challenge(gate.url, 'invalid_token', description, 'notes.read', resource),
  )
  expect(response.headers.get('content-type')).toBe('application/json')
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(await response.json()).toEqual({ error: 'invalid_token', error_description: description })
}

describe('requireBearer without a token', () => {
  const bare = (resource: string) =>
    `Bearer resource_metadata="${gate.url}/.well-known/oauth-protected-resource${resource}", scope="notes.read"${alsoDpop}`

  it.each([
    ['no Authorization header', undefined],
    ['an empty one', ''],
    ['another scheme', 'Basic YWRhOnNlY3JldA=='],
    ['a scheme that only begins like ours', 'Bearerish abc'],
    ['a bare token', 'eyJhbGciOiJSUzI1NiJ9.e30.x'],
  ])('sends a bare challenge for %s (RFC 6750 section 3.1)', async (_name, authorization) => {
    const headers = authorization === undefined ? {} : { authorization }
    const response = await fetch(`${gate.url}/mcp`, { method: 'POST', headers, body: '{}' })
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe(bare('/mcp'))
    expect(response.headers.get('content-length')).toBe('0')
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await response.text()).toBe('')
  })

  it.each(['GET', 'HEAD', 'DELETE', 'PUT', 'POST'])('challenges a %s', async (method) => {
    const response = await fetch(`${gate.url}/mcp`, { method })
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe(bare('/mcp'))
  })

  it('points at the metadata of the resource that was asked for', async () => {
    const response = await fetch(`${gate.url}/mcp2`)
    expect(response.headers.get('www-authenticate')).toBe(bare('/mcp2'))
    const { resource } = (await (
      await fetch(`${gate.url}/.well-known/oauth-protected-resource/mcp2`)
    ).json()) as { resource: string }
    expect(resource).toBe(`${gate.url}/mcp2`)
  })

  it('never looks for a token in the query or in a form (RFC 9700 section 4.3.2)', async () => {
    const query = await fetch(`${gate.url}/mcp?access_token=${own.access_token}`)
    expect(query.status).toBe(401)
    const form = await fetch(`${gate.url}/mcp`, {
      method: 'POST',
      body: new URLSearchParams({ access_token: own.access_token }),
    })
    expect(form.status).toBe(401)
    expect(form.headers.get('www-authenticate')).toBe(bare('/mcp'))
  })

  it('shows the challenge to scripts of other origins', async () => {
    const response = await fetch(`${gate.url}/mcp`, { headers: { origin: 'https://app.example' } })
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('access-control-expose-headers')).toBe('WWW-Authenticate')
  })
})

describe('requireBearer with a good token', () => {
  it("takes Entra's own and says who calls", async () => {
    const token = await entra.mintAccessToken({ user: ada, scopes: ['notes.read', 'notes.write'] })
    const response = await ask(`${gate.url}/mcp`, token)
    expect(response.status).toBe(200)
    const { oid, tid, sub } = decode(token).claims
    expect(await response.json()).toEqual({
      clientId: entra.app.clientId,
      scopes: ['notes.read', 'notes.write'],
      expiresAt: decode(token).claims.exp,
      resource: `${gate.url}/mcp`,
      resourceMetadataUrl: `${gate.url}/.well-known/oauth-protected-resource/mcp`,
      extra: {
        tokenKind: 'entra',
        user: { oid, tid, sub, name: 'Ada Lovelace', username: ada, roles: ['Notes.Admin'] },
      },
    })
  })

  it('takes one of ours and says the same', async () => {
    const response = await ask(`${gate.url}/mcp`, own.access_token)
    expect(response.status).toBe(200)
    const { oid, tid } = entra.user(ada)
    expect(await response.json()).toEqual({
      clientId: own.clientId,
      scopes: ['notes.read'],
      expiresAt: decode(own.access_token).claims.exp,
      resource: `${gate.url}/mcp`,
      resourceMetadataUrl: `${gate.url}/.well-known/oauth-protected-resource/mcp`,
      extra: {
        tokenKind: 'proxy',
        user: {
          oid,
          tid,
          sub: decode(own.access_token).claims.sub,
          name: 'Ada Lovelace',
          username: ada,
          roles: ['Notes.Admin'],
        },
      },
    })
  })

  it('lets scripts of other origins read a challenge that comes later', async () => {
    const response = await ask(`${gate.url}/mcp`, own.access_token)
    expect(response.headers.get('access-control-expose-headers')).toBe('WWW-Authenticate')
  })

  it.each(['bearer', 'BEARER', 'Bearer '])('reads the scheme "%s"', async (scheme) => {
    const response = await fetch(`${gate.url}/mcp`, {
      headers: { authorization: `${scheme} ${own.access_token}` },
    })
    expect(response.status).toBe(200)
  })

  it.each([
    ['the client id', () => entra.app.clientId],
    ['the App ID URI', () => `api://${entra.app.clientId}`],
  ])('takes %s as audience', async (_name, audience) => {
    const token = await entra.mintAccessToken({ audience: audience() })
    expect((await ask(`${gate.url}/mcp`, token)).status).toBe(200)
  })

  it('takes a token whose clock is a little ahead', async () => {
    const token = await entra.mintAccessToken({ notBefore: 3 })
    expect((await ask(`${gate.url}/mcp`, token)).status).toBe(200)
  })

  it('keeps what one request does to req.auth from the next', async () => {
    const changing = await startGate(entra, {
      mount(app, auth) {
        app.all('/mcp', requireBearer(auth), (req, res) => {
          const { auth: info } = req as { auth?: { scopes: string[]; extra: { note?: string } } }
          res.json({ scopes: [...(info?.scopes ?? [])], note: info?.extra.note ?? null })
          info?.scopes.push('notes.write')
          if (info) info.extra.note = 'was here'
        })
      },
    })
    const token = await entra.mintAccessToken({ scopes: ['notes.read'] })
    for (let round = 0; round < 3; round++) {
      const response = await ask(`${changing.url}/mcp`, token)
      expect(await response.json()).toEqual({ scopes: ['notes.read'], note: null })
    }
    await changing.close()
  })
})

describe('requireBearer with a bad token', () => {
  const notOurs = 'The access token is not one this server knows.'

  it.each([
    ['nothing after the scheme', ''],
    ['two words', 'one two'],
    ['no JWT', 'abc'],
    ['two parts', 'abc.def'],
    ['parts that are no JSON', 'abc.def.ghi'],
    ['claims that are a list', `${encode({ alg: 'RS256' })}.${encode([])}.eA`],
    ['four parts', `${encode({})}.${encode({})}.eA.eA`],
    ['five parts, as a JWE has', 'a.b.c.d.e'],
    ['100 kB of it', `${'a'.repeat(100_000)}.${encode({})}.eA`],
  ])('refuses %s', (_name, token) => expectInvalidToken(token, notOurs))

  it('refuses 100 kB of claims without reading them', async () => {
    const claims = encode({ ...decode(own.access_token).claims, filler: 'a'.repeat(75_000) })
    await expectInvalidToken(
      `${own.access_token.split('.')[0]}.${claims}.${'a'.repeat(86)}`,
      notOurs,
    )
  })

  const graphHint =
    'This is a token for Microsoft Graph, not for this server. Ask for a scope of this server.'
  const noScope =
    'The token grants no scope. Send an access token for a scope of this server, not an id token.'

  it.each<[string, () => Promise<string>, string]>([
    [
      'alg none',
      () => entra.mintAccessToken({ key: 'none' }),
      'The token is not signed with RS256.',
    ],
    [
      'alg None, RS256 kept in the header',
      async () => `${(await entra.mintAccessToken()).split('.').slice(0, 2).join('.')}.`,
      'The signature is not valid.',
    ],
    [
      'HS256 under the public key in PEM',
      () => entra.mintAccessToken({ key: 'hs256-public' }),
      'The token is not signed with RS256.',
    ],
    [
      'that HMAC, called RS256',
      () => entra.mintAccessToken({ key: 'hs256-public', header: { alg: 'RS256' } }),
      'The signature is not valid.',
    ],
    [
      'HS256 under the published JWK',
      async () => {
        const [key] = entra.signingKeys
        const jwk = JSON.stringify(key?.publicKey.export({ format: 'jwk' }))
        const token = tampered(await entra.mintAccessToken(), { alg: 'HS256' })
        const input = token.slice(0, token.lastIndexOf('.'))
        return `${input}.${createHmac('sha256', jwk).update(input).digest('base64url')}`
      },
      'The token is not signed with RS256.',
    ],
    [
      'a foreign key under a known kid',
      () => entra.mintAccessToken({ key: 'foreign' }),
      'The signature is not valid.',
    ],
    [
      'a key of its own in the header',
      async () => {
        const jwk = entra.signingKeys[0]?.publicKey.export({ format: 'jwk' })
        return entra.mintAccessToken({ key: 'foreign', header: { jwk, jku: 'https://evil.test' } })
      },
      'The signature is not valid.',
    ],
    [
      'no kid',
      () => entra.mintAccessToken({ header: { kid: undefined } }),
      'The token names no key.',
    ],
    [
      'a kid that is no text',
      () => entra.mintAccessToken({ header: { kid: ['a'] } }),
      'The token names no key.',
    ],
    [
      'an unknown kid',
      () => entra.mintAccessToken({ header: { kid: 'nobody' } }),
      'The signature is not valid.',
    ],
    [
      'a kid named like a prototype',
      () => entra.mintAccessToken({ header: { kid: '__proto__' } }),
      'The signature is not valid.',
    ],
    [
      'a critical extension (RFC 7515 section 4.1.11)',
      () => entra.mintAccessToken({ header: { crit: ['exp'], exp: 1 } }),
      'The token has critical extensions.',
    ],
    [
      'another type: called at+jwt, as ours are',
      () => entra.mintAccessToken({ header: { typ: 'at+jwt' } }),
      'The token is not a JWT.',
    ],
    [
      'claims changed after signing',
      async () => tampered(await entra.mintAccessToken({ user: bob }), {}, { name: 'Ada' }),
      'The signature is not valid.',
    ],
    ['expired', () => entra.mintAccessToken({ expiresIn: -10 }), 'The token has expired.'],
    [
      'no exp',
      () => entra.mintAccessToken({ claims: { exp: undefined } }),
      'The token has no expiry.',
    ],
    [
      'an exp that is no number',
      () => entra.mintAccessToken({ claims: { exp: '9999999999' } }),
      'The token has no expiry.',
    ],
    [
      'not valid yet',
      () => entra.mintAccessToken({ notBefore: 60 }),
      'The token is not valid yet.',
    ],
    [
      'another application as audience',
      () => entra.mintAccessToken({ app: entra.apps[1]?.clientId ?? '' }),
      'The token is for another application: its audience is not this server.',
    ],
    [
      'several audiences, ours among them',
      () => entra.mintAccessToken({ claims: { aud: [entra.app.clientId, 'other'] } }),
      'The token is for another application: its audience is not this server.',
    ],
    ['a Graph token', () => entra.mintAccessToken({ app: graph }), graphHint],
    ['Graph as audience', () => entra.mintAccessToken({ audience: graph }), graphHint],
    [
      'a user of another tenant',
      () => entra.mintAccessToken({ user: frida }),
      'Accounts of this tenant are not allowed here.',
    ],
    [
      'another tenant that claims to be ours',
      () =>
        entra.mintAccessToken({
          user: frida,
          claims: { tid: entra.tenant.id },
        }),
      'The issuer is not valid.',
    ],
    [
      'another issuer',
      () => entra.mintAccessToken({ claims: { iss: `https://evil.test/${entra.tenant.id}/v2.0` } }),
      'The issuer is not valid.',
    ],
    [
      'no tenant',
      () => entra.mintAccessToken({ claims: { tid: undefined } }),
      'The token names no tenant.',
    ],
    [
      'no user',
      () => entra.mintAccessToken({ claims: { oid: undefined } }),
      'The token names no user and no application.',
    ],
    [
      'roles that are no list',
      () => entra.mintAccessToken({ claims: { roles: 'Notes.Admin' } }),
      'A claim of the token is of another type than Entra gives it.',
    ],
    ["an id token, its user's roles in it", () => entra.mintIdToken({ user: ada }), noScope],
    ['an id token with a nonce', () => entra.mintIdToken({ user: ada, nonce: 'n-0S6' }), noScope],
    ['no scope', () => entra.mintAccessToken({ claims: { scp: undefined } }), noScope],
    ['an empty scope', () => entra.mintAccessToken({ user: bob, scopes: [] }), noScope],
    [
      'version 1.0, and says which setting to change',
      () => entra.mintAccessToken({ version: 1, audience: entra.app.clientId }),
      "The token is of version 1.0. Set requestedAccessTokenVersion to 2 in the app registration's manifest (api.requestedAccessTokenVersion).",
    ],
    [
      'version 1.0 with the App ID URI as audience, as it really comes',
      () => entra.mintAccessToken({ version: 1 }),
      "The token is of version 1.0. Set requestedAccessTokenVersion to 2 in the app registration's manifest (api.requestedAccessTokenVersion).",
    ],
  ])('refuses an Entra token: %s', async (_name, mint, description) =>
    expectInvalidToken(await mint(), description),
  )

  it("refuses a refresh token of ours, and Entra's behind it", async () => {
    const mine = await login(gate.url, { user: bob, resource: `${gate.url}/mcp` })
    await expectInvalidToken(mine.refresh_token, notOurs)
    entra.clearRequests()
    expect((await refresh(gate.url, mine)).status).toBe(200)
    const upstream = entra.requestsTo('token').at(-1)?.params.refresh_token
    expect(upstream).toEqual(expect.any(String))
    await expectInvalidToken(upstream ?? '', notOurs)
  })

  const foreign = 'The access token is not one of this server.'
  const badSignature = 'The access token has a bad signature.'

  it.each<[string, () => string, string]>([
    [
      'the keys of another ring',
      () => signedByUs({}, {}, ['another ring: 0123456789abcdef']),
      foreign,
    ],
    [
      'another ring under our kid',
      () => {
        const { kid } = keyRing(testKeys).current.signing
        return signedByUs({ kid }, {}, ['another ring: 0123456789abcdef'])
      },
      badSignature,
    ],
    ['a critical extension', () => signedByUs({ crit: ['exp'], exp: 1 }), foreign],
    ['no kid', () => signedByUs({ kid: undefined }), foreign],
    [
      'a kid of an older key of ours',
      () => signedByUs({ kid: keyRing(testKeys).all[1]?.signing.kid }),
      badSignature,
    ],
    ['no exp', () => signedByUs({}, { exp: undefined }), 'The access token has expired.'],
    ['expired', () => signedByUs({}, { exp: 1_700_000_000 }), 'The access token has expired.'],
    [
      'another issuer',
      () => signedByUs({}, { iss: 'http://localhost:1' }),
      'The access token is not for this resource.',
    ],
    [
      'another sid',
      () => signedByUs({}, { sid: 'A'.repeat(43) }),
      'The access token has been revoked.',
    ],
    [
      'another header',
      () => tampered(own.access_token, { kid: keyRing(testKeys).current.signing.kid, x: 1 }),
      badSignature,
    ],
    [
      'more scopes',
      () => tampered(own.access_token, {}, { scope: 'notes.read notes.write' }),
      badSignature,
    ],
    [
      'no signature',
      () => own.access_token.slice(0, own.access_token.lastIndexOf('.') + 1),
      badSignature,
    ],
    [
      'alg none',
      () => tampered(own.access_token, { alg: 'none' }),
      'The token is not signed with RS256.',
    ],
    [
      'alg RS256 in its header',
      () => tampered(own.access_token, { alg: 'RS256' }),
      'The token is not a JWT.',
    ],
    [
      'alg RS256 and the type JWT',
      () => tampered(own.access_token, { alg: 'RS256', typ: 'JWT' }),
      'The token is for another application: its audience is not this server.',
    ],
    ['the type JWT', () => signedByUs({ typ: 'JWT' }), 'The token is not signed with RS256.'],
  ])('refuses a token of ours: %s', (_name, token, description) =>
    expectInvalidToken(token(), description),
  )

  it('refuses a token of ours for another resource, wherever it was seen first', async () => {
    const second = await login(gate.url, { user: ada, resource: `${gate.url}/mcp2` })
    const description = 'The access token is not for this resource.'
    await expectInvalidToken(second.access_token, description)
    expect((await ask(`${gate.url}/mcp2`, second.access_token)).status).toBe(200)
    await expectInvalidToken(second.access_token, description)
    await expectInvalidToken(own.access_token, description, '/mcp2')
  })

  it('does not remember a bad token as a good one', async () => {
    const token = await entra.mintAccessToken({ key: 'foreign' })
    for (let round = 0; round < 3; round++) {
      await expectInvalidToken(token, 'The signature is not valid.')
    }
  })

  it('answers the 431 of Node itself, and lives on, when no header may be that long', async () => {
    const usual = await startGate(entra)
    expect((await ask(`${usual.url}/mcp`, 'a'.repeat(100_000))).status).toBe(431)
    expect((await ask(`${usual.url}/mcp`, await entra.mintAccessToken())).status).toBe(200)
    await usual.close()
  })

  it('takes the first of two Authorization headers, as Node does, and no list of them', async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const bearer = (token: string) => `Bearer ${token}`
      const headers = ['Authorization', bearer('bad'), 'Authorization', bearer(own.access_token)]
      const { port } = new URL(gate.url)
      get({ port, path: '/mcp', headers: ['Host', `localhost:${port}`, ...headers] }, (res) => {
        res.resume()
        resolve(res.statusCode)
      }).on('error', reject)
    })
    expect(status).toBe(401)
  })

  it('refuses expired tokens from its cache too', async () => {
    const aging = await startGate(entra)
    const token = await entra.mintAccessToken({ expiresIn: 100 })
    expect((await ask(`${aging.url}/mcp`, token)).status).toBe(200)
    aging.clock.advance(80)
    expect((await ask(`${aging.url}/mcp`, token)).status).toBe(200)
    aging.clock.advance(26)
    const response = await ask(`${aging.url}/mcp`, token)
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe(
      challenge(aging.url, 'invalid_token', 'The access token has expired.'),
    )
    // And afterwards, when it is no longer in the cache.
    expect((await ask(`${aging.url}/mcp`, token)).status).toBe(401)
    await aging.close()
  })

  it('remembers no more tokens than it was told, and verifies the rest again', async () => {
    const small = await startGate(entra, { options: { maxVerifiedTokens: 2 } })
    const tokens = await Promise.all([1, 2, 3, 4].map(() => entra.mintAccessToken()))
    for (let round = 0; round < 2; round++) {
      for (const token of tokens) expect((await ask(`${small.url}/mcp`, token)).status).toBe(200)
    }
    await small.close()
  })
})

describe('requireBearer and what a token is good for', () => {
  it('refuses a token without the required scope with 403 and names what it holds too', async () => {
    const token = await entra.mintAccessToken({ user: bob, scopes: ['profile.read'] })
    const response = await ask(`${gate.url}/mcp`, token)
    const description = 'The access token lacks a scope that this server requires.'
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toBe(
      challenge(gate.url, 'insufficient_scope', description),
    )
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await response.json()).toEqual({
      error: 'insufficient_scope',
      error_description: description,
    })
  })

  it('takes a scope that implies the required one', async () => {
    const token = await entra.mintAccessToken({ user: bob, scopes: ['notes.write'] })
    expect((await ask(`${gate.url}/mcp`, token)).status).toBe(200)
  })

  it('lets an app with a role pass, and says that there is no user', async () => {
    const daemon = entra.apps[1]?.clientId ?? ''
    const token = await entra.mintAccessToken({ user: null, client: daemon })
    const response = await ask(`${gate.url}/mcp`, token)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({
      clientId: daemon,
      scopes: [],
      expiresAt: decode(token).claims.exp,
      resource: `${gate.url}/mcp`,
      resourceMetadataUrl: `${gate.url}/.well-known/oauth-protected-resource/mcp`,
      extra: { tokenKind: 'entra' },
    })
  })

  it('lets it pass without the optional claim idtyp as well', async () => {
    const token = await entra.mintAccessToken({
      user: null,
      client: entra.apps[1]?.clientId ?? '',
      claims: { idtyp: undefined },
    })
    expect((await ask(`${gate.url}/mcp`, token)).status).toBe(200)
  })

  it('refuses an app without a role: Entra gives any app of the tenant such a token', async () => {
    const token = await entra.mintAccessToken({ user: null, roles: [] })
    const response = await ask(`${gate.url}/mcp`, token)
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toBeNull()
    expect(await response.json()).toEqual({
      error: 'access_denied',
      error_description: 'The app has no role here.',
    })
  })

  it('answers a POST whose body nobody reads, and keeps the connection usable', async () => {
    for (let round = 0; round < 3; round++) {
      const response = await post(`${gate.url}/mcp`, 'bad', { filler: 'a'.repeat(300_000) })
      expect(response.status).toBe(401)
    }
    expect((await ask(`${gate.url}/mcp`, own.access_token)).status).toBe(200)
  })
})

describe('requireBearer and the operator', () => {
  afterEach(() => {
    gate.logs.length = 0
  })

  it('reports refusals with a reason and no token, and nothing for a bare challenge', async () => {
    const token = await entra.mintAccessToken({ user: ada, expiresIn: -10 })
    gate.logs.length = 0
    await ask(`${gate.url}/mcp`)
    await ask(`${gate.url}/mcp`, token)
    expect(gate.logs).toEqual([
      {
        message: 'mcp-entra: refusal',
        endpoint: 'gate',
        reason: 'invalid_token',
        detail: 'The token has expired.',
      },
    ])
  })

  it('publishes the same on the diagnostics channel mcp-entra:refusal', async () => {
    const { channel } = await import('node:diagnostics_channel')
    const events: unknown[] = []
    const subscriber = (event: unknown) => void events.push(event)
    const refusals = channel('mcp-entra:refusal')
    refusals.subscribe(subscriber)
    await ask(`${gate.url}/mcp`, await entra.mintAccessToken({ key: 'foreign' }))
    await ask(`${gate.url}/mcp`, await entra.mintAccessToken({ scopes: ['other'] }))
    refusals.unsubscribe(subscriber)
    expect(events).toEqual([
      { endpoint: 'gate', reason: 'invalid_token', detail: 'The signature is not valid.' },
      {
        endpoint: 'gate',
        reason: 'insufficient_scope',
        detail: 'The access token lacks a scope that this server requires.',
        needed: ['notes.read'],
        user: { tid: entra.tenant.id, oid: entra.user(ada).oid },
        client: { id: expect.stringMatching(/^[\w-]{43}$/) },
        scopes: [],
        resource: `${gate.url}/mcp`,
      },
    ])
  })
})

describe('a fault of ours', () => {
  it.each([
    ['at once', (fault: Error) => () => throwIt(fault)],
    ['later', (fault: Error) => () => Promise.reject(fault)],
  ])('that shows %s goes to next, and is no refusal', async (_when, failing) => {
    const fault = new RangeError('not the fault of the client')
    const middleware = requireBearer(verifyingWith(gate.auth, failing(fault)))
    const app = express()
    app.use(middleware, (_req, res) => void res.end('let in'))
    const heard: unknown[] = []
    app.use(((error, _req, res, _next) => {
      heard.push(error)
      res.status(500).end()
    }) as ErrorRequestHandler)
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    expect((await ask(`http://127.0.0.1:${port}`, 'any token')).status).toBe(500)
    expect(heard).toEqual([fault])
    server.close()
  })

  function throwIt(fault: Error): never {
    throw fault
  }
})

describe('requireBearer at creation', () => {
  it('throws for a resource there is not', () => {
    expect(() => requireBearer(gate.auth, { resource: '/mpc' })).toThrow(
      new TypeError(
        'requireBearer: no such resource: "/mpc": entraAuth\'s resources are "/mcp", "/mcp2"',
      ),
    )
  })

  it('needs neither keys nor a credential', () => {
    const auth = entraAuth({
      baseUrl: 'https://mcp.contoso.com',
      tenantId: entra.tenant.id,
      clientId: entra.app.clientId,
      scopes: notesScopes(entra.app.clientId),
    })
    expect(requireBearer(auth).name).toBe('requireBearerMiddleware')
  })
})
