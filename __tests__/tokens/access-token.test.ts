import { describe, expect, it } from '@jest/globals'
import { importJWK, jwtVerify, SignJWT } from 'jose'
import { type DecodedJwt, decodeJwt } from '../../lib/crypto/decode-jwt.js'
import { keyRing } from '../../lib/crypto/key-ring.js'
import { OAuthError } from '../../lib/oauth/errors.js'
import { accessTokens } from '../../lib/tokens/access-token.js'
import { outcome } from '../support/entra.js'
import { loginGrant, ring, start } from '../support/replica.js'
import { signEs256 } from '../support/sign-es256.js'

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
  it('has the header and the claims of RFC 9068, and nothing that names a person', async () => {
    const { token, expiresIn } = await setup().tokens.mint(request)
    const { header, claims } = decoded(token)
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
    const { token } = await setup().tokens.mint(request)
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

  it('has a jti of its own each time', async () => {
    const { tokens } = setup()
    const minted = await Promise.all(Array.from({ length: 100 }, () => tokens.mint(request)))
    const jtis = minted.map(({ token }) => decoded(token).claims.jti)
    expect(new Set(jtis).size).toBe(100)
  })

  it("lives no longer than Entra's own", async () => {
    const grant = { ...loginGrant, upstream: { ...loginGrant.upstream, expiresAt: seconds + 90 } }
    const { token, expiresIn } = await setup().tokens.mint({ ...request, grant })
    expect(expiresIn).toBe(90)
    expect(decoded(token).claims.exp).toBe(seconds + 90)
  })

  it('counts whole seconds, rounded in favour of an earlier end', async () => {
    const { tokens, clock } = setup()
    clock.now = start + 999
    expect(decoded((await tokens.mint(request)).token).claims).toMatchObject({
      iat: seconds,
      exp: seconds + 600,
    })
  })

  it('is good for its resource until the very second it expires', async () => {
    const { tokens, clock } = setup()
    const jwt = decoded((await tokens.mint(request)).token)
    clock.now = start + 599_999
    expect(await tokens.verify(jwt, loginGrant.resource)).toEqual(jwt.claims)
    expect(await tokens.verify(jwt)).toEqual(jwt.claims)
    clock.now += 1
    await expect(tokens.verify(jwt, loginGrant.resource)).rejects.toMatchObject({
      code: 'invalid_token',
      description: 'The access token has expired.',
      scopes: ['notes.read', 'notes.write'],
    })
  })

  it('stays good after the keys were rotated, until its key leaves the ring', async () => {
    const jwt = decoded((await setup().tokens.mint(request)).token)
    const newer = 'newer-operator-secret-of-the-tests'
    const rotated = setup(600, keyRing([newer, 'operator-secret-of-these-tests-01'])).tokens
    expect(await rotated.verify(jwt)).toEqual(jwt.claims)
    expect(decoded((await rotated.mint(request)).token).header.kid).not.toBe(jwt.header.kid)
    const without = setup(600, keyRing([newer])).tokens
    expect(await outcome(() => without.verify(jwt))).toMatchObject(refusal(notOurs))
  })
})

const notOurs = 'The access token is not one of this server.'
const badSignature = 'The access token has a bad signature.'

const refusal = (description: string) => ({ code: 'invalid_token', description })

describe('a token that is refused', () => {
  const { kid, privateKey } = ring.current.signing
  const seed = signEs256({ typ: 'at+jwt', kid }, goodClaims(), privateKey)
  const claims = decoded(seed).claims
  const signed = (header: object, changed: object = {}) =>
    decoded(signEs256({ typ: 'at+jwt', kid, ...header }, { ...claims, ...changed }, privateKey))
  const verify = async (jwt: DecodedJwt) => {
    const error = await outcome(() => setup().tokens.verify(jwt, loginGrant.resource))
    expect(error).toBeInstanceOf(OAuthError)
    return error
  }
  /** The parts of one token with a part of another. */
  const withPart = (jwt: DecodedJwt, index: 0 | 1 | 2, from: DecodedJwt) => {
    const parts = jwt.token.split('.')
    parts[index] = from.token.split('.')[index] ?? ''
    return decoded(parts.join('.'))
  }

  it.each<[string, DecodedJwt, string]>([
    ['without a kid', signed({ kid: undefined }), notOurs],
    ['with a kid that is no text', signed({ kid: [kid] }), notOurs],
    ['of an unknown key', signed({ kid: 'other' }), notOurs],
    ['of another type', signed({ typ: 'JWT' }), notOurs],
    ['with critical extensions', signed({ crit: ['b64'], b64: true }), notOurs],
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
  ])('is one %s, before its signature is checked', async (_, jwt, why) => {
    expect(await verify(jwt)).toMatchObject(refusal(why))
    const unsigned = { ...jwt, token: jwt.token.replace(/[^.]*$/, 'AAAA') }
    expect(await verify(unsigned)).toMatchObject(refusal(why))
  })

  it('is one that has expired; its scopes are named, once the signature has proved it ours', async () => {
    const expired = signed({}, { exp: seconds, scope: 'notes.read notes.write' })
    await expect(setup().tokens.verify(expired)).rejects.toMatchObject({
      code: 'invalid_token',
      description: 'The access token has expired.',
      scopes: ['notes.read', 'notes.write'],
    })
    const forged = withPart(expired, 2, signed({}))
    await expect(setup().tokens.verify(forged)).rejects.toMatchObject({
      description: badSignature,
      scopes: undefined,
    })
  })

  it('is one with any claim changed', async () => {
    const forged = withPart(signed({}), 1, signed({}, { scope: 'everything' }))
    expect(await verify(forged)).toMatchObject(refusal(badSignature))
  })

  it('is one whose signature is missing, cut, longer, changed or all zero', async () => {
    const { token } = signed({})
    const good = Buffer.from(token.split('.')[2] ?? '', 'base64url')
    const flipped = Buffer.from(good)
    flipped[3] = (flipped[3] ?? 0) ^ 1
    for (const signature of [
      Buffer.alloc(0),
      good.subarray(1),
      Buffer.concat([good, Buffer.from([0])]),
      flipped,
      Buffer.alloc(good.length),
    ]) {
      const forged = decoded(token.replace(/[^.]*$/, signature.toString('base64url')))
      expect(await verify(forged)).toMatchObject(refusal(badSignature))
    }
  })

  it('is one signed with another key under the name of ours', async () => {
    const { privateKey: other } = keyRing(['another-secret-of-these-tests-01']).current.signing
    const forged = decoded(signEs256({ typ: 'at+jwt', kid }, claims, other))
    expect(await verify(forged)).toMatchObject(refusal(badSignature))
  })

  it.each(['none', 'HS256', 'RS256', 'ES384'])('is one that says alg %s', async (alg) => {
    const jwt = signed({})
    expect(await verify(relabelled(jwt, { ...jwt.header, alg }))).toMatchObject(refusal(notOurs))
  })

  it('is one signed with the public key as an HMAC secret', async () => {
    const secret = new TextEncoder().encode(JSON.stringify(ring.current.signing.jwk))
    const token = await new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'HS256', kid, typ: 'at+jwt' })
      .sign(secret)
    expect(await verify(decoded(token))).toMatchObject(refusal(notOurs))
    const asOurs = relabelled(decoded(token), { alg: 'ES256', kid, typ: 'at+jwt' })
    expect(await verify(asOurs)).toMatchObject(refusal(badSignature))
  })

  it('is no refusal but an error of ours when the key cannot be used', async () => {
    const { current } = keyRing(['operator-secret-of-these-tests-01'])
    const signing = { ...current.signing, publicKey: privateKey }
    const broken = { ...current, signing }
    const { tokens } = setup(600, { ...ring, bySigningKid: () => broken })
    expect(await outcome(() => tokens.verify(signed({})))).not.toBeInstanceOf(OAuthError)
    await expect(tokens.verify(signed({}))).rejects.toThrow()
  })
})

describe('a token that says it is ours', () => {
  it.each([
    [{ typ: 'at+jwt', alg: 'ES256' }, true],
    [{ typ: 'JWT', alg: 'ES256' }, false],
    [{ typ: 'at+jwt', alg: 'RS256' }, false],
    [{}, false],
  ])('is known by its header %j: %p', (header, expected) => {
    expect(setup().tokens.claimsToBeOurs({ header, claims: {}, token: '' })).toBe(expected)
  })
})

function goodClaims(): object {
  return {
    iss: issuer,
    aud: loginGrant.resource,
    sub: 'pairwise-alice',
    client_id: 'client-1',
    scope: 'notes.read notes.write',
    exp: seconds + 600,
    iat: seconds,
    jti: 'jti-1',
    sid: 'the-sid',
  }
}

/** The same claims and signature under another header. */
function relabelled({ token }: DecodedJwt, header: object): DecodedJwt {
  const encoded = Buffer.from(JSON.stringify(header)).toString('base64url')
  return decoded(token.replace(/^[^.]*/, encoded))
}

function decoded(token: string): DecodedJwt {
  const jwt = decodeJwt(token)
  if (!jwt) throw new Error('not a JWT')
  return jwt
}
