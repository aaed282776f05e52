import {
  type ClientAuthError,
  ConfidentialClientApplication,
  InteractionRequiredAuthError,
} from '@azure/msal-node'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type EntraEmulator, startEntra } from 'mcp-entra/testing'
import { callback, claimsOf, graph } from '../support/emulator-sign-in.js'

let entra: EntraEmulator

beforeAll(async () => {
  entra = await startEntra()
})
afterAll(() => entra.close())

/** MSAL insists on https for the authority, but takes metadata with http endpoints. */
function createClient(secret = entra.app.secrets[0] ?? ''): ConfidentialClientApplication {
  const base = `${entra.url}/${entra.tenant.id}`
  return new ConfidentialClientApplication({
    auth: {
      clientId: entra.app.clientId,
      clientSecret: secret,
      authority: `https://login.emulator.test/${entra.tenant.id}`,
      knownAuthorities: ['login.emulator.test'],
      authorityMetadata: JSON.stringify({
        authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
        token_endpoint: `${base}/oauth2/v2.0/token`,
        issuer: `${base}/v2.0`,
        jwks_uri: `${base}/discovery/v2.0/keys`,
      }),
    },
  })
}

const scopes = () => [`api://${entra.app.clientId}/notes.read`]

async function signIn(client: ConfidentialClientApplication, more = {}) {
  const url = await client.getAuthCodeUrl({
    scopes: scopes(),
    redirectUri: callback,
    loginHint: 'ada@contoso.example',
    ...more,
  })
  const response = await fetch(url, { redirect: 'manual' })
  const code = new URL(response.headers.get('location') ?? '').searchParams.get('code') ?? ''
  return client.acquireTokenByCode({ code, scopes: scopes(), redirectUri: callback })
}

describe('msal-node', () => {
  it('signs in by code', async () => {
    const result = await signIn(createClient())
    expect(claimsOf(result.accessToken)).toMatchObject({ scp: 'notes.read', ver: '2.0' })
    expect(result.account).toMatchObject({
      username: 'ada@contoso.example',
      localAccountId: entra.user('ada@contoso.example').oid,
      tenantId: entra.tenant.id,
    })
    expect(result.scopes).toEqual(scopes())
  })

  it('refreshes silently, from its own cache of refresh tokens', async () => {
    const client = createClient()
    const { account, accessToken } = await signIn(client)
    if (!account) throw new Error('MSAL knows no account')
    const result = await client.acquireTokenSilent({
      account,
      scopes: scopes(),
      forceRefresh: true,
    })
    expect(result?.accessToken).not.toBe(accessToken)
  })

  it('exchanges on behalf of the user, and finds .default in its cache afterwards', async () => {
    const client = createClient()
    const { accessToken } = await signIn(client)
    entra.clearRequests()
    const request = { oboAssertion: accessToken, scopes: [`${graph}/.default`] }
    const result = await client.acquireTokenOnBehalfOf(request)
    expect(claimsOf(result?.accessToken)).toMatchObject({
      aud: graph,
      scp: 'User.Read openid profile',
    })
    await client.acquireTokenOnBehalfOf(request)
    expect(entra.requestsTo('token')).toHaveLength(1)
  })

  it('sees a demand for MFA as an interaction, with the claims to ask for', async () => {
    const oboAssertion = await entra.mintAccessToken({ user: 'bob@contoso.example' })
    entra.requireMfa('bob@contoso.example', true)
    const attempt = () =>
      createClient().acquireTokenOnBehalfOf({ oboAssertion, scopes: [`${graph}/User.Read`] })
    const error = (await attempt().catch((error) => error)) as InteractionRequiredAuthError
    expect(error).toBeInstanceOf(InteractionRequiredAuthError)
    expect(error.subError).toBe('basic_action')
    expect(error.claims).toContain('capolids')
    await signIn(createClient(), { loginHint: 'bob@contoso.example', claims: error.claims })
    expect((await attempt())?.accessToken).toBeTruthy()
  })

  it('sees missing consent as an interaction', async () => {
    const oboAssertion = await entra.mintAccessToken()
    const scopes = [`${graph}/Files.Read`]
    await expect(
      createClient().acquireTokenOnBehalfOf({ oboAssertion, scopes }),
    ).rejects.toMatchObject({ subError: 'consent_required' })
  })

  it("sees a wrong secret as the client's own failure", async () => {
    const oboAssertion = await entra.mintAccessToken()
    const error = (await createClient('wrong')
      .acquireTokenOnBehalfOf({ oboAssertion, scopes: [`${graph}/User.Read`] })
      .catch((error) => error)) as ClientAuthError
    expect(error.errorCode).toBe('invalid_client')
    expect(error.errorMessage).toContain('AADSTS7000215')
  })

  it('gets app-only tokens', async () => {
    const result = await createClient().acquireTokenByClientCredential({
      scopes: [`api://${entra.app.clientId}/.default`],
    })
    expect(claimsOf(result?.accessToken)).toMatchObject({ idtyp: 'app' })
  })
})
