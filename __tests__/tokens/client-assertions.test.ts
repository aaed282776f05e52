/** Clients that prove themselves by signature: `private_key_jwt` at the token and revocation endpoints. */
import { randomUUID } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import { type DocumentServer, startDocumentServer } from '../support/client-documents.js'
import type { Entra } from '../support/host.js'
import { getCode, postForm, redirectUri, type Tokens } from '../support/oauth-client.js'
import {
  countingStorage,
  jsonOf,
  startProxy,
  startTestEntra,
  type TestProxy,
  testClock,
} from '../support/proxy.js'

interface Signer {
  readonly alg: string
  readonly key: Awaited<ReturnType<typeof generateKeyPair>>['privateKey']
  readonly jwk: JWK
}

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

let entra: Entra
let documents: DocumentServer
let proxy: TestProxy
let signer: Signer
let clientId: string
const clock = testClock()
const { storage, writes } = countingStorage(clock.now)
beforeAll(async () => {
  entra = await startTestEntra()
  documents = await startDocumentServer()
  const options = { now: clock.now, storage, clientMetadata: documents.options }
  proxy = await startProxy(entra, options)
  signer = await makeSigner('ES256', 'one')
  clientId = publish({ jwks: { keys: [signer.jwk] } })
})

async function makeSigner(alg: string, kid?: string): Promise<Signer> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  return { alg, key: privateKey, jwk: kid === undefined ? jwk : { ...jwk, kid } }
}

function publish(changes: Record<string, unknown>): string {
  return documents.publish({ token_endpoint_auth_method: 'private_key_jwt', ...changes })
}

const seconds = () => Math.floor(clock.now() / 1000)

/** An assertion as a good client makes it, changed as told. Undefined takes a claim out. */
async function assertion(
  claims: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
  by: Signer = signer,
): Promise<string> {
  const now = seconds()
  const all = {
    iss: clientId,
    sub: clientId,
    aud: proxy.url,
    iat: now,
    exp: now + 60,
    jti: randomUUID(),
    ...claims,
  }
  const { alg, jwk, key } = by
  return new SignJWT(JSON.parse(JSON.stringify(all)) as JWTPayload)
    .setProtectedHeader({ alg, ...(jwk.kid && { kid: jwk.kid }), ...header })
    .sign(key)
}

/** A request that a client which is let in gets `invalid_grant` for. */
async function ask(
  client_assertion: string,
  more: Record<string, string> = {},
  url = proxy.url,
): Promise<{ status: number; error: unknown; description: unknown }> {
  const answer = await postForm(`${url}/token`, {
    grant_type: 'refresh_token',
    refresh_token: 'none',
    client_assertion_type: assertionType,
    client_assertion,
    ...more,
  })
  const { error, error_description: description } = await jsonOf(answer)
  return { status: answer.status, error, description }
}

const letIn = { status: 400, error: 'invalid_grant', description: expect.any(String) }
const refused = (why: string) => ({
  status: 401,
  error: 'invalid_client',
  description: expect.stringContaining(why),
})

describe('a client with a key', () => {
  it('logs in, refreshes and revokes, signing each time', async () => {
    const { code, verifier } = await getCode(proxy.url, { clientId })
    const signed = async () => ({
      client_assertion_type: assertionType,
      client_assertion: await assertion(),
    })
    const redeemed = await postForm(`${proxy.url}/token`, {
      grant_type: 'authorization_code',
      code,
      code_verifier: verifier,
      redirect_uri: redirectUri,
      client_id: clientId,
      ...(await signed()),
    })
    expect(redeemed.status).toBe(200)
    const { refresh_token } = await jsonOf<Tokens>(redeemed)
    const refreshed = await postForm(`${proxy.url}/token`, {
      grant_type: 'refresh_token',
      refresh_token,
      ...(await signed()),
    })
    expect(refreshed.status).toBe(200)
    const { refresh_token: token } = await jsonOf<Tokens>(refreshed)
    const unsigned = await postForm(`${proxy.url}/revoke`, { token, client_id: clientId })
    expect(unsigned.status).toBe(401)
    const revoked = await postForm(`${proxy.url}/revoke`, { token, ...(await signed()) })
    expect(revoked.status).toBe(200)
  })

  it('is not let in without a signature: not bare, not with a secret, not with Basic', async () => {
    const form = { grant_type: 'refresh_token', refresh_token: 'none', client_id: clientId }
    const must = refused("must authenticate by 'private_key_jwt'").description
    for (const body of [form, { ...form, client_secret: 'guess' }]) {
      const answer = await postForm(`${proxy.url}/token`, body)
      expect([answer.status, await jsonOf(answer)]).toEqual([
        401,
        { error: 'invalid_client', error_description: must },
      ])
    }
    const basic = await fetch(`${proxy.url}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa(`${encodeURIComponent(clientId)}:x`)}` },
      body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'none' }),
    })
    expect(basic.status).toBe(401)
  })

  it.each(['RS256', 'ES256', 'EdDSA'])('signs with %s', async (alg) => {
    const by = await makeSigner(alg, 'k')
    const id = publish({ jwks: { keys: [by.jwk] } })
    expect(await ask(await assertion({ iss: id, sub: id }, {}, by))).toEqual(letIn)
  })

  it.each(['PS256', 'ES384', 'RS512'])('does not sign with %s', async (alg) => {
    const by = await makeSigner(alg, 'k')
    const id = publish({ jwks: { keys: [by.jwk] } })
    expect(await ask(await assertion({ iss: id, sub: id }, {}, by))).toEqual(
      refused('must be signed with RS256, ES256 or EdDSA'),
    )
  })

  it('does not sign with its public key as an HMAC secret, nor with nothing', async () => {
    const secret = new TextEncoder().encode(JSON.stringify(signer.jwk))
    const now = seconds()
    const claims = {
      iss: clientId,
      sub: clientId,
      aud: proxy.url,
      iat: now,
      exp: now + 60,
      jti: 'x',
    }
    const hmac = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', kid: 'one' })
      .sign(secret)
    expect(await ask(hmac)).toEqual(refused('must be signed with'))
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const none = `${encode({ alg: 'none' })}.${encode(claims)}.`
    expect(await ask(none)).toEqual(refused('must be signed with'))
  })

  it('that binds itself to an algorithm uses no other', async () => {
    const by = await makeSigner('RS256', 'two')
    const keys = { keys: [signer.jwk, by.jwk] }
    const id = publish({ jwks: keys, token_endpoint_auth_signing_alg: 'RS256' })
    expect(await ask(await assertion({ iss: id, sub: id }, {}, by))).toEqual(letIn)
    expect(await ask(await assertion({ iss: id, sub: id }))).toEqual(refused('signed with RS256.'))
  })

  it('may name the issuer or the token endpoint as the audience, exactly and alone', async () => {
    for (const aud of [proxy.url, `${proxy.url}/token`, [proxy.url]]) {
      expect(await ask(await assertion({ aud }))).toEqual(letIn)
    }
    const others = [
      `${proxy.url}/`,
      `${proxy.url}//token`,
      `${proxy.url}/token/`,
      `${proxy.url}/revoke`,
      'https://other.example',
      [proxy.url, 'https://other.example'],
      [],
    ]
    for (const aud of others) {
      expect(await ask(await assertion({ aud }))).toEqual(
        refused(`must name ${proxy.url} as its only audience`),
      )
    }
  })

  it.each(['iss', 'sub', 'aud', 'exp', 'iat', 'jti'])('cannot leave out %s', async (claim) => {
    const answer = await ask(await assertion({ [claim]: undefined }), { client_id: clientId })
    expect(answer).toEqual(refused(`'${claim}'`))
  })

  it('names itself as issuer and subject, and nobody else', async () => {
    const other = publish({ jwks: { keys: [signer.jwk] } })
    expect(await ask(await assertion({ iss: other }))).toEqual(refused("wrong 'iss'"))
    expect(await ask(await assertion({ sub: other }), { client_id: clientId })).toEqual(
      refused("wrong 'sub'"),
    )
  })

  it.each([
    ['has expired', -31, -100],
    ['is good for more than 300 seconds', 340, 20],
    ['is good for more than 300 seconds', 200, -101],
    ["has an 'iat' in the future", 100, 40],
  ])('%s when it ends in %i seconds and was issued at %i', async (why, exp, iat) => {
    const now = seconds()
    expect(await ask(await assertion({ exp: now + exp, iat: now + iat }))).toEqual(refused(why))
  })

  it('may be good for five minutes, and its clock half a minute ahead or behind', async () => {
    const now = seconds()
    for (const [exp, iat] of [
      [300, 0],
      [325, 25],
      [-25, -100],
    ] as const) {
      expect(await ask(await assertion({ exp: now + exp, iat: now + iat }))).toEqual(letIn)
    }
    expect(await ask(await assertion({ nbf: now + 60 }))).toEqual(refused("'nbf'"))
  })

  it.each(['', 5, null, ['x']])('has a text as jti, and not %j', async (jti) => {
    expect(await ask(await assertion({ jti }))).toEqual(refused("'jti'"))
  })

  it.each(['at+jwt', 'dpop+jwt', 'oauth-id-jag+jwt'])(
    'is no token for something else: typ %s',
    async (typ) => {
      expect(await ask(await assertion({}, { typ }))).toEqual(refused("'typ'"))
    },
  )

  it.each(['JWT', 'jwt', 'client-authentication+jwt'])('may have the typ %s', async (typ) => {
    expect(await ask(await assertion({}, { typ }))).toEqual(letIn)
  })

  it('may have headers of its own, but none that we would have to understand', async () => {
    expect(await ask(await assertion({}, { 'https://client.example/x': 1 }))).toEqual(letIn)
    const critical = await assertion().then((jwt) => {
      const [, payload, signature] = jwt.split('.')
      const header = { alg: 'ES256', kid: 'one', crit: ['exp'], exp: 1 }
      return `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${payload}.${signature}`
    })
    expect(await ask(critical)).toEqual(refused('has a signature that is not'))
  })

  it.each(['', 'x', 'a.b', 'a.b.c', 'e30.e30.', 'e30.e30.AAAA'])(
    'sends a JWT and not %j',
    async (junk) => {
      expect((await ask(junk, { client_id: clientId })).status).toBeGreaterThanOrEqual(400)
      expect((await ask(junk)).status).toBeLessThan(500)
    },
  )
})

describe('an assertion', () => {
  it('is good once', async () => {
    const one = await assertion()
    expect(await ask(one)).toEqual(letIn)
    expect(await ask(one)).toEqual(refused('has been used before'))
  })

  it('is good for one of twenty who bring it at once, to two replicas of the server', async () => {
    const shared = { now: clock.now, storage, clientMetadata: documents.options }
    const replica = await startProxy(entra, { ...shared, baseUrl: proxy.url })
    const one = await assertion()
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        ask(one, {}, index % 2 === 0 ? proxy.url : replica.address),
      ),
    )
    expect(answers.filter(({ error }) => error === 'invalid_grant')).toHaveLength(1)
    expect(answers.filter(({ error }) => error === 'invalid_client')).toHaveLength(19)
  })

  it('cannot be used again at any time while it would be good, its grace for slow clocks included', async () => {
    const now = seconds()
    const one = await assertion({ exp: now + 300, jti: 'late' })
    expect(await ask(one)).toEqual(letIn)
    clock.advance(325)
    expect(await ask(one)).toEqual(refused('has been used before'))
    clock.advance(10)
    expect(await ask(one)).toEqual(refused('has expired'))
  })

  it('of another client may have the same jti', async () => {
    const other = publish({ jwks: { keys: [signer.jwk] } })
    const jti = randomUUID()
    expect(await ask(await assertion({ jti }))).toEqual(letIn)
    expect(await ask(await assertion({ jti, iss: other, sub: other }))).toEqual(letIn)
  })

  it('that nobody signed writes nothing, and uses nothing up', async () => {
    const jti = randomUUID()
    const stranger = await makeSigner('ES256', 'one')
    const before = writes.length
    expect(await ask(await assertion({ jti }, {}, stranger))).toEqual(refused('has a signature'))
    expect(await ask(await assertion({ jti, aud: 'https://other.example' }))).toEqual(
      refused('audience'),
    )
    expect(await ask(await assertion({ jti, exp: seconds() - 60 }))).toEqual(refused('expired'))
    expect(writes).toHaveLength(before)
    expect(await ask(await assertion({ jti }))).toEqual(letIn)
    expect(writes).toHaveLength(before + 1)
  })

  it('leaves neither its jti nor its client in the store', async () => {
    const jti = randomUUID()
    await ask(await assertion({ jti }))
    expect(writes.at(-1)).toMatch(/^assertion:[A-Za-z0-9_-]{43}$/)
  })

  it('is the only method of its request', async () => {
    const one = await assertion()
    expect(await ask(one, { client_secret: 'x', client_id: clientId })).toMatchObject({
      status: 400,
      error: 'invalid_request',
    })
    const basic = await fetch(`${proxy.url}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${btoa('x:y')}` },
      body: new URLSearchParams({
        grant_type: 'refresh_token',
        client_assertion: one,
        client_assertion_type: assertionType,
      }),
    })
    expect(basic.status).toBe(400)
  })

  it.each(['urn:ietf:params:oauth:client-assertion-type:saml2-bearer', ''])(
    'has the one type there is, and not %j',
    async (client_assertion_type) => {
      expect(await ask(await assertion(), { client_assertion_type })).toMatchObject({
        status: 400,
        error: 'invalid_request',
      })
    },
  )

  it('of a client that has no key gets nobody in', async () => {
    const id = documents.publish()
    expect(await ask(await assertion({ iss: id, sub: id }))).toEqual(
      refused("must authenticate by 'none'"),
    )
    expect(await ask(await assertion({ sub: 'unknown' }))).toEqual(refused('not known'))
  })
})

describe('the keys of a client', () => {
  const at = (path: string, keys: unknown[]) => documents.serve(path, { body: { keys } })

  it('may be at a jwks_uri: fetched once, and kept', async () => {
    const jwks_uri = at('/keys/one', [signer.jwk])
    const id = publish({ jwks_uri })
    for (let count = 0; count < 3; count += 1) {
      expect(await ask(await assertion({ iss: id, sub: id }))).toEqual(letIn)
    }
    expect(documents.fetches(jwks_uri)).toBe(1)
  })

  it('may rotate: a new one is found at once, and then asked for at most every 30 seconds', async () => {
    const jwks_uri = at('/keys/rotating', [signer.jwk])
    const id = publish({ jwks_uri })
    const [next, third] = [await makeSigner('ES256', 'next'), await makeSigner('ES256', 'third')]
    const signed = (by: typeof next) => assertion({ iss: id, sub: id }, {}, by)
    expect(await ask(await assertion({ iss: id, sub: id }))).toEqual(letIn)
    at('/keys/rotating', [signer.jwk, next.jwk])
    expect(await ask(await signed(next))).toEqual(letIn)
    expect(documents.fetches(jwks_uri)).toBe(2)
    at('/keys/rotating', [next.jwk, third.jwk])
    for (let count = 0; count < 5; count += 1) {
      expect(await ask(await signed(third))).toEqual(refused("not among the client's"))
    }
    expect(documents.fetches(jwks_uri)).toBe(2)
    clock.advance(30)
    expect(await ask(await signed(third))).toEqual(letIn)
    expect(documents.fetches(jwks_uri)).toBe(3)
  })

  it('may have none of our kinds among them: those are passed over', async () => {
    const others = [
      { kty: 'oct', k: 'c2VjcmV0' },
      { kty: 'EC', crv: 'P-521', x: 'AA', y: 'AA', kid: 'one' },
      { kty: 'EC', crv: 'P-256', x: 'not a point', y: 'AA', kid: 'one' },
      { kty: 'XYZ', kid: 'one' },
      { ...signer.jwk, use: 'enc' },
    ]
    const id = publish({ jwks: { keys: [...others, signer.jwk] } })
    expect(await ask(await assertion({ iss: id, sub: id }))).toEqual(letIn)
    const without = publish({ jwks: { keys: others } })
    expect((await ask(await assertion({ iss: without, sub: without }))).status).toBe(401)
  })

  it('need no kid when there is one of its kind', async () => {
    const by = await makeSigner('EdDSA')
    const id = publish({ jwks: { keys: [signer.jwk, by.jwk] } })
    expect(await ask(await assertion({ iss: id, sub: id }, {}, by))).toEqual(letIn)
  })

  it('are never tried one after the other: with several of a kind the assertion names one', async () => {
    const by = await makeSigner('EdDSA')
    const others = await Promise.all([makeSigner('EdDSA'), makeSigner('EdDSA', 'two')])
    const named = { ...by, jwk: { ...by.jwk, kid: 'named' } }
    const keys = [...others.map(({ jwk }) => jwk), named.jwk]
    const id = publish({ jwks: { keys } })
    expect(await ask(await assertion({ iss: id, sub: id }, {}, by))).toEqual(
      refused("must name its key by 'kid' in its header: the client has several"),
    )
    expect(await ask(await assertion({ iss: id, sub: id }, {}, named))).toEqual(letIn)
    const twice = publish({ jwks: { keys: [...keys, { ...signer.jwk, kid: 'named' }] } })
    expect(await ask(await assertion({ iss: twice, sub: twice }, {}, named))).toEqual(letIn)
    const same = publish({ jwks: { keys: [...keys, { ...others[0]?.jwk, kid: 'named' }] } })
    expect(await ask(await assertion({ iss: same, sub: same }, {}, named))).toEqual(
      refused("has a 'kid' that several keys of the client have"),
    )
  })

  it('are the first eight that can be used', async () => {
    const nine = await Promise.all(
      Array.from({ length: 9 }, (_, index) => makeSigner('ES256', `key ${index}`)),
    )
    const [first, , , , , , , eighth, ninth] = nine
    const unusable = Array<object>(20).fill({})
    const id = publish({ jwks_uri: at('/keys/nine', [...unusable, ...nine.map(({ jwk }) => jwk)]) })
    for (const by of [first, eighth]) {
      expect(await ask(await assertion({ iss: id, sub: id }, {}, by))).toEqual(letIn)
    }
    expect(await ask(await assertion({ iss: id, sub: id }, {}, ninth))).toEqual(
      refused("not among the client's first 8 usable keys"),
    )
  })

  it('that are on no curve let nobody in, and are no error of ours', async () => {
    const { x, kid } = signer.jwk
    const id = publish({ jwks: { keys: [{ kty: 'EC', crv: 'P-256', x, y: 'A'.repeat(43), kid }] } })
    for (let count = 0; count < 2; count += 1) {
      expect(await ask(await assertion({ iss: id, sub: id }))).toEqual(refused('has a signature'))
    }
  })

  it('that cannot be asked for again are an outage for an assertion with a new one', async () => {
    const jwks_uri = at('/keys/limited', [signer.jwk])
    const id = publish({ jwks_uri })
    expect(await ask(await assertion({ iss: id, sub: id }))).toEqual(letIn)
    documents.serve('/keys/limited', { status: 403 })
    clock.advance(30)
    const next = await makeSigner('ES256', 'next')
    expect(await ask(await assertion({ iss: id, sub: id }, {}, next))).toMatchObject({
      status: 503,
      error: 'temporarily_unavailable',
    })
    expect(await ask(await assertion({ iss: id, sub: id }))).toEqual(letIn)
    expect(documents.fetches(jwks_uri)).toBe(2)
  })

  it('are public: one that is published with its private part lets nobody in', async () => {
    const id = publish({ jwks: { keys: [{ ...signer.jwk, d: 'AAAA' }] } })
    expect(await ask(await assertion({ iss: id, sub: id }))).toEqual(refused('not among'))
  })

  it('of RSA have 2048 bits or more', async () => {
    const weak = await makeSigner('RS256', 'weak')
    const id = publish({ jwks: { keys: [{ ...weak.jwk, n: weak.jwk.n?.slice(0, 170) }] } })
    expect((await ask(await assertion({ iss: id, sub: id }, {}, weak))).status).toBe(401)
  })

  it('that cannot be fetched are an outage, 503; keys that are no keys are the fault of the client', async () => {
    const down = publish({ jwks_uri: documents.serve('/keys/down', { status: 500 }) })
    expect(await ask(await assertion({ iss: down, sub: down }))).toMatchObject({
      status: 503,
      error: 'temporarily_unavailable',
    })
    const gone = publish({ jwks_uri: documents.serve('/keys/gone', { status: 404 }) })
    expect(await ask(await assertion({ iss: gone, sub: gone }))).toEqual(
      refused("'jwks_uri' cannot"),
    )
    const page = publish({ jwks_uri: documents.serve('/keys/page', { body: [] }) })
    expect(await ask(await assertion({ iss: page, sub: page }))).toEqual(refused('key set'))
  })

  it('are fetched as safely as documents: never from inside', async () => {
    const guarded = await startProxy(entra, {
      clientMetadata: {
        ...documents.options,
        resolve: async (host) => (host === 'client.example' ? ['127.0.0.1'] : ['10.0.0.1']),
      },
    })
    const id = publish({ jwks_uri: 'https://inside.example/keys' })
    const one = await assertion({ iss: id, sub: id, aud: guarded.url })
    expect(await ask(one, {}, guarded.url)).toEqual({
      status: 503,
      error: 'temporarily_unavailable',
      description: expect.stringContaining('the host has no public address'),
    })
  })
})
