/** An app at the emulated Entra, and the three requests it makes there: code, refresh, on-behalf-of. */
import { createHash, createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import { type EntraEmulator, type EntraOptions, startEntra } from 'mcp-entra/testing'
import { generate } from 'selfsigned'
import { entraAuthority } from '../../lib/entra/authority.js'
import type { ClientCredential } from '../../lib/entra/credentials.js'
import { type TokenEndpoint, tokenEndpoint } from '../../lib/entra/token-endpoint.js'
import type { EntraAppOptions } from '../../lib/testing/options.js'

export const tenant = 'c0a70500-0000-4000-8000-00000000c050'
export const clientId = 'a9900001-0000-4000-8000-0000000000e5'
export const identity = {
  clientId: '1de00001-0000-4000-8000-000000000001',
  principalId: '1de00002-0000-4000-8000-00000000abcd',
  resourceId: '/subscriptions/s/resourcegroups/g/providers/x/userAssignedIdentities/notes',
} as const

export const graph = 'https://graph.microsoft.com/User.Read'
const redirectUri = 'https://mcp.example/auth/callback'
const scopes = [`api://${clientId}/notes.read`, 'openid', 'profile', 'offline_access']

/** Starts an Entra where the app has no secret, and otherwise what `app` says. */
export function startApp(
  app: Partial<EntraAppOptions>,
  options: EntraOptions = {},
): Promise<EntraEmulator> {
  return startEntra({
    tenants: [
      {
        id: tenant,
        domain: 'contoso.example',
        users: [{ oid: clientId, username: 'ada@contoso.example', name: 'Ada' }],
      },
    ],
    apps: [
      {
        clientId,
        tenantId: tenant,
        redirectUris: [redirectUri],
        scopes: ['notes.read'],
        consented: [graph],
        ...app,
      },
    ],
    ...options,
  })
}

/** Makes our client of that Entra's token endpoint. */
export function endpointOf(entra: EntraEmulator, credential: ClientCredential): TokenEndpoint {
  const authority = entraAuthority({ host: entra.url, tenantId: tenant })
  return tokenEndpoint({ authority, clientId, credential, timeout: 5 })
}

/** Signs Ada in, up to the code. */
export async function signInForCode(entra: EntraEmulator) {
  const codeVerifier = randomBytes(32).toString('base64url')
  const query = new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: scopes.join(' '),
    code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
    login_hint: 'ada@contoso.example',
  })
  const url = `${entra.url}/${tenant}/oauth2/v2.0/authorize?${query}`
  const { headers } = await fetch(url, { redirect: 'manual' })
  const code = new URL(headers.get('location') ?? 'none:').searchParams.get('code') ?? ''
  return { code, redirectUri, codeVerifier, scopes }
}

export const legs = ['authorization_code', 'refresh_token', 'on_behalf_of'] as const

/** Goes through all three legs. Rejects when one is refused. */
export async function runAllLegs(
  entra: EntraEmulator,
  credential: ClientCredential,
): Promise<void> {
  const at = endpointOf(entra, credential)
  const { refreshToken = '' } = await at.redeemCode(await signInForCode(entra))
  const { accessToken } = await at.refresh({ refreshToken, scopes })
  await at.onBehalfOf({ assertion: accessToken, scopes: [graph], tenant })
}

/** The client assertions that reached the token endpoint, with the leg they came on. */
export function assertionsAt(entra: EntraEmulator) {
  return entra.requestsTo('token').map(({ grantType, params, status, error }) => ({
    grantType,
    assertion: params.client_assertion ?? '',
    secret: params.client_secret,
    status,
    error,
  }))
}

/** Prepares one leg, as a function that can be called repeatedly. */
export async function prepareLeg(
  entra: EntraEmulator,
  credential: ClientCredential,
  name: (typeof legs)[number],
): Promise<() => Promise<unknown>> {
  const at = endpointOf(entra, credential)
  if (name === 'authorization_code') {
    const code = await signInForCode(entra)
    return () => at.redeemCode(code)
  }
  const assertion = await entra.mintAccessToken()
  if (name === 'on_behalf_of') {
    return () => at.onBehalfOf({ assertion, scopes: [graph], tenant })
  }
  const { refreshToken = '' } = await at.redeemCode(await signInForCode(entra))
  entra.clearRequests()
  return () => at.refresh({ refreshToken, scopes })
}

/** A self-signed certificate for an RSA key. */
export async function certificate(name = 'notes') {
  const pair = await generate([{ name: 'commonName', value: name }], { algorithm: 'sha256' })
  return {
    certificate: pair.cert,
    privateKey: pair.private,
    both: `${pair.private}\n${pair.cert}`,
    thumbprint: createHash('sha256').update(new X509Certificate(pair.cert).raw).digest('base64url'),
    encrypted: (passphrase: string) =>
      createPrivateKey(pair.private)
        .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
        .toString(),
  }
}
