/** Clients with tokens from Entra itself: what the metadata and the challenges tell them. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import {
  entraAuth,
  entraScopes,
  oauthRoutes,
  requireBearer,
  resourceMetadata,
  scopeGuard,
} from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { ada, alsoDpop, ask, bob, challenge, startGate, type TestGate } from './support/gate.js'
import type { Entra } from './support/host.js'
import { login } from './support/oauth-client.js'
import { authOptions } from './support/proxy.js'

let entra: Entra
let gate: TestGate
let prefixed: { read: string; write: string }

beforeAll(async () => {
  entra = await startEntra()
  const { clientId } = entra.app
  prefixed = { read: `api://${clientId}/notes.read`, write: `api://${clientId}/notes.write` }
  gate = await startGate(entra, {
    without: ['keys', 'credential', 'storage'],
    options: { resources: ['/mcp', '/v2/mcp'], resourceName: 'Notes' },
    mount(app, auth) {
      app.use(resourceMetadata(auth))
      app.all('/mcp', requireBearer(auth), scopeGuard({ tools: { add_note: 'notes.write' } }))
      app.all('/mcp', (_req, res) => void res.end('in'))
      app.get('/write', requireBearer(auth), scopeGuard('notes.write'), (_req, res) => {
        res.end('in')
      })
      app.all('/v2/mcp', requireBearer(auth, { resource: '/v2/mcp' }))
    },
  })
})
afterAll(async () => {
  await gate.close()
  await entra.close()
})

const path = '/.well-known/oauth-protected-resource'
const issuer = () => `${entra.url}/${entra.tenant.id}/v2.0`

describe('resourceMetadata', () => {
  it.each([
    ['/mcp', '/mcp'],
    ['/v2/mcp', '/v2/mcp'],
    ['', '/mcp'],
  ])('serves the document at %j', async (suffix, resource) => {
    const response = await fetch(gate.url + path + suffix)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.get('cache-control')).toBe('public, max-age=3600')
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(await response.json()).toEqual({
      resource: gate.url + resource,
      authorization_servers: [issuer()],
      scopes_supported: [prefixed.read],
      bearer_methods_supported: ['header'],
      resource_name: 'Notes',
    })
  })

  it('names an authorization server that describes itself (OpenID Connect Discovery)', async () => {
    const response = await fetch(`${issuer()}/.well-known/openid-configuration`)
    expect(await response.json()).toMatchObject({ issuer: issuer() })
  })

  it('answers a HEAD without a body and a preflight with what is allowed', async () => {
    const head = await fetch(`${gate.url + path}/mcp`, { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
    const preflight = await fetch(`${gate.url + path}/mcp?x=1`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'GET',
        'access-control-request-headers': 'mcp-protocol-version',
      },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
    expect(preflight.headers.get('access-control-allow-methods')).toBe('GET, HEAD, OPTIONS')
    expect(preflight.headers.get('access-control-allow-headers')).toBe('mcp-protocol-version')
  })

  it('refuses other methods, and leaves other paths to the application', async () => {
    const post = await fetch(`${gate.url + path}/mcp`, { method: 'POST' })
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD, OPTIONS'])
    expect((await fetch(`${gate.url + path}/other`)).status).toBe(404)
    expect((await fetch(`${gate.url}/.well-known/oauth-authorization-server`)).status).toBe(404)
  })

  it('is found when it is mounted below a path too', async () => {
    const mounted = await startGate(entra, {
      without: ['keys', 'credential'],
      mount: (app, auth) => void app.use('/.well-known', resourceMetadata(auth)),
    })
    expect((await fetch(`${mounted.url + path}/mcp`)).status).toBe(200)
    await mounted.close()
  })
})

describe('the gate in direct mode', () => {
  it('challenges for scopes as Entra wants them', async () => {
    const response = await fetch(`${gate.url}/mcp`)
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer resource_metadata="${gate.url}${path}/mcp", scope="${prefixed.read}"`,
    )
    const bad = await ask(`${gate.url}/mcp`, await entra.mintAccessToken({ expiresIn: -10 }))
    expect(bad.headers.get('www-authenticate')).toBe(
      // Entra issues no tokens that are bound to a DPoP key.
      challenge(gate.url, 'invalid_token', 'The token has expired.', prefixed.read).replace(
        alsoDpop,
        '',
      ),
    )
  })

  it('steps up to prefixed scopes', async () => {
    const token = await entra.mintAccessToken({ user: bob, scopes: ['notes.read'] })
    const response = await ask(`${gate.url}/write`, token)
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toBe(
      challenge(
        gate.url,
        'insufficient_scope',
        'This needs the scope notes.write.',
        `${prefixed.read} ${prefixed.write}`,
      ),
    )
  })

  it('takes tokens of Entra without keys, credential or store', async () => {
    const response = await ask(`${gate.url}/mcp`, await entra.mintAccessToken({ user: ada }))
    expect([response.status, await response.text()]).toEqual([200, 'in'])
  })

  it('cannot be the proxy as well without keys and a credential', () => {
    expect(() => oauthRoutes(gate.auth)).toThrow(
      new TypeError('oauthRoutes: entraAuth needs the option `credential` for this'),
    )
  })

  it('has to be said where there are keys: they are for the proxy otherwise', async () => {
    const options = { ...authOptions(entra, gate.url, []), resources: ['/mcp'] }
    expect(() => resourceMetadata(entraAuth(options))).toThrow(
      /^resourceMetadata: with `keys` clients get their tokens from oauthRoutes; say mode: 'direct'/,
    )
    const direct = entraAuth({ ...options, mode: 'direct' })
    expect(resourceMetadata(direct).name).toBe('resourceMetadataMiddleware')
    expect(() => oauthRoutes(direct)).toThrow(
      "oauthRoutes: entraAuth was told mode: 'direct', which has no proxy",
    )
    expect(() => entraAuth({ ...options, mode: 'both' as 'direct' })).toThrow(
      `entraAuth: mode must be 'proxy' or 'direct': "both"`,
    )
  })

  it('uses the App ID URI of the registration where it is not the usual one', async () => {
    const named = await startGate(entra, {
      without: ['keys', 'credential'],
      options: {
        scopes: entraScopes({
          clientId: entra.app.clientId,
          identifierUri: 'https://notes.contoso.com',
          required: ['notes.read'],
        }),
      },
      app(auth) {
        return express().use(resourceMetadata(auth)).use(requireBearer(auth))
      },
    })
    const response = await fetch(`${named.url}/mcp`)
    expect(response.headers.get('www-authenticate')).toContain(
      'scope="https://notes.contoso.com/notes.read"',
    )
    await named.close()
  })
})

describe('one gate for both kinds of token', () => {
  it('lets people in through the proxy, users of Entra directly, and daemons by their role', async () => {
    const both = await startGate(entra)
    const tokens = {
      proxy: (await login(both.url, { user: ada })).access_token,
      entra: await entra.mintAccessToken({ user: bob }),
      daemon: await entra.mintAccessToken({
        user: null,
        client: entra.apps[1]?.clientId ?? '',
      }),
    }
    const kinds = await Promise.all(
      Object.values(tokens).map(async (token) => {
        const { extra } = (await (await ask(`${both.url}/mcp`, token)).json()) as {
          extra: { tokenKind: string; user?: { username: string } }
        }
        return [extra.tokenKind, extra.user?.username]
      }),
    )
    expect(kinds).toEqual([
      ['proxy', ada],
      ['entra', bob],
      ['entra', undefined],
    ])
    // With the proxy mounted its scopes are short: that is what its /authorize takes.
    const response = await fetch(`${both.url}/mcp`)
    expect(response.headers.get('www-authenticate')).toContain('scope="notes.read"')
    await both.close()
  })
})
