import { createHash, createPrivateKey, randomUUID, X509Certificate } from 'node:crypto'
import { ConfidentialClientApplication } from '@azure/msal-node'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { SignJWT } from 'jose'
import { type EntraEmulator, startEntra } from 'mcp-entra/testing'
import { generate } from 'selfsigned'
import { freePort } from '../../bench/free-port.js'
import {
  type Answer,
  claimsOf,
  closeOthers,
  type Params,
  refusal,
  startAnother,
  token,
} from '../support/emulator-sign-in.js'

const id = '11111111-1111-4111-8111-111111111111'
const managedIdentity = 'abcdef00-0000-4000-8000-000000000001'
const jwtBearer = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
const kubernetes = 'https://aks.example/'
const identityClient = 'abcdef00-0000-4000-8000-000000000002'

let entra: EntraEmulator
let pem: string
let key: string

beforeAll(async () => {
  const pair = await generate([{ name: 'commonName', value: 'notes' }], { algorithm: 'sha256' })
  pem = pair.cert
  key = pair.private
  const port = await freePort()
  entra = await startEntra({
    port,
    tenants: [{ id, users: [{ oid: id, username: 'ada@contoso.example', name: 'Ada' }] }],
    apps: [
      {
        clientId: id,
        tenantId: id,
        certificates: [pem],
        federatedCredentials: [
          { issuer: `http://localhost:${port}/${id}/v2.0`, subject: managedIdentity },
          { issuer: kubernetes, subject: 'system:serviceaccount:a:b', audience: 'api://mine' },
        ],
      },
    ],
    managedIdentities: [
      {
        clientId: identityClient,
        principalId: managedIdentity,
        federatedCredentials: [{ issuer: kubernetes, subject: 'system:serviceaccount:a:b' }],
      },
    ],
  })
})
afterAll(() => entra.close())
afterEach(closeOthers)

function authenticate(assertion: string, more: Params = {}, at = entra): Promise<Answer> {
  return token(at, {
    grant_type: 'client_credentials',
    scope: `api://${id}/.default`,
    client_secret: undefined,
    client_assertion_type: jwtBearer,
    client_assertion: assertion,
    ...more,
  })
}

describe('an assertion signed with a certificate', () => {
  interface Change {
    readonly alg?: 'PS256' | 'RS256'
    readonly header?: object
    readonly claims?: object
    readonly key?: string
  }

  async function sign({ alg = 'PS256', header = {}, claims = {}, key: other }: Change = {}) {
    const thumbprint = createHash('sha256').update(new X509Certificate(pem).raw).digest('base64url')
    const now = entra.now()
    const aud = `${entra.url}/${id}/oauth2/v2.0/token`
    return new SignJWT({
      iss: id,
      sub: id,
      aud,
      jti: randomUUID(),
      nbf: now,
      exp: now + 300,
      ...claims,
    })
      .setProtectedHeader({ typ: 'JWT', alg, 'x5t#S256': thumbprint, ...header })
      .sign(createPrivateKey(other ?? key))
  }

  it('is accepted, and shows in the token as azpacr 2', async () => {
    const { status, body } = await authenticate(await sign())
    expect(status).toBe(200)
    expect(claimsOf(body.access_token).azpacr).toBe('2')
    expect((await authenticate(await sign({ alg: 'RS256' }))).status).toBe(200)
  })

  it('is what msal-node sends', async () => {
    const base = `${entra.url}/${id}`
    const thumbprintSha256 = createHash('sha256').update(new X509Certificate(pem).raw).digest('hex')
    const client = new ConfidentialClientApplication({
      auth: {
        clientId: id,
        clientCertificate: { thumbprintSha256, privateKey: key },
        authority: `https://login.emulator.test/${id}`,
        knownAuthorities: ['login.emulator.test'],
        authorityMetadata: JSON.stringify({
          authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
          token_endpoint: `${base}/oauth2/v2.0/token`,
          issuer: `${base}/v2.0`,
          jwks_uri: `${base}/discovery/v2.0/keys`,
        }),
      },
    })
    const scopes = [`api://${id}/.default`]
    expect(await client.acquireTokenByClientCredential({ scopes })).toHaveProperty('accessToken')
  })

  it.each<[string, number, Change]>([
    ['by an unknown certificate', 700027, { header: { 'x5t#S256': 'x' } }],
    ['for another audience', 700023, { claims: { aud: 'https://x' } }],
    ['for several audiences', 5002741, { claims: { aud: ['a', 'b'] } }],
    ['of another client', 700021, { claims: { iss: 'x' } }],
    ['that has expired', 700024, { claims: { exp: 1 } }],
  ])('is refused %s (AADSTS%i)', async (_, code, change) => {
    const answer = await authenticate(await sign(change))
    expect(refusal(answer)).toEqual({ status: 401, error: 'invalid_client', code })
  })

  it('is refused when another key signed it (AADSTS700027)', async () => {
    const other = await generate([{ name: 'commonName', value: 'x' }], { algorithm: 'sha256' })
    expect(refusal(await authenticate(await sign({ key: other.private })))).toMatchObject({
      code: 700027,
    })
  })

  it('is refused when it is malformed, or its type is missing or another', async () => {
    expect(refusal(await authenticate('bogus'))).toEqual({
      status: 401,
      error: 'invalid_client',
      code: 50027,
    })
    const good = await sign()
    const missing = await authenticate(good, { client_assertion_type: undefined })
    expect(refusal(missing)).toMatchObject({ code: 900144 })
    const other = await authenticate(good, { client_assertion_type: 'x' })
    expect(refusal(other)).toMatchObject({ code: 90014 })
  })

  it('does not make the app a public client (AADSTS7000215, not 700025)', async () => {
    const answer = await authenticate('', { client_assertion: undefined, client_secret: 'x' })
    expect(refusal(answer)).toMatchObject({ code: 7000215 })
  })
})

describe('a federated identity', () => {
  const exchangeAudience = 'api://AzureADTokenExchange'
  const mint = (sub: string, aud = exchangeAudience, more = {}) =>
    entra.mintAccessToken({ user: null, audience: aud, claims: { sub }, ...more })

  it("is accepted: a managed identity's token", async () => {
    const { status, body } = await authenticate(await mint(managedIdentity))
    expect(status).toBe(200)
    expect(claimsOf(body.access_token).azpacr).toBe('2')
  })

  it("is accepted: a workload's token of another issuer", async () => {
    const token = await mint('system:serviceaccount:a:b', 'api://mine', {
      claims: { iss: kubernetes, sub: 'system:serviceaccount:a:b' },
      key: 'foreign',
    })
    expect((await authenticate(token)).status).toBe(200)
  })

  it.each<[string, number, string, string, object]>([
    [
      'of an unknown issuer',
      700211,
      managedIdentity,
      exchangeAudience,
      {
        claims: { iss: 'https://x', sub: managedIdentity },
      },
    ],
    ['of an unknown subject', 700213, 'x', exchangeAudience, {}],
    ['of a subject in another case', 7002138, managedIdentity.toUpperCase(), exchangeAudience, {}],
    ['for another audience', 700212, managedIdentity, 'api://x', {}],
    ['with a bad signature', 700027, managedIdentity, exchangeAudience, { key: 'foreign' }],
    ['that has expired', 700024, managedIdentity, exchangeAudience, { expiresIn: -301 }],
  ])('is refused %s (AADSTS%i)', async (_, code, sub, aud, more) => {
    const answer = await authenticate(await mint(sub, aud, more))
    expect(refusal(answer)).toEqual({ status: 401, error: 'invalid_client', code })
  })

  it("is refused when it is a user's token and no application's (AADSTS700229)", async () => {
    const token = await entra.mintAccessToken({
      audience: exchangeAudience,
      claims: { sub: managedIdentity },
    })
    expect(refusal(await authenticate(token))).toMatchObject({ code: 700229 })
  })

  it('is refused when it is the token of an app registration (AADSTS700222)', async () => {
    // An object id hangs on tenant and client alone, so it is the same in another emulator.
    const { sub } = claimsOf(await entra.mintAccessToken({ user: null }))
    const own = await startAnother({
      tenants: entra.tenants,
      apps: [{ clientId: id, tenantId: id, federatedCredentials: [{ subject: String(sub) }] }],
    })
    const assertion = await own.mintAccessToken({ user: null, audience: exchangeAudience })
    expect(refusal(await authenticate(assertion, {}, own))).toMatchObject({ code: 700222 })
  })

  it('may be a managed identity as a client of its own, whose token is then accepted', async () => {
    const claims = { iss: kubernetes, sub: 'system:serviceaccount:a:b' }
    const own = await mint('', exchangeAudience, { claims, key: 'foreign' })
    const first = await authenticate(own, {
      client_id: identityClient,
      scope: `${exchangeAudience}/.default`,
    })
    expect(claimsOf(first.body.access_token)).toMatchObject({
      aud: exchangeAudience,
      azp: identityClient,
      oid: managedIdentity,
      sub: managedIdentity,
    })
    expect((await authenticate(String(first.body.access_token))).status).toBe(200)
  })
})
