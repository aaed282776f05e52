/** The option `identityAssertions`: what is wrong with it is said when `entraAuth` is made. */
import { describe, expect, it } from '@jest/globals'
import { type EntraAuthOptions, entraAuth, entraScopes, type IdentityIssuer } from 'mcp-entra'

const clientId = 'a0b1c2d3-1111-4222-8333-444455556666'
const options: EntraAuthOptions = {
  baseUrl: 'https://mcp.contoso.com',
  tenantId: '6f1d0c3a-1111-4222-8333-444455556666',
  clientId,
  scopes: entraScopes({ clientId, required: ['notes.read'] }),
}
const good: IdentityIssuer = { issuer: 'https://contoso.okta.com', mapUser: () => undefined }
const make = (identityAssertions: unknown) => () =>
  entraAuth({ ...options, identityAssertions: identityAssertions as IdentityIssuer[] })

describe('identityAssertions', () => {
  it.each([
    ['nothing', undefined],
    ['none', []],
    ['a provider', [good]],
    ['one with a path, as it spells itself', [{ ...good, issuer: 'https://idp.contoso.com/a/' }]],
    ['one inside', [{ ...good, issuer: 'https://sso:8443', jwksUri: 'https://10.0.0.7/keys' }]],
    ['one on loopback', [{ ...good, issuer: 'http://localhost:8080' }]],
    ['its algorithms and clients', [{ ...good, algorithms: ['ES256'], clients: ['claude'] }]],
  ])('may be %s', (_what, given) => {
    expect(make(given)).not.toThrow()
  })

  const url =
    /^entraAuth: identityAssertions: issuer must be an https URL \(http only on loopback\)/
  it.each([
    ['no list', good, /^entraAuth: identityAssertions must be a list of identity providers$/],
    ['no object', ['https://contoso.okta.com'], url],
    ['no issuer', [{ ...good, issuer: undefined }], url],
    ['http', [{ ...good, issuer: 'http://idp.contoso.com' }], url],
    [
      'a password, which is not repeated',
      [{ ...good, issuer: 'https://a:b@idp.contoso.com' }],
      /^entraAuth: identityAssertions: issuer must have no userinfo$/,
    ],
    ['a query', [{ ...good, issuer: 'https://idp.contoso.com/?a' }], /has a query or a fragment/],
    [
      'http for the keys',
      [{ ...good, jwksUri: 'http://10.0.0.7/keys' }],
      /jwksUri must be an https/,
    ],
    [
      'an algorithm with a shared secret',
      [{ ...good, algorithms: ['HS256'] }],
      /RS256, ES256, EdDSA/,
    ],
    ['no algorithm at all', [{ ...good, algorithms: ['none'] }], /RS256, ES256, EdDSA/],
    ['an empty list of algorithms', [{ ...good, algorithms: [] }], /RS256, ES256, EdDSA/],
    ['clients that are no list', [{ ...good, clients: 'claude' }], /needs client ids in clients/],
    ['an empty client id', [{ ...good, clients: [''] }], /needs client ids in clients/],
    [
      'a name that is misspelt',
      [{ ...good, client: ['claude'] }],
      /no such option: "client" \(did you mean "clients"\?\)/,
    ],
    ['no mapUser', [{ issuer: good.issuer }], /needs mapUser, a function that finds the user/],
    ['the same issuer twice', [good, good], /names an issuer twice/],
  ])('with %s is a TypeError that says what to do', (_what, given, message) => {
    expect(make(given)).toThrow(TypeError)
    expect(make(given)).toThrow(message)
  })
})
