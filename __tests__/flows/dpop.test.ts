/** DPoP from registration to the gate, by hand: what is bound to a key, and what a thief without it can do. */

import { beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { type EntraAuthOptions, entraAuth, memoryStorage } from 'mcp-entra'
import { startDocumentServer } from '../support/client-documents.js'
import {
  askBound,
  askToken,
  loginBound,
  newKey,
  type ProofKeyPair,
  type ProofParts,
  proof,
  redeemBound,
  refreshBound,
} from '../support/dpop.js'
import { decode } from '../support/gate.js'
import { type Entra, testKeys } from '../support/host.js'
import {
  getCode,
  getNotes,
  login,
  postForm,
  postJson,
  redeem,
  redirectUri,
  refresh,
  register,
  type Tokens,
} from '../support/oauth-client.js'
import {
  approve,
  authOptions,
  clientAnswer,
  expectRefusal,
  hear,
  jsonOf,
  openConsent,
  send,
  startProxy,
  startTestEntra,
  type TestProxy,
  testClock,
} from '../support/proxy.js'

const algorithms = ['ES256', 'EdDSA', 'RS256']

let entra: Entra
let proxy: TestProxy
beforeAll(async () => {
  entra = await startTestEntra()
  proxy = await startProxy(entra)
})

/** Reads the notes with a bound token. */
function notes(url: string, token: string, key: ProofKeyPair, parts: ProofParts = {}) {
  const target = `${url}/api/notes`
  return askBound(target, token, proof(key, 'GET', target, token, parts))
}

/** Expects a 401 of the gate to a request with DPoP, with the challenge in whole. */
async function expectRefused(response: Response, code: string, why: string | RegExp) {
  const body = await jsonOf(response)
  expect([response.status, body.error]).toEqual([401, code])
  expect(body.error_description).toEqual(expect.stringMatching(why))
  expect(response.headers.get('www-authenticate')).toBe(
    `DPoP error="${code}", error_description="${body.error_description}", scope="notes.read", resource_metadata="${proxy.url}/.well-known/oauth-protected-resource/mcp", algs="ES256 EdDSA RS256"`,
  )
}

describe('discovery', () => {
  const document = async (url: string, name: string) =>
    jsonOf(await fetch(`${url}/.well-known/${name}`))

  it('names the algorithms in both documents (RFC 9449 section 5.1, RFC 9728 section 2)', async () => {
    for (const name of ['oauth-authorization-server', 'oauth-protected-resource/mcp']) {
      const { dpop_signing_alg_values_supported: algs, ...rest } = await document(proxy.url, name)
      expect(algs).toEqual(algorithms)
      expect(rest).not.toHaveProperty('dpop_bound_access_tokens_required')
    }
  })

  it('says so where DPoP is required, and nothing of it where it is off', async () => {
    const strict = await startProxy(entra, { dpop: 'required' })
    const off = await startProxy(entra, { dpop: 'off' })
    const resource = 'oauth-protected-resource/mcp'
    expect(await document(strict.url, resource)).toMatchObject({
      dpop_signing_alg_values_supported: algorithms,
      dpop_bound_access_tokens_required: true,
    })
    for (const name of ['oauth-authorization-server', resource]) {
      expect(Object.keys(await document(off.url, name)).join()).not.toContain('dpop')
    }
    expect((await fetch(`${off.url}/api/notes`)).headers.get('www-authenticate')).not.toContain(
      'DPoP',
    )
  })
})

describe.each(['ES256', 'EdDSA', 'RS256'] as const)('a client with an %s key', (alg) => {
  it('gets tokens bound to it, and they work with a proof each time', async () => {
    const key = newKey(alg)
    const tokens = await loginBound(proxy.url, key)
    expect(tokens.token_type).toBe('DPoP')
    expect(decode(tokens.access_token).claims.cnf).toEqual({ jkt: key.jkt })
    for (let round = 0; round < 2; round++) {
      expect((await notes(proxy.url, tokens.access_token, key)).status).toBe(200)
    }
    const renewed = await jsonOf<Tokens>(await refreshBound(proxy.url, tokens, key))
    expect(renewed.token_type).toBe('DPoP')
    expect(decode(renewed.access_token).claims.cnf).toEqual({ jkt: key.jkt })
    expect((await notes(proxy.url, renewed.access_token, key)).status).toBe(200)
  })
})

describe('a client without a key', () => {
  it('gets bearer tokens, as before', async () => {
    const tokens = await login(proxy.url)
    expect(tokens.token_type).toBe('Bearer')
    expect(decode(tokens.access_token).claims).not.toHaveProperty('cnf')
    expect((await getNotes(proxy.url, tokens.access_token)).status).toBe(200)
  })
})

describe('a stolen access token', () => {
  const key = newKey()
  let token: string
  beforeAll(async () => {
    token = (await loginBound(proxy.url, key)).access_token
  })

  it('is not taken as Bearer, and the challenges name DPoP (RFC 9449 section 7.1)', async () => {
    const response = await getNotes(proxy.url, token)
    expect(response.status).toBe(401)
    const header = response.headers.get('www-authenticate')
    expect(header).toMatch(/^Bearer error="invalid_token", error_description="[^"]*bound to a key/)
    expect(header).toMatch(/, DPoP algs="ES256 EdDSA RS256"$/)
  })

  it('is not taken with the proof of another key', async () => {
    await expectRefused(
      await notes(proxy.url, token, newKey()),
      'invalid_dpop_proof',
      /another key/,
    )
  })

  it('is not taken without a proof', async () => {
    const response = await askBound(`${proxy.url}/api/notes`, token, undefined)
    await expectRefused(response, 'invalid_dpop_proof', 'There is no DPoP proof.')
  })

  it('is not taken with a proof that was seen on its way', async () => {
    const target = `${proxy.url}/api/notes`
    const seen = proof(key, 'GET', target, token)
    expect((await askBound(target, token, seen)).status).toBe(200)
    await expectRefused(await askBound(target, token, seen), 'invalid_dpop_proof', /used before/)
  })

  const past = (seconds: number) => ({ claims: { iat: Math.floor(Date.now() / 1000) - seconds } })
  it.each<[string, () => ProofParts, RegExp]>([
    ['another method', () => ({ claims: { htm: 'POST' } }), /htm/],
    ['another path', () => ({ claims: { htu: `${proxy.url}/mcp` } }), /htu/],
    ['another host', () => ({ claims: { htu: 'https://evil.example/api/notes' } }), /htu/],
    [
      'a URL with a password',
      () => ({ claims: { htu: proxy.url.replace('//', '//a:b@') } }),
      /htu/,
    ],
    ['no URL', () => ({ claims: { htu: undefined } }), /htu/],
    ['another token', () => ({ claims: { ath: 'x'.repeat(43) } }), /ath/],
    ['no token', () => ({ claims: { ath: undefined } }), /ath/],
    ['no jti', () => ({ claims: { jti: undefined } }), /jti/],
    ['an empty jti', () => ({ claims: { jti: '' } }), /jti/],
    ['no iat', () => ({ claims: { iat: undefined } }), /iat/],
    ['an iat that is text', () => ({ claims: { iat: '1' } }), /iat/],
    ['an iat of six minutes ago', () => past(360), /iat/],
    ['an iat six minutes ahead', () => past(-360), /iat/],
    ['another typ', () => ({ header: { typ: 'JWT' } }), /typ/],
    ['no alg', () => ({ header: { alg: 'none' } }), /signed with/],
    ['a symmetric alg', () => ({ header: { alg: 'HS256' } }), /signed with/],
    ['the alg of another key', () => ({ header: { alg: 'RS256' } }), /signed with/],
    ['no key', () => ({ header: { jwk: undefined } }), /jwk/],
    ['a symmetric key', () => ({ header: { jwk: { kty: 'oct', k: 'AAAA' } } }), /private key/],
    ['its private key', () => ({ header: { jwk: { ...key.jwk, d: 'x' } } }), /private key/],
    ['a crit header', () => ({ header: { crit: ['exp'] } }), /crit/],
    ['the signature of another key', () => ({ signer: newKey().privateKey }), /bad signature/],
  ])('is not taken with a proof that has %s (RFC 9449 section 4.3)', async (_name, parts, why) => {
    const response = await notes(proxy.url, token, key, parts())
    await expectRefused(response, 'invalid_dpop_proof', why)
  })

  it.each([
    ['two proofs', (good: string) => `${good}, ${good}`],
    ['junk', () => 'junk'],
    ['a proof that is too long', (good: string) => `${good}${'A'.repeat(8192)}`],
  ])('is not taken with %s', async (_name, header) => {
    const target = `${proxy.url}/api/notes`
    const dpop = header(proof(key, 'GET', target, token))
    await expectRefused(await askBound(target, token, dpop), 'invalid_dpop_proof', /./)
  })

  it('is not taken under a Host header that its thief has written a proof for', async () => {
    const other = 'http://evil.example/api/notes'
    const target = `${proxy.url}/api/notes`
    const ask = (htu: string) => {
      const headers = { authorization: `DPoP ${token}`, dpop: proof(key, 'GET', htu, token) }
      return send(target, { headers: { ...headers, host: 'evil.example' } })
    }
    expect((await ask(other)).status).toBe(401)
    expect((await ask(target)).status).toBe(200)
  })

  it('is not taken by the gate of another resource', async () => {
    const two = await startProxy(entra, { resources: ['/mcp', '/mcp2'] })
    const { access_token } = await loginBound(two.url, key, { resource: `${two.url}/mcp2` })
    const response = await notes(two.url, access_token, key)
    expect((await jsonOf(response)).error).toBe('invalid_token')
  })
})

describe('a proof of the right key', () => {
  it('may spell the URL otherwise, and its query does not matter (RFC 9449 section 4.3)', async () => {
    const key = newKey()
    const { access_token: token } = await loginBound(proxy.url, key)
    const target = `${proxy.url}/api/notes`
    for (const htu of [
      target,
      `${target}?a=b`,
      target.replace('http://localhost', 'HTTP://LOCALHOST'),
    ]) {
      const dpop = proof(key, 'GET', htu, token)
      expect((await askBound(`${target}?page=2`, token, dpop)).status).toBe(200)
    }
    const dpop = proof(key, 'GET', target.replace('notes', '%6eotes'), token)
    expect((await askBound(target, token, dpop)).status).toBe(200)
  })

  it('makes nothing of a bearer token', async () => {
    const { access_token } = await login(proxy.url)
    const response = await notes(proxy.url, access_token, newKey())
    await expectRefused(response, 'invalid_token', /not bound/)
  })

  it('gets a 403 of its own scheme for a scope that is missing', async () => {
    const key = newKey()
    const { access_token: token } = await loginBound(proxy.url, key)
    const target = `${proxy.url}/api/notes`
    const dpop = proof(key, 'POST', target, token)
    const response = await askBound(target, token, dpop, 'POST')
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toMatch(
      /^DPoP error="insufficient_scope".*scope="notes.read notes.write"/,
    )
  })
})

describe('a stolen refresh token of a public client', () => {
  it('is good with its key alone, and another one does not spend it (RFC 9449 section 5)', async () => {
    const key = newKey()
    const tokens = await loginBound(proxy.url, key)
    for (const wrong of [newKey(), newKey('EdDSA'), undefined]) {
      await expectRefusal(await refreshBound(proxy.url, tokens, wrong), 'invalid_grant')
    }
    const renewed = await refreshBound(proxy.url, tokens, key)
    expect(renewed.status).toBe(200)
    // A used one, too: its thief cannot end the login either.
    await expectRefusal(await refreshBound(proxy.url, tokens, newKey()), 'invalid_grant')
    const next = { ...tokens, ...(await jsonOf<Tokens>(renewed)) }
    expect((await refreshBound(proxy.url, next, key)).status).toBe(200)
  })

  it('is not good with a proof that was seen on its way', async () => {
    const key = newKey()
    const { refresh_token, clientId } = await loginBound(proxy.url, key)
    const params = { grant_type: 'refresh_token', refresh_token, client_id: clientId }
    const seen = proof(key, 'POST', `${proxy.url}/token`)
    expect((await askToken(proxy.url, params, seen)).status).toBe(200)
    await expectRefusal(await askToken(proxy.url, params, seen), 'invalid_dpop_proof')
  })

  it('stays good when the key is used for the first time at a refresh, and is bound then', async () => {
    const tokens = await login(proxy.url)
    const key = newKey()
    const bound = await jsonOf<Tokens>(await refreshBound(proxy.url, tokens, key))
    expect(bound.token_type).toBe('DPoP')
    // Within the grace the old token gives the same answer.
    const repeated = await jsonOf<Tokens>(await refreshBound(proxy.url, tokens, key))
    expect(repeated).toEqual(bound)
    const next = { ...tokens, ...bound }
    await expectRefusal(await refresh(proxy.url, next), 'invalid_grant')
    expect((await refreshBound(proxy.url, next, key)).status).toBe(200)
  })

  it.each([
    ['at once', 0],
    ['after the grace', 61],
  ])(
    'is missed by its owner, %s, and the login ended, when a thief has bound it to a key first (RFC 9700 section 4.14.2)',
    async (_when, seconds) => {
      const clock = testClock()
      const storage = memoryStorage({ now: clock.now })
      const timed = await startProxy(entra, { now: clock.now, storage })
      const stolen = await login(timed.url)
      const thief = newKey()
      const refreshAsThief = (token: string) => {
        const { clientId } = stolen
        const params = { grant_type: 'refresh_token', refresh_token: token, client_id: clientId }
        const parts = { claims: { iat: Math.floor(clock.now() / 1000) } }
        const dpop = proof(thief, 'POST', `${timed.url}/token`, undefined, parts)
        return askToken(timed.url, params, dpop)
      }
      const bound = await jsonOf<Tokens>(await refreshAsThief(stolen.refresh_token))
      expect(bound.token_type).toBe('DPoP')
      clock.advance(seconds)
      const told = hear('mcp-entra:revocation')
      await expectRefusal(await refresh(timed.url, stolen), 'invalid_grant')
      await expectRefusal(await refreshAsThief(bound.refresh_token), 'invalid_grant')
      expect(told).toEqual([expect.objectContaining({ reason: 'refresh_token_reused' })])
    },
  )

  it('that was bound from the start ends no login when its thief comes late and without the key', async () => {
    const clock = testClock()
    const storage = memoryStorage({ now: clock.now })
    const timed = await startProxy(entra, { now: clock.now, storage })
    const key = newKey()
    const parts = () => ({ claims: { iat: Math.floor(clock.now() / 1000) } })
    const code = await getCode(timed.url)
    const first = await jsonOf<Tokens>(await redeemBound(timed.url, code, key, parts()))
    const { clientId } = code
    const ask = (refresh_token: string, by: ProofKeyPair | undefined) =>
      askToken(
        timed.url,
        { grant_type: 'refresh_token', refresh_token, client_id: clientId },
        by && proof(by, 'POST', `${timed.url}/token`, undefined, parts()),
      )
    const second = await jsonOf<Tokens>(await ask(first.refresh_token, key))
    clock.advance(61)
    for (const wrong of [newKey(), undefined]) {
      await expectRefusal(await ask(first.refresh_token, wrong), 'invalid_grant')
    }
    expect((await ask(second.refresh_token, key)).status).toBe(200)
  })

  it('gives the same answer to all who come with the key at once, and asks Entra once', async () => {
    const key = newKey()
    const tokens = await loginBound(proxy.url, key)
    const before = entra.requestsTo('token').length
    const racing = Array.from({ length: 10 }, () => refreshBound(proxy.url, tokens, key))
    const answers = await Promise.all((await Promise.all(racing)).map((each) => each.text()))
    expect(new Set(answers).size).toBe(1)
    expect(entra.requestsTo('token').length).toBe(before + 1)
  })

  it('binds narrowed tokens too', async () => {
    const key = newKey()
    const tokens = await loginBound(proxy.url, key, { scope: 'notes.read notes.write' })
    const narrow = await refreshBound(proxy.url, tokens, key, { scope: 'notes.read' })
    const { scope, token_type, access_token } = await jsonOf<Tokens>(narrow)
    expect([scope, token_type]).toEqual(['notes.read', 'DPoP'])
    expect(decode(access_token).claims.cnf).toEqual({ jkt: key.jkt })
  })
})

describe('a client with a secret', () => {
  it('may change its key, and each answer is bound to the key of its request (RFC 9449 section 5)', async () => {
    const registered = await postJson(`${proxy.url}/register`, {
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: 'client_secret_post',
    })
    const client = await jsonOf<{ client_id: string; client_secret: string }>(registered)
    const secret = { client_secret: client.client_secret }
    const code = await getCode(proxy.url, { clientId: client.client_id })
    const params = {
      grant_type: 'authorization_code',
      code: code.code,
      code_verifier: code.verifier,
      client_id: client.client_id,
      redirect_uri: redirectUri,
      ...secret,
    }
    const first = newKey()
    const answer = await askToken(proxy.url, params, proof(first, 'POST', `${proxy.url}/token`))
    const tokens = { ...(await jsonOf<Tokens>(answer)), clientId: client.client_id }
    const [one, two] = [newKey(), newKey()]
    const [a, b, c] = await Promise.all([
      refreshBound(proxy.url, tokens, one, secret).then((response) => jsonOf<Tokens>(response)),
      refreshBound(proxy.url, tokens, two, secret).then((response) => jsonOf<Tokens>(response)),
      refreshBound(proxy.url, tokens, undefined, secret).then((response) =>
        jsonOf<Tokens>(response),
      ),
    ])
    expect(decode(a.access_token).claims.cnf).toEqual({ jkt: one.jkt })
    expect(decode(b.access_token).claims.cnf).toEqual({ jkt: two.jkt })
    expect([c.token_type, decode(c.access_token).claims.cnf]).toEqual(['Bearer', undefined])
    expect(new Set([a, b, c].map(({ refresh_token }) => refresh_token)).size).toBe(1)
  })
})

describe('dpop_jkt at /authorize (RFC 9449 section 10)', () => {
  async function boundCode(jkt: string) {
    const { browser, clientId, verifier, upstream } = await approve(proxy.url, {
      params: { dpop_jkt: jkt },
    })
    const callback = (await browser.fetchOnce(upstream.href)).headers.get('location') ?? ''
    const { code = '' } = clientAnswer(await browser.fetchOnce(callback))
    return { code, verifier, clientId }
  }

  it('binds the code: with another key or none it is refused, and not spent', async () => {
    const key = newKey()
    const code = await boundCode(key.jkt)
    await expectRefusal(await redeem(proxy.url, code), 'invalid_grant')
    await expectRefusal(await redeemBound(proxy.url, code, newKey()), 'invalid_grant')
    expect((await redeemBound(proxy.url, code, key)).status).toBe(200)
  })

  it.each(['short', `${'x'.repeat(42)}!`])('refuses "%s"', async (jkt) => {
    const { page } = await openConsent(proxy.url, { params: { dpop_jkt: jkt } })
    expect(clientAnswer(page)).toMatchObject({
      error: 'invalid_request',
      error_description: "'dpop_jkt' must be 43 base64url characters.",
    })
  })
})

describe('dpop_bound_access_tokens', () => {
  it('of a client of the operator is held to', async () => {
    const client = { client_id: 'bound', client_name: 'Bound', redirect_uris: [redirectUri] }
    const { url } = await startProxy(entra, {
      clients: [{ ...client, dpop_bound_access_tokens: true }],
    })
    const code = await getCode(url, { clientId: 'bound' })
    await expectRefusal(await redeem(url, code), 'invalid_dpop_proof')
    expect((await redeemBound(url, code, newKey())).status).toBe(200)
  })

  it('of a document is held to', async () => {
    const documents = await startDocumentServer()
    const { url } = await startProxy(entra, { clientMetadata: documents.options })
    const clientId = documents.publish({ dpop_bound_access_tokens: true })
    const code = await getCode(url, { clientId })
    await expectRefusal(await redeem(url, code), 'invalid_dpop_proof')
    expect((await redeemBound(url, code, newKey())).status).toBe(200)
  })

  it('of a registration is shown, kept and held to (RFC 9449 section 5.2)', async () => {
    const body = {
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: 'none',
      dpop_bound_access_tokens: true,
    }
    const answer = await jsonOf(await postJson(`${proxy.url}/register`, body))
    expect(answer.dpop_bound_access_tokens).toBe(true)
    const code = await getCode(proxy.url, { clientId: String(answer.client_id) })
    await expectRefusal(await redeem(proxy.url, code), 'invalid_dpop_proof')
    const key = newKey()
    const tokens = await jsonOf<Tokens>(await redeemBound(proxy.url, code, key))
    expect(tokens.token_type).toBe('DPoP')
    const held = { ...tokens, clientId: code.clientId }
    await expectRefusal(await refresh(proxy.url, held), 'invalid_dpop_proof')
    expect((await refreshBound(proxy.url, held, key)).status).toBe(200)
  })

  it('is refused when it is not a boolean, and not promised where DPoP is off', async () => {
    const body = { redirect_uris: [redirectUri], dpop_bound_access_tokens: 'yes' }
    await expectRefusal(await postJson(`${proxy.url}/register`, body), 'invalid_client_metadata')
    const off = await startProxy(entra, { dpop: 'off' })
    const wish = { ...body, dpop_bound_access_tokens: true }
    const answer = await jsonOf(await postJson(`${off.url}/register`, wish))
    expect(answer).not.toHaveProperty('dpop_bound_access_tokens')
  })
})

describe('the options', () => {
  const withoutKeys = () => {
    const { keys: _keys, ...options } = authOptions(entra, 'http://localhost:3000', [])
    return options
  }
  it.each([
    [{ dpop: 'yes' }, "entraAuth: dpop must be 'off', 'allowed' or 'required': \"yes\""],
    [{ dpopNonces: 1 }, 'entraAuth: dpopNonces must be true or false'],
  ])('%j is refused at creation', (wrong, message) => {
    const options = { ...withoutKeys(), keys: testKeys, ...wrong } as unknown as EntraAuthOptions
    expect(() => entraAuth(options)).toThrow(new TypeError(message))
  })

  it.each([
    ['without keys', {}],
    ['in direct mode', { keys: testKeys, mode: 'direct' as const }],
  ])('refuse to require what Entra does not issue, %s', (_how, more) => {
    const options = { ...withoutKeys(), ...more }
    expect(() => entraAuth({ ...options, dpop: 'required' })).toThrow(
      /^entraAuth: dpop: 'required' needs `keys` and oauthRoutes/,
    )
    expect(() => entraAuth({ ...options, dpop: 'allowed' })).not.toThrow()
  })
})

describe("dpop: 'required'", () => {
  it('issues nothing without a proof, and takes no bearer token', async () => {
    const strict = await startProxy(entra, { dpop: 'required' })
    const code = await getCode(strict.url)
    await expectRefusal(await redeem(strict.url, code), 'invalid_dpop_proof')
    const key = newKey()
    const tokens = await jsonOf<Tokens>(await redeemBound(strict.url, code, key))
    expect((await notes(strict.url, tokens.access_token, key)).status).toBe(200)
    const bearer = await getNotes(strict.url, await entra.mintAccessToken())
    expect(bearer.status).toBe(401)
    expect((await jsonOf(bearer)).error_description).toMatch(/bound to a key \(DPoP\)/)
    const challenge = (await fetch(`${strict.url}/api/notes`)).headers.get('www-authenticate')
    expect(challenge).toMatch(/^Bearer resource_metadata=.*, DPoP algs=/)
  })
})

describe("dpop: 'off'", () => {
  it('ignores proofs, and still takes no bound token as Bearer', async () => {
    const storage = memoryStorage()
    const before = await startProxy(entra, { storage })
    const key = newKey()
    const tokens = await loginBound(before.url, key)
    before.restart({ storage, dpop: 'off' })
    expect((await loginBound(before.url, key)).token_type).toBe('Bearer')
    const asBearer = await getNotes(before.url, tokens.access_token)
    expect(asBearer.status).toBe(401)
    expect((await jsonOf(asBearer)).error_description).toBe(
      'The access token is bound to a key: this server no longer takes such tokens (DPoP is off).',
    )
    expect(asBearer.headers.get('www-authenticate')).not.toContain('DPoP algs')
    expect((await notes(before.url, tokens.access_token, key)).status).toBe(401)
    await expectRefusal(await refreshBound(before.url, tokens, key), 'invalid_grant')
  })
})

describe("Entra's own tokens", () => {
  it.each([
    ['a key', { jkt: 'x'.repeat(43) }],
    ['a certificate', { 'x5t#S256': 'x'.repeat(43) }],
    ['a device, in a way of its own', { kid: 'device', xms_ksl: 'sw' }],
    ['something that we cannot read', 'bound'],
  ])('bound to %s are refused as Bearer, in words', async (_name, cnf) => {
    const token = await entra.mintAccessToken({ claims: { cnf } })
    const response = await getNotes(proxy.url, token)
    expect(response.status).toBe(401)
    expect((await jsonOf(response)).error_description).toMatch(/token protection, cnf/)
    expect(response.headers.get('www-authenticate')).toMatch(/^Bearer error="invalid_token"/)
  })

  it('bound to a DPoP key are taken with a proof of it', async () => {
    const key = newKey()
    const token = await entra.mintAccessToken({ claims: { cnf: { jkt: key.jkt } } })
    expect((await notes(proxy.url, token, key)).status).toBe(200)
    expect((await notes(proxy.url, token, newKey())).status).toBe(401)
  })
})

describe('two replicas', () => {
  it('take a proof once between them, however many come at once', async () => {
    const storage = memoryStorage()
    const one = await startProxy(entra, { storage })
    const two = await startProxy(entra, { storage, baseUrl: one.url })
    const key = newKey()
    const { access_token: token } = await loginBound(one.url, key)
    const dpop = proof(key, 'GET', `${one.url}/api/notes`, token)
    const racing = Array.from({ length: 20 }, (_, n) =>
      askBound(`${n % 2 ? one.address : two.address}/api/notes`, token, dpop),
    )
    const statuses = (await Promise.all(racing)).map(({ status }) => status).sort()
    expect(statuses).toEqual([200, ...Array.from({ length: 19 }, () => 401)])
  })

  it('bind a login to one key, when two of them come with one unbound refresh token', async () => {
    const storage = memoryStorage()
    const one = await startProxy(entra, { storage })
    const two = await startProxy(entra, { storage, baseUrl: one.url })
    const tokens = await login(one.url)
    const keys = [newKey(), newKey()]
    const answers = await Promise.all(
      [one, two].map(async ({ address }, n) => {
        const key = keys[n] as ProofKeyPair
        const { refresh_token, clientId } = tokens
        const params = { grant_type: 'refresh_token', refresh_token, client_id: clientId }
        return askToken(address, params, proof(key, 'POST', `${one.url}/token`))
      }),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400])
  })
})

describe('the store', () => {
  it('is written by nobody who has no good token, and holds nothing in the clear', async () => {
    const memory = memoryStorage()
    const writes: [string, string, number][] = []
    const storage = {
      ...memory,
      get: memory.get,
      set: memory.set,
      take: memory.take,
      add(name: string, value: Uint8Array, ttl: number) {
        writes.push([name, Buffer.from(value).toString('latin1'), ttl])
        return memory.add(name, value, ttl)
      },
    }
    const url = (await startProxy(entra, { storage })).url
    const key = newKey()
    const { access_token: token } = await loginBound(url, key)
    expect((await notes(url, token, key)).status).toBe(200)
    writes.length = 0
    const clientId = await register(url)
    const stranger = proof(newKey(), 'POST', `${url}/token`)
    for (const params of [
      { grant_type: 'authorization_code', code: 'x', code_verifier: 'y'.repeat(43) },
      { grant_type: 'refresh_token', refresh_token: 'x' },
    ]) {
      await askToken(url, { ...params, client_id: clientId } as Record<string, string>, stranger)
    }
    await notes(url, token, newKey())
    await notes(url, 'junk', key)
    await notes(url, token, key, { signer: newKey().privateKey })
    expect(writes).toEqual([])
    await notes(url, token, key, { claims: { jti: 'the-jti' } })
    expect(writes).toEqual([[expect.stringMatching(/^proof:[\w-]{43}$/), '1', expect.any(Number)]])
    expect(writes[0]?.[2]).toBeGreaterThanOrEqual(299)
    expect(writes[0]?.[2]).toBeLessThanOrEqual(301)
  })

  it('that is away is a 503 for a bound token, never a 401', async () => {
    const memory = memoryStorage()
    let down = false
    const storage = {
      get: memory.get,
      set: memory.set,
      take: memory.take,
      add: async (name: string, value: Uint8Array, ttl: number) => {
        if (down) throw new Error('connect ECONNREFUSED')
        return memory.add(name, value, ttl)
      },
    }
    const url = (await startProxy(entra, { storage })).url
    const key = newKey()
    const tokens = await loginBound(url, key)
    down = true
    const response = await notes(url, tokens.access_token, key)
    expect(response.status).toBe(503)
    expect(response.headers.get('www-authenticate')).toBeNull()
    expect((await refreshBound(url, tokens, key)).status).toBe(503)
    down = false
    expect((await notes(url, tokens.access_token, key)).status).toBe(200)
    expect((await refreshBound(url, tokens, key)).status).toBe(200)
  })
})

describe('dpopNonces (RFC 9449 sections 8 and 9)', () => {
  it('are asked for at /token and at the gate, given out with each answer, and known to all replicas', async () => {
    const storage = memoryStorage()
    const one = await startProxy(entra, { storage, dpopNonces: true })
    const two = await startProxy(entra, { storage, dpopNonces: true, baseUrl: one.url })
    const key = newKey()
    const code = await getCode(one.url)
    const refused = await redeemBound(one.url, code, key)
    const nonce = refused.headers.get('dpop-nonce') ?? ''
    expect(nonce).toMatch(/^[A-Za-z0-9._-]+$/)
    expect(refused.headers.get('access-control-expose-headers')).toMatch(/DPoP-Nonce/)
    await expectRefusal(refused, 'use_dpop_nonce')
    const answer = await redeemBound(one.url, code, key, { claims: { nonce } })
    expect(answer.status).toBe(200)
    const { access_token: token } = await jsonOf<Tokens>(answer)
    const target = `${one.url}/api/notes`
    const ask = (claims: object) =>
      askBound(
        `${two.address}/api/notes`,
        token,
        proof(key, 'GET', target, token, { claims: { ...claims } }),
      )
    const challenged = await ask({})
    expect(challenged.status).toBe(401)
    expect(challenged.headers.get('www-authenticate')).toMatch(/^DPoP error="use_dpop_nonce"/)
    const given = challenged.headers.get('dpop-nonce') ?? ''
    const good = await ask({ nonce: given })
    expect(good.status).toBe(200)
    expect(good.headers.get('dpop-nonce')).toMatch(/^[A-Za-z0-9._-]+$/)
    expect(good.headers.get('cache-control')).toBe('no-store')
    expect(good.headers.get('access-control-expose-headers')).toMatch(/DPoP-Nonce/)
    expect((await ask({ nonce: `${given.split('.')[0]}.AAAAAAAAAAAAAAAAAAAAAA` })).status).toBe(401)
  })
})

describe('the events', () => {
  it('say that a token is bound, and why a proof was refused', async () => {
    const quiet = await startProxy(entra)
    const key = newKey()
    const { access_token } = await loginBound(quiet.url, key)
    await notes(quiet.url, access_token, newKey())
    expect(quiet.logs).toContainEqual(
      expect.objectContaining({ message: 'mcp-entra: token', bound: true }),
    )
    expect(quiet.logs).toContainEqual(
      expect.objectContaining({
        message: 'mcp-entra: refusal',
        endpoint: 'gate',
        reason: 'invalid_dpop_proof',
        client: expect.anything(),
        user: expect.anything(),
      }),
    )
    expect(JSON.stringify(quiet.logs)).not.toContain(access_token)
  })
})

describe('a DPoP header of a stranger', () => {
  it('never is an error of ours, whatever is in it', async () => {
    const key = newKey()
    const { access_token: token, clientId } = await loginBound(proxy.url, key)
    const good = proof(key, 'GET', `${proxy.url}/api/notes`, token)
    const [head = '', body = '', signature = ''] = good.split('.')
    const json = (value: unknown) => Buffer.from(JSON.stringify(value) ?? '').toString('base64url')
    const part = fc.oneof(
      fc.constantFrom(head, body, signature, '', 'e30'),
      fc.jsonValue().map(json),
      fc
        .record({ typ: fc.constant('dpop+jwt'), alg: fc.constant('ES256'), jwk: fc.jsonValue() })
        .map(json),
      fc.base64String().map((text) => text.replace(/[+/=]/g, '-')),
    )
    const header = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'))
    const property = fc.asyncProperty(header, async (dpop) => {
      fc.pre(dpop !== good)
      expect((await askBound(`${proxy.url}/api/notes`, token, dpop)).status).toBe(401)
      const params = { grant_type: 'refresh_token', refresh_token: 'x', client_id: clientId }
      expect((await askToken(proxy.url, params, dpop)).status).toBe(400)
    })
    await fc.assert(property, { numRuns: 100 })
  })
})

it('does not end a login for a bad token request', async () => {
  const key = newKey()
  const tokens = await loginBound(proxy.url, key)
  const params = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token }
  const elsewhere = proof(key, 'POST', 'https://evil.example/token')
  const sent = { ...params, client_id: tokens.clientId }
  await expectRefusal(await askToken(proxy.url, sent, elsewhere), 'invalid_dpop_proof')
  await expectRefusal(await postForm(`${proxy.url}/token`, sent), 'invalid_grant')
  expect((await refreshBound(proxy.url, tokens, key)).status).toBe(200)
})
