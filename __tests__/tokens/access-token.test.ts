import { describe, expect, it } from '@jest/globals'
import { importJWK, jwtVerify, SignJWT } from 'jose'
import { type ParsedJws, parseJws, signEs256 } from '../../lib/crypto/jws.js'
import { keyRing } from '../../lib/crypto/key-ring.js'
import { accessTokens } from '../../lib/tokens/access-token.js'
import { refusal } from '../support/refusal.js'
import { loginGrant, ring, start } from '../support/replica.js'

const issuer = 'https://mcp.contoso.com'
const seconds = start / 1000
const request = {
  sid: 'the-sid',
  grant: loginGrant,
  clientId: 'client-1',
  scopes: ['notes.read', 'notes.write'],
}

function setup(maxAge = 600, keys = ring) {
  const clock = { now: start }
  return { clock, tokens: accessTokens(issuer, keys, maxAge, () => clock.now) }
}

describe('an access token of ours', () => {
  it('has the header and the claims of RFC 9068, and nothing that names a person', () => {
    const { token, expiresIn } = setup().tokens.mint(request)
    const { header, claims } = parsed(token)
    expect(expiresIn).toBe(600)
    expect(header).toEqual({ typ: 'at+jwt', alg: 'ES256', kid: ring.current.signing.kid })
    expect(claims).toEqual({
      iss: issuer,
      aud: 'https://mcp.contoso.com/mcp',
      sub: 'pairwise-alice',
      client_id: 'client-1',
      scope: 'notes.read notes.write',
      exp: seconds + 600,
      iat: seconds,
      jti: expect.stringMatching(/^[A-Za-z0-9_-]{22}$/),
      sid: 'the-sid',
    })
  })

  it('verifies with jose and the published key', async () => {
    const { token } = setup().tokens.mint(request)
    const { payload } = await jwtVerify(
      token,
      await importJWK({ ...ring.current.signing.jwk }, 'ES256'),
      {
        issuer,
        audience: loginGrant.resource,
        typ: 'at+jwt',
        currentDate: new Date(start),
      },
    )
    expect(payload.sid).toBe('the-sid')
  })

  it('has a jti of its own each time', () => {
    const { tokens } = setup()
    const jtis = Array.from({ length: 100 }, () => parsed(tokens.mint(request).token).claims.jti)
    expect(new Set(jtis).size).toBe(100)
  })

  it("lives no longer than Entra's own", () => {
    const grant = { ...loginGrant, upstream: { ...loginGrant.upstream, expiresAt: seconds + 90 } }
    const { token, expiresIn } = setup().tokens.mint({ ...request, grant })
    expect(expiresIn).toBe(90)
    expect(parsed(token).claims.exp).toBe(seconds + 90)
  })

  it('counts whole seconds, rounded in favour of an earlier end', () => {
    const { tokens, clock } = setup()
    clock.now = start + 999
    expect(parsed(tokens.mint(request).token).claims).toMatchObject({
      iat: seconds,
      exp: seconds + 600,
    })
  })

  it('is good for its resource until the very second it expires', async () => {
    const { tokens, clock } = setup()
    const jws = parsed(tokens.mint(request).token)
    clock.now = start + 599_999
    expect(await tokens.verify(jws, loginGrant.resource)).toEqual(jws.claims)
    expect(await tokens.verify(jws)).toEqual(jws.claims)
    clock.now += 1
    await expect(tokens.verify(jws, loginGrant.resource)).rejects.toMatchObject({
      code: 'invalid_token',
      description: 'The access token has expired.',
      scopes: ['notes.read', 'notes.write'],
    })
  })

  it('stays good after the keys were rotated, until its key leaves the ring', async () => {
    const jws = parsed(setup().tokens.mint(request).token)
    const newer = 'newer-operator-secret-of-the-tests'
    const rotated = setup(600, keyRing([newer, 'operator-secret-of-these-tests-01'])).tokens
    expect(await rotated.verify(jws)).toEqual(jws.claims)
    expect(parsed(rotated.mint(request).token).header.kid).not.toBe(jws.header.kid)
    const without = setup(600, keyRing([newer])).tokens
    expect(refusal(() => without.verify(jws))).toEqual(notOurs)
  })
})

const notOurs = {
  error: 'invalid_token',
  error_description: 'The access token is not one of this server.',
}

describe('a token that is refused', () => {
  const { kid, privateKey } = ring.current.signing
  const claims = parsed(setup().tokens.mint(request).token).claims
  const signed = (header: object, changed: object = {}) =>
    parsed(signEs256({ typ: 'at+jwt', kid, ...header }, { ...claims, ...changed }, privateKey))
  const verify = (jws: ParsedJws) =>
    refusal(() => setup().tokens.verify(jws, loginGrant.resource)).error_description

  it.each<[string, ParsedJws, string]>([
    ['without a kid', signed({ kid: undefined }), notOurs.error_description],
    ['with a kid that is no text', signed({ kid: [kid] }), notOurs.error_description],
    ['of an unknown key', signed({ kid: 'other' }), notOurs.error_description],
    ['of another type', signed({ typ: 'JWT' }), notOurs.error_description],
    ['with critical extensions', signed({ crit: ['b64'], b64: true }), notOurs.error_description],
    ['without an expiry', signed({}, { exp: undefined }), 'The access token has expired.'],
    ['with an expiry in words', signed({}, { exp: '9999999999' }), 'The access token has expired.'],
    [
      'of another issuer',
      signed({}, { iss: `${issuer}/` }),
      'The access token is not for this resource.',
    ],
    [
      'for another resource',
      signed({}, { aud: `${issuer}/mcp2` }),
      'The access token is not for this resource.',
    ],
    [
      'for many resources',
      signed({}, { aud: [loginGrant.resource] }),
      'The access token is not for this resource.',
    ],
  ])('is one %s', (_, jws, why) => {
    expect(verify(jws)).toBe(why)
  })

  it('is one that has expired; its scopes are named, once the signature has proved it ours', async () => {
    const expired = signed({}, { exp: seconds, scope: 'notes.read notes.write' })
    await expect(setup().tokens.verify(expired)).rejects.toMatchObject({
      code: 'invalid_token',
      description: 'The access token has expired.',
      scopes: ['notes.read', 'notes.write'],
    })
    const forged = { ...expired, signature: signed({}).signature }
    await expect(setup().tokens.verify(forged)).rejects.toMatchObject({
      description: 'The access token has a bad signature.',
      scopes: undefined,
    })
  })

  const badSignature = (jws: ParsedJws) =>
    expect(setup().tokens.verify(jws, loginGrant.resource)).rejects.toMatchObject({
      code: 'invalid_token',
      description: 'The access token has a bad signature.',
    })

  it('is one with any claim changed', async () => {
    const jws = signed({})
    const forged = { ...jws, signingInput: signed({}, { scope: 'everything' }).signingInput }
    await badSignature(forged)
  })

  it.each(['none', 'HS256', 'RS256', 'ES384'])('is one that says alg %s', (alg) => {
    const jws = signed({})
    expect(verify({ ...jws, header: { ...jws.header, alg } })).toBe(notOurs.error_description)
  })

  it('is one signed with the public key as an HMAC secret', async () => {
    const secret = new TextEncoder().encode(JSON.stringify(ring.current.signing.jwk))
    const token = await new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'HS256', kid, typ: 'at+jwt' })
      .sign(secret)
    expect(verify(parsed(token))).toBe(notOurs.error_description)
    const relabelled = { ...parsed(token), header: { alg: 'ES256', kid, typ: 'at+jwt' } }
    await badSignature(relabelled)
  })
})

describe('a token that says it is ours', () => {
  it.each([
    [{ typ: 'at+jwt', alg: 'ES256' }, true],
    [{ typ: 'JWT', alg: 'ES256' }, false],
    [{ typ: 'at+jwt', alg: 'RS256' }, false],
    [{}, false],
  ])('is known by its header %j: %p', (header, expected) => {
    const jws = { header, claims: {}, signingInput: Buffer.alloc(0), signature: Buffer.alloc(0) }
    expect(setup().tokens.claimsToBeOurs(jws)).toBe(expected)
  })
})

function parsed(token: string): ParsedJws {
  const jws = parseJws(token)
  if (!jws) throw new Error('not a JWS')
  return jws
}
