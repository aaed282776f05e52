/**
 * Microsoft's clients that get their tokens from Entra themselves: Microsoft 365 Copilot by Entra SSO, VS Code by its
 * built-in Microsoft sign-in, Copilot Studio set up by hand, Foundry as an app and by identity passthrough. The server
 * is set up as Microsoft's guidance of September 2026 says: tokens of version 2 first, then the URL of the MCP endpoint
 * as an Application ID URI.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import {
  authOf,
  entraScopes,
  oboToken,
  requireBearer,
  resourceMetadata,
  scopeGuard,
} from 'mcp-entra'
import { type EntraEmulator, startEntra } from 'mcp-entra/testing'
import { Browser } from '../../examples/demo/browser.js'
import { defaultApps, defaultTenants } from '../../lib/testing/defaults.js'
import { authorize, getCode, redirected, refusal, token } from '../support/emulator-sign-in.js'
import { bob, post, startGate, type TestGate, toolCall } from '../support/gate.js'
import { challengeParams, pkce } from '../support/oauth-client.js'
import { jsonOf } from '../support/proxy.js'

const baseUrl = 'https://mcp.contoso.com'
const mcpUrl = `${baseUrl}/mcp`
/** Documented, and the same in every tenant. */
const tokenStore = 'ab3be6b7-f5df-413d-ac2d-abf1e3fd9c0b'
const vsCode = 'aebc6443-996d-45c2-90f0-388ff96faa56'
const consentRedirect = 'https://teams.microsoft.com/api/platform/v1.0/oAuthConsentRedirect'
/** Copilot Studio shows the address of each tool. */
const connector =
  'https://global.consent.azure-apim.net/redirect/cr938-5fnotes-20mcp-5f43bcb8573bc3e84'
/** The emulator has no platform for native clients, so its VS Code has a secret, and an address of its own. */
const standIn = { secrets: ['stand-in'], redirectUris: ['http://localhost/', connector] }
const redirectUri = standIn.redirectUris[0]
const client_secret = standIn.secrets[0]

const [{ id: tenantId } = { id: '' }] = defaultTenants
const [, daemon] = defaultApps
const api = 'a9900002-0000-4000-8000-0000000000e5'
/** Another API of the tenant, which is not prepared for `resource`. */
const unprepared = 'a9900003-0000-4000-8000-0000000000e5'
/** A project of Foundry with its managed identity, and the app that a customer registers for passthrough. */
const project = {
  clientId: '1de00001-0000-4000-8000-000000000001',
  principalId: '1de00002-0000-4000-8000-000000000001',
}
const stranger = {
  clientId: '1de00001-0000-4000-8000-000000000002',
  principalId: '1de00002-0000-4000-8000-000000000002',
}
const passthrough = 'c11e0001-0000-4000-8000-000000000001'
const mailRead = 'https://graph.microsoft.com/Mail.Read'

let entra: EntraEmulator
let gate: TestGate
beforeAll(async () => {
  entra = await startEntra({
    managedIdentities: [project, stranger],
    apps: [
      {
        clientId: api,
        name: 'Notes MCP',
        tenantId,
        secrets: ['notes'],
        scopes: ['access_as_user', 'notes.write'],
        appRoles: ['Notes.Read.All'],
        identifierUris: [`api://${api}`, mcpUrl],
        redirectUris: [consentRedirect, connector],
        applicationPermissions: {
          [project.clientId]: ['Notes.Read.All'],
          [daemon?.clientId ?? '']: ['Notes.Read.All'],
        },
      },
      { clientId: unprepared, tenantId, scopes: ['access_as_user'] },
      { clientId: vsCode, name: 'Visual Studio Code', tenantId, multiTenant: true, ...standIn },
      { clientId: passthrough, name: 'Agents of Contoso', tenantId, ...standIn },
      { clientId: tokenStore, name: 'Enterprise token store', tenantId, multiTenant: true },
      ...defaultApps.slice(1),
    ],
  })
  gate = await startGate(entra, {
    without: ['keys', 'storage'],
    options: {
      baseUrl,
      scopes: entraScopes({
        clientId: api,
        required: ['access_as_user'],
        optional: ['notes.write'],
      }),
      identifierUris: [`api://${api}`, mcpUrl],
    },
    mount(app, auth) {
      app.use(resourceMetadata(auth))
      app.post(
        '/mcp',
        requireBearer(auth),
        scopeGuard({
          tools: {
            list_notes: { scopes: 'access_as_user', roles: 'Notes.Read.All' },
            add_note: 'notes.write',
            inbox: 'access_as_user',
          },
        }),
        oboToken(auth, { mail: { scopes: [mailRead], tools: ['inbox'] } }),
        (req, res) => {
          const { clientId, extra } = authOf(req)
          res.json({ clientId, user: extra.user?.oid })
        },
      )
    },
  })
})
afterAll(async () => {
  await gate.close()
  await entra.close()
})

function advance(seconds: number): void {
  gate.clock.advance(seconds)
  entra.advance(seconds)
}

const call = (tool: string, bearer: string | undefined) =>
  post(`${gate.url}/mcp`, bearer, toolCall(tool))

describe('Microsoft 365 Copilot and Teams, by Entra SSO', () => {
  beforeEach(() => advance(600))

  /** What the token store gets without asking anybody: it is pre-authorized, and the scope is always this one. */
  const silently = (options: object = {}) =>
    entra.mintAccessToken({
      user: bob,
      app: api,
      client: tokenStore,
      scopes: ['access_as_user'],
      expiresIn: 20_000,
      ...options,
    })

  /** The prompt: our app asks for what the Scope field of the auth config names, at Microsoft's redirect URI. */
  async function consent(): Promise<void> {
    const browser = new Browser({ stopAt: (url) => url.startsWith(consentRedirect) })
    const params = {
      client_id: api,
      response_type: 'code',
      redirect_uri: consentRedirect,
      scope: mailRead,
      login_hint: bob,
    }
    const end = await browser.open(
      `${entra.url}/${tenantId}/oauth2/v2.0/authorize?${new URLSearchParams(params)}`,
    )
    expect(new URL(end.url).searchParams.get('code')).toBeTruthy()
  }

  it('calls with the client id as audience, and nobody is asked anything', async () => {
    const response = await call('list_notes', await silently())
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ clientId: tokenStore, user: entra.user(bob).oid })
  })

  it('hears 401 when consent is missing, asks for it, and comes back with the same token', async () => {
    const bearer = await silently()
    const refused = await call('inbox', bearer)
    expect(refused.status).toBe(401)
    expect(challengeParams(refused)).toMatchObject({ error: 'invalid_token' })
    await consent()
    expect((await call('inbox', bearer)).status).toBe(200)
    entra.withdrawConsent(bob, mailRead)
  })

  it('hears 403 in the end, when its prompts do not bring the consent', async () => {
    const bearer = await silently({ claims: { uti: 'another token' } })
    const statuses: number[] = []
    for (let round = 0; round < 5; round++) {
      statuses.push((await call('inbox', bearer)).status)
      advance(20)
    }
    expect(statuses).toEqual([401, 401, 401, 403, 403])
    expect((await call('list_notes', bearer)).status).toBe(200)
  })

  it.each([
    ['a scope that it never has', 'add_note', {}],
    ['the required scope', 'list_notes', { scopes: ['notes.write'] }],
  ])(
    'hears 403 and never 401 for want of %s: no prompt could help',
    async (_what, tool, options) => {
      for (let round = 0; round < 5; round++) {
        expect((await call(tool, await silently(options))).status).toBe(403)
      }
    },
  )

  it.each([
    ['of version 1', { version: 1 as const }, /audience|version 1\.0/],
    ['for another API', { app: unprepared }, /audience/],
  ])('hears 401 with a token %s, and the words say why', async (_which, options, why) => {
    const response = await call('list_notes', await silently(options))
    expect(response.status).toBe(401)
    expect(challengeParams(response).error_description).toMatch(why)
  })
})

describe('VS Code, by its built-in Microsoft sign-in', () => {
  interface Discovered {
    readonly resource: string
    readonly authorization_servers: readonly [string]
    readonly scopes_supported: readonly string[]
  }

  /** The challenge, then the document it names, which is about this server. */
  async function discover(at = gate): Promise<Discovered> {
    const unauthorized = await post(`${at.url}/mcp`, undefined, toolCall('list_notes'))
    const { resource_metadata = '', scope } = challengeParams(unauthorized)
    const { pathname, origin } = new URL(resource_metadata)
    expect(origin).toBe(baseUrl)
    const found = (await jsonOf(await fetch(at.url + pathname))) as unknown as Discovered
    expect(found.scopes_supported).toEqual([scope])
    return found
  }

  /** Signs in at the tenant that the authorization server's path names, and refreshes. */
  async function signIn({ resource, authorization_servers, scopes_supported }: Discovered) {
    const [, tenant = ''] = new URL(authorization_servers[0]).pathname.split('/')
    const scope = [...scopes_supported, 'openid', 'email', 'profile', 'offline_access'].join(' ')
    const { verifier, challenge } = pkce()
    const common = { client_id: vsCode, scope, resource }
    const code = await getCode(
      entra,
      {
        ...common,
        redirect_uri: redirectUri,
        code_challenge: challenge,
        code_challenge_method: 'S256',
        login_hint: bob,
      },
      tenant,
    )
    const grant_type = 'authorization_code'
    const proof = { client_secret, redirect_uri: redirectUri, code, code_verifier: verifier }
    const first = await token(entra, { ...common, ...proof, grant_type }, { tenant })
    const { refresh_token } = first.body as { refresh_token: string }
    const refreshed = await token(
      entra,
      { ...common, client_secret, grant_type: 'refresh_token', refresh_token },
      { tenant },
    )
    return [first, refreshed]
  }

  it('finds the tenant of its user as the authorization server, and full names of scopes', async () => {
    const found = await discover()
    expect(found).toMatchObject({
      resource: mcpUrl,
      authorization_servers: [`${entra.url}/${tenantId}/v2.0`],
      scopes_supported: [`api://${api}/access_as_user`],
    })
    const [issuer] = found.authorization_servers
    const document = await fetch(`${issuer}/.well-known/openid-configuration`)
    expect(await document.json()).toMatchObject({ issuer })
  })

  it('signs its user in with `resource`, calls, and refreshes', async () => {
    for (const { status, body } of await signIn(await discover())) {
      expect({ status, body }).toMatchObject({ status: 200 })
      const called = await call('list_notes', String(body.access_token))
      expect(await called.json()).toEqual({ clientId: vsCode, user: entra.user(bob).oid })
    }
  })

  it('does so too where the scopes begin with the MCP URL, as in the guidance', async () => {
    const other = await startGate(entra, {
      without: ['keys', 'storage', 'credential'],
      options: {
        baseUrl,
        scopes: entraScopes({
          clientId: api,
          identifierUri: mcpUrl,
          required: ['access_as_user'],
        }),
        identifierUris: [mcpUrl],
        now: gate.clock.now,
      },
      mount(app, auth) {
        app.use(resourceMetadata(auth))
        app.post('/mcp', requireBearer(auth), (_req, res) => void res.json({ in: true }))
      },
    })
    const found = await discover(other)
    expect(found.scopes_supported).toEqual([`${mcpUrl}/access_as_user`])
    const [first] = await signIn(found)
    const bearer = String(first?.body.access_token)
    expect((await post(`${other.url}/mcp`, bearer, toolCall('list_notes'))).status).toBe(200)
    await other.close()
  })

  it.each([
    ['is not an Application ID URI of the API', `api://${unprepared}`, mcpUrl],
    ['has a slash at the end', `api://${api}`, `${mcpUrl}/`],
    ['is the URL of the host alone', `api://${api}`, baseUrl],
  ])('gets AADSTS9010010 where the URL %s', async (_why, prefix, resource) => {
    const response = await authorize(entra, {
      client_id: vsCode,
      redirect_uri: redirectUri,
      scope: `${prefix}/access_as_user`,
      resource,
      login_hint: bob,
    })
    expect(redirected(response)).toMatchObject({
      error: 'invalid_target',
      error_description: expect.stringContaining('AADSTS9010010'),
    })
  })
})

describe('Copilot Studio, by "Manual" OAuth at Entra', () => {
  /** Signs in with an app registration, then refreshes without `scope`. */
  async function refreshWithoutScope(client_id: string, secret: string | undefined) {
    const client = { client_id, client_secret: secret }
    const scope = `api://${api}/access_as_user offline_access`
    const code = await getCode(entra, {
      client_id,
      redirect_uri: connector,
      scope,
      login_hint: bob,
    })
    const grant_type = 'authorization_code'
    const { body } = await token(entra, {
      ...client,
      grant_type,
      code,
      redirect_uri: connector,
      scope,
    })
    expect((await call('list_notes', String(body.access_token))).status).toBe(200)
    const refresh_token = String(body.refresh_token)
    return token(entra, { ...client, grant_type: 'refresh_token', refresh_token })
  }

  it('refreshes with an app registration of its own', async () => {
    const { status, body } = await refreshWithoutScope(passthrough, client_secret)
    expect(status).toBe(200)
    expect((await call('list_notes', String(body.access_token))).status).toBe(200)
  })

  it('does not with that of the server: AADSTS90009', async () => {
    expect(refusal(await refreshWithoutScope(api, 'notes'))).toMatchObject({ code: 90009 })
  })

  it('has to name a scope: AADSTS900144', async () => {
    const response = await authorize(entra, {
      client_id: passthrough,
      redirect_uri: connector,
      scope: undefined,
    })
    expect(redirected(response).error_description).toContain('AADSTS900144')
  })
})

describe('Foundry', () => {
  /** The token of a managed identity, for the audience that the connection names. */
  async function identityToken({ clientId }: { clientId: string }, audience: string) {
    const { IDENTITY_ENDPOINT, IDENTITY_HEADER } = entra.identityEnvironment.appService
    const query = { 'api-version': '2019-08-01', resource: audience, client_id: clientId }
    const response = await fetch(`${IDENTITY_ENDPOINT}?${new URLSearchParams(query)}`, {
      headers: { 'X-IDENTITY-HEADER': IDENTITY_HEADER },
    })
    return String((await jsonOf(response)).access_token)
  }

  it.each([`api://${api}`, mcpUrl])(
    'comes in as its project, by the role of the identity: audience %s',
    async (audience) => {
      const response = await call('list_notes', await identityToken(project, audience))
      expect(response.status).toBe(200)
      expect(await response.json()).toEqual({ clientId: project.clientId })
    },
  )

  it('stays outside as an identity that nobody gave a role', async () => {
    const response = await call('list_notes', await identityToken(stranger, mcpUrl))
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toBeNull()
  })

  it('has no user as its project: where one is needed it hears 403, without a challenge', async () => {
    for (const tool of ['add_note', 'inbox']) {
      const response = await call(tool, await identityToken(project, mcpUrl))
      expect(response.status).toBe(403)
      expect(response.headers.get('www-authenticate')).toBeNull()
    }
  })

  it('brings the user by OAuth identity passthrough: an app of the customer, no resource, the scope by its full name', async () => {
    const client = { client_id: passthrough, redirect_uri: redirectUri }
    const scope = `api://${api}/access_as_user offline_access`
    const { verifier, challenge } = pkce()
    const code = await getCode(entra, {
      ...client,
      scope,
      code_challenge: challenge,
      code_challenge_method: 'S256',
      login_hint: bob,
    })
    const { body } = await token(entra, {
      ...client,
      client_secret,
      grant_type: 'authorization_code',
      code,
      code_verifier: verifier,
      scope,
    })
    const response = await call('list_notes', String(body.access_token))
    expect(await response.json()).toEqual({ clientId: passthrough, user: entra.user(bob).oid })
  })
})

describe('an agent or a daemon, by client credentials', () => {
  const withSecret = (params: Record<string, string>) =>
    token(entra, {
      grant_type: 'client_credentials',
      client_id: daemon?.clientId,
      client_secret: daemon?.secrets?.[0],
      scope: `${mcpUrl}/.default`,
      ...params,
    })

  it('names the MCP URL as `resource`, and in front of its scope', async () => {
    const { status, body } = await withSecret({ resource: mcpUrl })
    expect(status).toBe(200)
    expect((await call('list_notes', String(body.access_token))).status).toBe(200)
  })

  it('gets AADSTS9010010 for another URL', async () => {
    for (const resource of [baseUrl, `${mcpUrl}/`, mcpUrl.toUpperCase()]) {
      expect(refusal(await withSecret({ resource }))).toMatchObject({
        error: 'invalid_target',
        code: 9010010,
      })
    }
  })
})
