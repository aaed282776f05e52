/** Signing in without a browser, at servers as their users have them. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import { entraAuth, requireBearer, resourceMetadata } from 'mcp-entra'
import { signIn, startEntra } from 'mcp-entra/testing'
import { authOptions } from '../../support/auth-options.js'
import { listen, startHost, startWorld, type World } from '../../support/host.js'
import { callMcp, getNotes, refresh, toolText } from '../../support/oauth-client.js'
import { startProxy } from '../../support/proxy.js'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const as = 'ada@contoso.example'

const whoami = async (token: string): Promise<unknown> =>
  toolText(await callMcp(world.url, token, 'tools/call', { name: 'whoami' }))

describe('signIn', () => {
  it('gets tokens for the scopes of the challenge, from an endpoint it knows nothing of', async () => {
    const signedIn = await signIn(`${world.url}/mcp`, { as })
    expect(signedIn).toEqual({
      accessToken: expect.any(String),
      refreshToken: expect.any(String),
      expiresIn: expect.any(Number),
      scope: 'notes.read',
      clientId: expect.any(String),
      clientSecret: undefined,
    })
    expect(signedIn.expiresIn).toBeGreaterThan(3000)
    expect(await whoami(signedIn.accessToken)).toMatchObject({ user: { username: as } })
  })

  it('gets a refresh token that works with its client id', async () => {
    const { refreshToken = '', clientId } = await signIn(new URL(`${world.url}/mcp`), { as })
    const response = await refresh(world.url, { refresh_token: refreshToken, clientId })
    expect(response.status).toBe(200)
  })

  it.each(['bob@contoso.example', 'BOB@contoso.example', '0000b0b0-0000-4000-8000-000000000002'])(
    'signs in as %s, with the scopes it is given',
    async (bob) => {
      const { accessToken, scope } = await signIn(`${world.url}/mcp`, {
        as: bob,
        scope: 'notes.read notes.write',
      })
      expect(scope).toBe('notes.read notes.write')
      expect(await whoami(accessToken)).toMatchObject({ user: { name: 'Bob Babbage' } })
    },
  )

  it('signs in with a client that has registered before', async () => {
    const { clientId } = await signIn(`${world.url}/mcp`, { as })
    const again = await signIn(`${world.url}/mcp`, { as, clientId })
    expect(again.clientId).toBe(clientId)
  })

  it('signs in with a client that has a secret and a redirect URI of its own', async () => {
    const redirectUri = 'http://127.0.0.1:9/cb?tab=1'
    const client = { client_id: 'ours', client_secret: 'a secret of thirty-two characters' }
    const metadata = {
      client_name: 'Ours',
      token_endpoint_auth_method: 'client_secret_post',
    } as const
    const { url } = await startProxy(world.entra, {
      clients: [{ ...client, ...metadata, redirect_uris: [redirectUri] }],
    })
    const { accessToken } = await signIn(`${url}/api/notes`, {
      as,
      clientId: client.client_id,
      clientSecret: client.client_secret,
      redirectUri,
    })
    expect((await getNotes(url, accessToken)).status).toBe(200)
  })

  it('finds its way at a server under a prefix', async () => {
    const { url } = await startProxy(world.entra, { basePath: '/team/notes' })
    const { accessToken } = await signIn(`${url}/api/notes`, { as })
    expect((await getNotes(url, accessToken)).status).toBe(200)
  })

  it('meets a challenge of Conditional Access: Entra is visited twice', async () => {
    const signedIn = await signIn(`${world.url}/mcp`, { as })
    world.entra.requireMfa(as, true)
    try {
      const profile = (token: string) =>
        callMcp(world.url, token, 'tools/call', { name: 'my_profile' })
      expect((await profile(signedIn.accessToken)).status).toBe(401)
      world.entra.clearRequests()
      const { clientId } = signedIn
      const again = await signIn(`${world.url}/mcp`, { as, clientId })
      expect((await profile(again.accessToken)).status).toBe(200)
      expect(world.entra.requestsTo('authorize')).toHaveLength(2)
    } finally {
      world.entra.requireMfa(as, false)
    }
  })

  it('goes straight to Entra in direct mode, where there is no consent page', async () => {
    const clientId = 'a9900002-0000-4000-8000-0000000000e5'
    const redirectUri = 'http://localhost/callback'
    const app = express()
    const server = await listen(() => app)
    const { tenants } = world.entra
    const entra = await startEntra({
      tenants: tenants.map(({ id, users }) => ({ id, users })),
      apps: [
        {
          clientId,
          tenantId: world.entra.tenant.id,
          secrets: ['a secret'],
          scopes: ['notes.read', 'notes.write'],
          identifierUris: [`${server.url}/mcp`, `api://${clientId}`],
          redirectUris: [redirectUri],
        },
      ],
    })
    try {
      const { keys: _none, credential: _neither, ...options } = authOptions(entra, server.url, [])
      const auth = entraAuth(options)
      app.use(resourceMetadata(auth))
      app.get('/mcp', requireBearer(auth), (_req, res) => void res.json('in'))
      const client = { clientId, clientSecret: 'a secret', redirectUri }
      const { accessToken } = await signIn(`${server.url}/mcp`, { as, ...client })
      const headers = { authorization: `Bearer ${accessToken}` }
      expect((await fetch(`${server.url}/mcp`, { headers })).status).toBe(200)
    } finally {
      await server.close()
      await entra.close()
    }
  })
})

describe('signIn refuses', () => {
  it('with the error of the answer when the user presses Deny', async () => {
    const denied = signIn(`${world.url}/mcp`, { as, consent: 'deny' })
    await expect(denied).rejects.toMatchObject({
      name: 'SignInRefused',
      error: 'access_denied',
      message: 'access_denied: The user did not allow access.',
    })
  })

  it('with the error of the answer when the server does not let the user in', async () => {
    const { url } = await startProxy(world.entra, { allow: () => false })
    const refused = signIn(`${url}/api/notes`, { as })
    await expect(refused).rejects.toMatchObject({ error: 'access_denied' })
  })

  it('with the error of the answer when there is no such scope', async () => {
    const refused = signIn(`${world.url}/mcp`, { as, scope: 'notes.raed' })
    await expect(refused).rejects.toMatchObject({ error: 'invalid_scope' })
  })

  it('with what the page says when there is no such user', async () => {
    const refused = signIn(`${world.url}/mcp`, { as: 'eve@contoso.example' })
    await expect(refused).rejects.toThrow(/There is no account "eve@contoso\.example" here/)
  })

  it('with what the page says when the redirect URI is not registered at Entra', async () => {
    const host = await startHost(world.entra, {
      settings: { clientId: world.entra.apps[1]?.clientId ?? '' },
    })
    try {
      await expect(signIn(`${host.url}/mcp`, { as })).rejects.toThrow(
        /authorize answered 400.*AADSTS50011/,
      )
    } finally {
      await host.close()
    }
  })

  it('with what to look at when nothing guards the URL', async () => {
    const refused = signIn(`${world.url}/jwks`, { as })
    await expect(refused).rejects.toThrow(
      /\/jwks answered 405 and 200 without a token, where requireBearer answers 401/,
    )
  })

  it('with what to give when the server registers no clients', async () => {
    const { url } = await startProxy(world.entra, { registration: false })
    await expect(signIn(`${url}/api/notes`, { as })).rejects.toThrow(
      /registers no clients: give clientId and redirectUri/,
    )
  })
})
