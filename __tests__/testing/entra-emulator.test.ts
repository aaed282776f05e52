import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { createLocalJWKSet, createRemoteJWKSet, importJWK, importSPKI, jwtVerify } from 'jose'
import { type EntraEmulator, type EntraOptions, startEntra } from 'mcp-entra/testing'
import { Agent, fetch as undiciFetch } from 'undici'
import {
  claimsOf,
  closeOthers,
  exchange,
  graph,
  headerOf,
  refusal,
  signIn,
  startAnother,
  token,
} from '../support/emulator-sign-in.js'

let entra: EntraEmulator

beforeAll(async () => {
  entra = await startEntra()
})
afterAll(() => entra.close())
afterEach(closeOthers)

async function publishedKeys(of = entra) {
  const response = await fetch(`${of.url}/common/discovery/v2.0/keys`)
  return (await response.json()) as Parameters<typeof createLocalJWKSet>[0]
}

describe('the default directory', () => {
  it('has a tenant, an API, users, and a second tenant', () => {
    expect(entra.tenant).toBe(entra.tenants[0])
    expect(entra.users).toBe(entra.tenant.users)
    expect(entra.users.map(({ name }) => name)).toEqual([
      'Ada Lovelace',
      'Bob Babbage',
      'Grace Hopper',
    ])
    expect(entra.app).toMatchObject({ name: 'Notes MCP', scopes: ['notes.read', 'notes.write'] })
    expect(entra.tenants[1]?.domain).toBe('fabrikam.example')
    expect(entra.graphUrl).toBe(`${entra.url}/v1.0`)
    expect(entra.ca).toBeUndefined()
  })

  it('is replaced by the options', async () => {
    const id = '11111111-1111-4111-8111-111111111111'
    const other = await startAnother({
      tenants: [{ id, users: [{ oid: id, username: 'zoe@x.example', name: 'Zoe' }] }],
      apps: [{ clientId: id, tenantId: id }],
    })
    expect(other.app.identifierUris).toEqual([`api://${id}`])
    expect(other.user('ZOE@x.example')).toMatchObject({ name: 'Zoe', tid: id, assigned: true })
  })

  it.each<[string, EntraOptions]>([
    ['tenants must name at least one tenant', { tenants: [] }],
    ['tenants: id must be a GUID: "contoso"', { tenants: [{ id: 'contoso', users: [] }] }],
    [
      'names an unknown tenantId: "x"',
      {
        apps: [{ clientId: '11111111-1111-4111-8111-111111111111', tenantId: 'x' }],
      },
    ],
  ])('must make sense: %s', async (message, options) => {
    await expect(startEntra(options)).rejects.toThrow(message)
  })

  it('takes more redirect URIs at run time', async () => {
    entra.addRedirectUri('https://new.example/callback')
    await expect(signIn(entra, { redirect_uri: 'https://new.example/callback' })).rejects.toThrow(
      'AADSTS500112',
    )
  })
})

describe('access tokens', () => {
  it('are what Entra gives for a v2 API', async () => {
    const { access_token } = await signIn(entra)
    expect(headerOf(access_token)).toEqual({
      typ: 'JWT',
      alg: 'RS256',
      kid: entra.signingKeys[0]?.kid,
    })
    const claims = claimsOf(access_token)
    expect(claims).toEqual({
      aud: entra.app.clientId,
      iss: `${entra.url}/${entra.tenant.id}/v2.0`,
      iat: expect.any(Number),
      nbf: claims.iat,
      exp: Number(claims.iat) + 4000,
      aio: expect.any(String),
      azp: entra.app.clientId,
      azpacr: '1',
      name: 'Ada Lovelace',
      oid: entra.user('ada@contoso.example').oid,
      preferred_username: 'ada@contoso.example',
      rh: expect.any(String),
      roles: ['Notes.Admin'],
      scp: 'notes.read',
      sid: expect.any(String),
      sub: expect.any(String),
      tid: entra.tenant.id,
      uti: expect.any(String),
      ver: '2.0',
    })
  })

  it('verify with the published keys, issuer and audience', async () => {
    const { access_token } = await signIn(entra)
    const keys = createRemoteJWKSet(new URL(`${entra.url}/${entra.tenant.id}/discovery/v2.0/keys`))
    const { payload } = await jwtVerify(access_token, keys, {
      algorithms: ['RS256'],
      audience: entra.app.clientId,
      issuer: `${entra.url}/${entra.tenant.id}/v2.0`,
    })
    expect(payload.tid).toBe(entra.tenant.id)
  })

  it('have a subject of their own at each app', async () => {
    const [here, there] = await Promise.all([
      entra.mintAccessToken(),
      entra.mintAccessToken({ app: entra.apps[1]?.clientId ?? '' }),
    ])
    expect(claimsOf(here).sub).not.toBe(claimsOf(there).sub)
    expect(claimsOf(here).sub).toBe(claimsOf(await entra.mintAccessToken()).sub)
  })

  it("for Graph cannot be verified by anyone else, as Graph's never can", async () => {
    const { body } = await exchange(entra, await entra.mintAccessToken())
    const keys = createLocalJWKSet(await publishedKeys())
    await expect(jwtVerify(String(body.access_token), keys)).rejects.toThrow('signature')
  })

  it('tell guests, and too many groups, apart', async () => {
    const id = '11111111-1111-4111-8111-111111111111'
    const groups = (count: number) =>
      Array.from(
        { length: count },
        (_, n) => `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`,
      )
    const person = (n: number, more: object) => ({
      oid: `0000000${n}-0000-4000-8000-000000000000`,
      username: `u${n}@x.example`,
      name: 'U',
      ...more,
    })
    const other = await startAnother({
      tenants: [
        {
          id,
          users: [
            person(1, { guest: true, groups: groups(2) }),
            person(2, { groups: groups(201) }),
          ],
        },
      ],
      apps: [{ clientId: id, tenantId: id }],
    })
    const few = claimsOf(await other.mintAccessToken({ user: 'u1@x.example' }))
    expect(few).toMatchObject({ acct: 1, idp: expect.any(String), groups: groups(2) })
    const many = claimsOf(await other.mintAccessToken({ user: 'u2@x.example' }))
    expect(many).toMatchObject({ _claim_names: { groups: 'src1' } })
    expect(many).not.toHaveProperty('groups')
  })
})

describe('minted tokens', () => {
  it('are good by default', async () => {
    const keys = createLocalJWKSet(await publishedKeys())
    const minted = await entra.mintAccessToken()
    const { payload } = await jwtVerify(minted, keys, { audience: entra.app.clientId })
    expect(payload).toMatchObject({ scp: 'notes.read notes.write', name: 'Ada Lovelace' })
  })

  it('take claims and header parameters, and lose those that are undefined', async () => {
    const minted = await entra.mintAccessToken({
      claims: { exp: undefined, custom: 1 },
      header: { kid: undefined, typ: 'at+jwt' },
    })
    expect(claimsOf(minted)).toMatchObject({ custom: 1 })
    expect(claimsOf(minted)).not.toHaveProperty('exp')
    expect(headerOf(minted)).toEqual({ typ: 'at+jwt', alg: 'RS256' })
  })

  it('take times, in seconds from now', async () => {
    const { iat, nbf, exp } = claimsOf(
      await entra.mintAccessToken({ notBefore: 30, expiresIn: 90 }),
    )
    expect([Number(nbf) - Number(iat), Number(exp) - Number(nbf)]).toEqual([0, 60])
  })

  it('may be signed by a foreign key under the id of a known one', async () => {
    const minted = await entra.mintAccessToken({ key: 'foreign' })
    expect(headerOf(minted).kid).toBe(entra.signingKeys[0]?.kid)
    const keys = createLocalJWKSet(await publishedKeys())
    await expect(jwtVerify(minted, keys)).rejects.toThrow('signature verification failed')
  })

  it('may be unsigned', async () => {
    const minted = await entra.mintAccessToken({ key: 'none' })
    expect(headerOf(minted).alg).toBe('none')
    expect(minted.endsWith('.')).toBe(true)
  })

  it('may be signed with the public key as a shared secret', async () => {
    const minted = await entra.mintAccessToken({ key: 'hs256-public' })
    const pem = entra.signingKeys[0]?.publicKey.export({ type: 'spki', format: 'pem' }) ?? ''
    await expect(jwtVerify(minted, Buffer.from(pem))).resolves.toBeTruthy()
    expect(headerOf(minted).alg).toBe('HS256')
  })

  it("may be signed by a key of one's choice", async () => {
    const [, spare] = entra.signingKeys
    if (!spare) throw new Error('there are two keys')
    const minted = await entra.mintAccessToken({ key: spare })
    const pem = String(spare.publicKey.export({ type: 'spki', format: 'pem' }))
    await expect(jwtVerify(minted, await importSPKI(pem, 'RS256'))).resolves.toBeTruthy()
  })

  it('may be v1, app-only, of another tenant, for another audience', async () => {
    const v1 = claimsOf(await entra.mintAccessToken({ version: 1, user: 'frida@fabrikam.example' }))
    expect(v1).toMatchObject({
      ver: '1.0',
      iss: `https://sts.windows.net/${entra.tenants[1]?.id}/`,
      aud: `api://${entra.app.clientId}`,
      appid: entra.app.clientId,
      unique_name: 'frida@fabrikam.example',
    })
    const daemon = entra.apps[1]?.clientId ?? ''
    const appOnly = claimsOf(await entra.mintAccessToken({ user: null, client: daemon }))
    expect(appOnly).toMatchObject({ idtyp: 'app', azp: daemon, roles: ['Notes.Read.All'] })
    expect(appOnly).not.toHaveProperty('scp')
    expect(claimsOf(await entra.mintAccessToken({ audience: 'x' })).aud).toBe('x')
  })

  it('may be ID tokens', async () => {
    const minted = await entra.mintIdToken({ user: 'bob@contoso.example', nonce: 'n' })
    expect(claimsOf(minted)).toMatchObject({
      aud: entra.app.clientId,
      nonce: 'n',
      preferred_username: 'bob@contoso.example',
      email: 'bob@contoso.example',
    })
  })

  it('cannot be for nobody', async () => {
    await expect(entra.mintAccessToken({ user: 'zoe' })).rejects.toThrow(TypeError)
    await expect(entra.mintAccessToken({ app: 'zoe' })).rejects.toThrow(TypeError)
  })
})

describe('key rotation', () => {
  it('signs with a key nobody has seen, while the old one stays published', async () => {
    const [old] = entra.signingKeys
    const before = await entra.mintAccessToken()
    await entra.rotateKeys()
    const after = await entra.mintAccessToken()
    expect(headerOf(after).kid).not.toBe(old?.kid)
    const keys = createLocalJWKSet(await publishedKeys())
    await expect(jwtVerify(before, keys)).resolves.toBeTruthy()
    await expect(jwtVerify(after, keys)).resolves.toBeTruthy()
  })

  it('may withdraw the old key at once', async () => {
    const before = await entra.mintAccessToken()
    await entra.rotateKeys({ keepOld: false })
    const keys = createLocalJWKSet(await publishedKeys())
    await expect(jwtVerify(before, keys)).rejects.toThrow('no applicable key')
  })
})

describe('keys that are handed in', () => {
  const pemOf = (type: 'rsa' | 'ec') => {
    const { privateKey } =
      type === 'rsa'
        ? generateKeyPairSync('rsa', { modulusLength: 2048 })
        : generateKeyPairSync('ec', { namedCurve: 'P-256' })
    return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  }

  it('sign, stand by and stay unpublished in their order; new ones are made when they run out', async () => {
    const pems = [pemOf('rsa'), pemOf('rsa'), pemOf('rsa'), pemOf('rsa')]
    const other = await startAnother({ signingKeys: pems })
    const handedIn = pems.map((pem) => createPublicKey(pem).export({ format: 'jwk' }).n)
    const published = async () => (await publishedKeys(other)).keys.map(({ n }) => n)
    expect(await published()).toEqual(handedIn.slice(0, 2))
    const foreign = await importJWK({ kty: 'RSA', e: 'AQAB', n: handedIn[2] ?? '' }, 'RS256')
    await jwtVerify(await other.mintAccessToken({ key: 'foreign' }), foreign)
    await other.rotateKeys()
    expect(await published()).toEqual([handedIn[3], handedIn[0], handedIn[1]])
    await other.rotateKeys()
    expect(handedIn).not.toContain((await published())[0])
  })

  it.each([
    ['of another kind', pemOf('ec')],
    ['public', createPublicKey(pemOf('rsa')).export({ type: 'spki', format: 'pem' }) as string],
    ['no PEM', 'key'],
  ])('must be RSA private keys, not %s', async (_what, pem) => {
    const refusal = 'startEntra: signingKeys must be RSA private keys in PEM'
    await expect(startEntra({ signingKeys: [pem] })).rejects.toThrow(new TypeError(refusal))
  })
})

describe('the clock', () => {
  it('moves on, and can be set', async () => {
    const other = await startAnother()
    const start = other.now()
    expect(Math.abs(start - Date.now() / 1000)).toBeLessThan(5)
    other.advance(3600)
    expect(other.now() - start).toBeGreaterThanOrEqual(3600)
    other.setTime(new Date('2030-01-01T00:00:00Z'))
    expect(claimsOf(await other.mintAccessToken()).iat).toBe(1893456000)
    other.setTime(1893456000 + 60)
    expect(claimsOf(await other.mintAccessToken()).iat).toBe(1893456060)
  })
})

describe('Graph', () => {
  const graphToken = (options = {}) =>
    entra.mintAccessToken({ app: '00000003-0000-0000-c000-000000000000', ...options })
  const get = async (path: string, bearer?: string) => {
    const headers: Record<string, string> = bearer ? { authorization: `Bearer ${bearer}` } : {}
    const response = await fetch(`${entra.graphUrl}${path}`, { headers })
    const body = (await response.json()) as { error?: { code: string } }
    return { status: response.status, code: body.error?.code }
  }
  const invalid = { status: 401, code: 'InvalidAuthenticationToken' }

  it('refuses a missing, malformed, foreign or expired token, and one of another API', async () => {
    expect(await get('/me')).toEqual(invalid)
    expect(await get('/me', 'garbage')).toEqual(invalid)
    expect(await get('/me', await graphToken({ key: 'foreign' }))).toEqual(invalid)
    expect(await get('/me', await graphToken({ expiresIn: -1 }))).toEqual(invalid)
    expect(await get('/me', await entra.mintAccessToken())).toEqual(invalid)
  })

  it('refuses a token without the scope, or without a user', async () => {
    expect(await get('/me', await graphToken({ scopes: ['Mail.Read'] }))).toEqual({
      status: 403,
      code: 'Authorization_RequestDenied',
    })
    expect(await get('/me', await graphToken({ user: null }))).toEqual({
      status: 400,
      code: 'BadRequest',
    })
  })

  it('answers /me and /me/messages, and nothing else', async () => {
    expect((await get('/me', await graphToken({ scopes: ['User.Read'] }))).status).toBe(200)
    expect((await get('/me/messages', await graphToken({ scopes: ['Mail.Read'] }))).status).toBe(
      200,
    )
    expect((await get('/planets', await graphToken())).status).toBe(404)
  })
})

describe('the request log', () => {
  it('has the parameters, secrets included, and who was behind them', async () => {
    const { access_token } = await signIn(entra)
    entra.clearRequests()
    await exchange(entra, access_token)
    await token(entra, {})
    expect(entra.requests).toHaveLength(2)
    expect(entra.requestsTo('token')).toEqual([
      {
        time: expect.any(Number),
        method: 'POST',
        path: `/${entra.tenant.id}/oauth2/v2.0/token`,
        endpoint: 'token',
        tenant: entra.tenant.id,
        grantType: 'on_behalf_of',
        clientId: entra.app.clientId,
        user: 'ada@contoso.example',
        params: {
          client_id: entra.app.clientId,
          client_secret: 'notes-mcp-secret',
          grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
          requested_token_use: 'on_behalf_of',
          assertion: access_token,
          scope: `${graph}/User.Read`,
        },
        headers: expect.objectContaining({ host: new URL(entra.url).host }),
        status: 200,
        answered: true,
      },
      expect.objectContaining({ status: 400, error: 900144 }),
    ])
  })
})

describe('https', () => {
  it('is served with a throw-away CA, by name and by address', async () => {
    const secure = await startAnother({ https: true })
    expect(secure.url).toMatch(/^https:\/\/localhost:\d+$/)
    const dispatcher = new Agent({ connect: { ca: secure.ca ?? '' } })
    const path = `/${secure.tenant.id}/v2.0/.well-known/openid-configuration`
    for (const url of [secure.url, secure.url.replace('localhost', '127.0.0.1')]) {
      const response = await undiciFetch(url + path, { dispatcher })
      expect(await response.json()).toMatchObject({
        issuer: `${secure.url}/${secure.tenant.id}/v2.0`,
      })
    }
    await expect(undiciFetch(secure.url + path)).rejects.toThrow('fetch failed')
    await secure.close()
    await dispatcher.close()
  })
})

describe('closing', () => {
  it('is quick, with requests hanging, delayed and connections kept alive', async () => {
    const other = await startAnother()
    await fetch(`${other.url}/`)
    other.fault({ at: 'keys', hang: true })
    other.fault({ at: 'openid-configuration', delay: 60 })
    const open = [
      fetch(`${other.url}/common/discovery/keys`),
      fetch(`${other.url}/common/v2.0/.well-known/openid-configuration`),
    ].map((request) => request.catch((error: unknown) => error))
    while (other.requests.length < 3) await new Promise(setImmediate)
    // Long before the minute of the delay is over: the test's own time would be.
    await other.close()
    await Promise.all(open)
    await expect(other.close()).resolves.toBeUndefined()
  })

  it('frees the port, which can be asked for', async () => {
    const one = await startAnother()
    const port = Number(new URL(one.url).port)
    await expect(startEntra({ port })).rejects.toThrow('EADDRINUSE')
    await one.close()
    const two = await startAnother({ port })
    expect(two.url).toBe(`http://localhost:${port}`)
    expect(refusal(await token(two, {}))).toMatchObject({ code: 900144 })
    await two.close()
  })
})
