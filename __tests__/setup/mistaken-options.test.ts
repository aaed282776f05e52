/** Options that cannot work: a TypeError when the server starts, with the remedy. */
import { describe, expect, it } from '@jest/globals'
import {
  type EntraAuth,
  type EntraAuthOptions,
  entraAuth,
  entraScopes,
  listGrants,
  oauthRoutes,
  oboToken,
  type RequireBearerOptions,
  requireBearer,
  resourceMetadata,
  scopeGuard,
} from 'mcp-entra'
import { accountRoutes } from 'mcp-entra/account'
import { testKeys } from '../support/auth-options.js'

const clientId = '6f1d0c3a-1111-4222-8333-444455556666'
const options: EntraAuthOptions = {
  baseUrl: 'https://mcp.contoso.com',
  tenantId: 'contoso.com',
  clientId,
  scopes: entraScopes({ clientId, required: ['notes.read'] }),
  keys: testKeys,
}
const make = (more: object) => () => entraAuth({ ...options, ...more })

describe('entraAuth', () => {
  it.each([
    [{ tenantID: 'contoso.com' }, 'no such option: "tenantID" (did you mean "tenantId"?)'],
    [{ client_id: clientId }, 'no such option: "client_id" (did you mean "clientId"?)'],
    [{ baseURL: undefined }, 'no such option: "baseURL" (did you mean "baseUrl"?)'],
    [{ resource: '/mcp' }, 'no such option: "resource" (did you mean "resources"?)'],
    [{ registeration: false }, 'no such option: "registeration" (did you mean "registration"?)'],
  ])('does not leave a misspelt option out: %j', (more, message) => {
    expect(make(more)).toThrow(new TypeError(`entraAuth: ${message}`))
  })

  it('names all options beside one that is like none', () => {
    expect(make({ redirectUri: '/' })).toThrow(
      /^entraAuth: no such option: "redirectUri" \(there are: "baseUrl", "tenantId", .*"texts"\)$/,
    )
  })

  it.each([undefined, null, 'https://mcp.contoso.com', []])('wants options: %j', (given) => {
    expect(() => entraAuth(given as unknown as EntraAuthOptions)).toThrow(
      new TypeError('entraAuth: the options must be an object'),
    )
  })

  it.each([
    ["'abc'", { credential: 'abc' }, /credential is not a ClientCredential.*clientSecret\('…'\)/],
    ['weak keys', { keys: ['a'.repeat(32)] }, /keys\[0\] is not random.*openssl rand/],
    ['an empty variable for keys', { keys: '' }, /keys must hold at least one secret/],
    [
      'a logger without methods',
      { logger: {} },
      /logger must have the functions info, warn and error/,
    ],
    ['null for a logger', { logger: null }, /logger must have the functions info, warn and error/],
    [
      'a level of a logger',
      { logger: 'info' },
      /logger must have the functions info, warn and error/,
    ],
    ['one role', { requiredRoles: 'Notes.User' }, /requiredRoles must be a list/],
    ['an answer for allow', { allow: true }, /allow must be a function/],
    ['an address for allowRedirect', { allowRedirect: 'x' }, /allowRedirect must be a function/],
    ['a number for a name', { resourceName: 5 }, /resourceName must be a text/],
    ['no name', { resourceName: '' }, /resourceName must be a text/],
    ['a name that turns the page around', { resourceName: '\u202eNotes' }, /resourceName must be/],
    ["'no'", { stepUpByLogin: 'no' }, /stepUpByLogin must be true or false/],
    ["'false'", { connectedApps: 'false' }, /connectedApps must be true or false/],
    ["'0'", { shareDownstreamTokens: '0' }, /shareDownstreamTokens must be true or false/],
    ['null for lifetimes', { lifetimes: null }, /lifetimes must be an object/],
  ])('refuses %s', (_what, more, message) => {
    expect(make(more)).toThrow(TypeError)
    expect(make(more)).toThrow(message)
  })

  it('does not repeat the password of a baseUrl', () => {
    const given = { baseUrl: 'https://ada:secret@mcp.contoso.com' }
    expect(make(given)).toThrow(/^entraAuth: baseUrl must have no userinfo$/)
  })

  it('refuses a baseUrl that already ends in the path of a resource, where clients would look for /mcp/mcp', () => {
    expect(make({ baseUrl: 'https://mcp.contoso.com/mcp' })).toThrow(
      new TypeError(
        `entraAuth: baseUrl ends with "/mcp", which resources adds to it: write baseUrl: 'https://mcp.contoso.com', or resources: ['/'] if the MCP endpoint is at baseUrl itself`,
      ),
    )
    expect(make({ baseUrl: 'https://contoso.com/a/b', resources: ['/x', '/b'] })).toThrow(
      /write baseUrl: 'https:\/\/contoso.com\/a'/,
    )
    for (const fine of [
      { baseUrl: 'https://mcp.contoso.com/mcp', resources: ['/'] },
      { baseUrl: 'https://mcp.contoso.com/notes-mcp' },
      { baseUrl: 'https://mcp.contoso.com/mcp/notes' },
    ]) {
      expect(make(fine)).not.toThrow()
    }
  })

  it('refuses the client id of another app than that of entraScopes', () => {
    const other = '7a2e0c3a-1111-4222-8333-444455556666'
    expect(make({ clientId: other })).toThrow(
      new TypeError(
        `entraAuth: clientId is ${other}, and entraScopes was given ${clientId}: both must be the Application (client) ID of the one app registration`,
      ),
    )
    expect(make({ clientId: clientId.toUpperCase() })).not.toThrow()
    const { clientId: _none, ...own } = entraScopes({ clientId, required: ['notes.read'] })
    expect(make({ clientId: other, scopes: own })).not.toThrow()
  })
})

describe('entraScopes', () => {
  it('does not leave a misspelt option out', () => {
    expect(() => entraScopes({ clientId, required: ['a'], optonal: ['b'] } as never)).toThrow(
      new TypeError('entraScopes: no such option: "optonal" (did you mean "optional"?)'),
    )
  })
})

describe('a middleware', () => {
  const auth = entraAuth(options)
  const nothing = undefined as unknown as EntraAuth
  const wrong = options as unknown as EntraAuth

  it.each([
    ['requireBearer', (given: EntraAuth) => requireBearer(given), 'requireBearer(auth)'],
    ['oauthRoutes', (given: EntraAuth) => oauthRoutes(given), 'oauthRoutes(auth)'],
    ['resourceMetadata', (given: EntraAuth) => resourceMetadata(given), 'resourceMetadata(auth)'],
    ['accountRoutes', (given: EntraAuth) => accountRoutes(given), 'accountRoutes(auth)'],
    ['scopeGuard', (given: EntraAuth) => scopeGuard(given, 'notes.read'), 'scopeGuard(auth, …)'],
    [
      'oboToken',
      (given: EntraAuth) => oboToken(given, {}),
      "oboToken(auth, { graph: { scopes: ['https://graph.microsoft.com/User.Read'] } })",
    ],
  ])('says what it wants: %s', (name, call, line) => {
    const missing = `${name}: pass what entraAuth returned: ${line}`
    expect(() => call(nothing)).toThrow(new TypeError(missing))
    expect(() => call(null as unknown as EntraAuth)).toThrow(new TypeError(missing))
    expect(() => call(wrong)).toThrow(
      new TypeError(
        `${name}: these are the options of entraAuth: write const auth = entraAuth({ … }), and ${line}`,
      ),
    )
  })

  it('says it when called without arguments at all', () => {
    expect(() => (requireBearer as () => unknown)()).toThrow(
      new TypeError('requireBearer: pass what entraAuth returned: requireBearer(auth)'),
    )
    expect(() => (scopeGuard as () => unknown)()).toThrow(
      'scopeGuard: name a scope, a role or a tool to guard',
    )
    expect(() => oboToken({ graph: { scopes: [] } } as unknown as EntraAuth, {})).toThrow(
      /^oboToken: pass what entraAuth returned/,
    )
  })

  it('takes no option that there is not', () => {
    expect(() => requireBearer(auth, { resources: '/mcp' } as RequireBearerOptions)).toThrow(
      new TypeError('requireBearer: no such option: "resources" (did you mean "resource"?)'),
    )
    expect(() => accountRoutes(auth, { sesion: {} } as never)).toThrow(
      new TypeError('accountRoutes: no such option: "sesion" (did you mean "session"?)'),
    )
  })

  it('and so does a function that ends access', async () => {
    await expect(listGrants(nothing, { tid: '', oid: '' })).rejects.toThrow(
      'listGrants: pass what entraAuth returned: listGrants(auth, …)',
    )
  })
})
