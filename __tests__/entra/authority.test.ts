import { describe, expect, it } from '@jest/globals'
import { entraAuthority } from '../../lib/entra/authority.js'
import { tenantId } from '../support/entra.js'

describe('entraAuthority', () => {
  it('names the endpoints of a tenant in the public cloud', () => {
    const authority = entraAuthority({ tenantId })
    const base = `https://login.microsoftonline.com/${tenantId}`
    expect(authority.host).toBe('https://login.microsoftonline.com')
    expect(authority.tenantId).toBe(tenantId)
    expect(authority.multiTenant).toBe(false)
    expect(authority.authorizationEndpoint()).toBe(`${base}/oauth2/v2.0/authorize`)
    expect(authority.tokenEndpoint()).toBe(`${base}/oauth2/v2.0/token`)
    expect(authority.jwksUri).toBe(`${base}/discovery/v2.0/keys`)
    expect(authority.openidConfiguration).toBe(`${base}/v2.0/.well-known/openid-configuration`)
    expect(authority.issuerFor('x')).toBe('https://login.microsoftonline.com/x/v2.0')
    expect(Object.isFrozen(authority)).toBe(true)
  })

  it('puts another tenant into the endpoints when asked', () => {
    const authority = entraAuthority({ tenantId: 'organizations' })
    expect(authority.tokenEndpoint(tenantId)).toContain(`/${tenantId}/oauth2/v2.0/token`)
    expect(authority.authorizationEndpoint(tenantId)).toContain(
      `/${tenantId}/oauth2/v2.0/authorize`,
    )
  })

  it.each(['organizations', 'common', 'consumers', 'Common'])(
    'knows %s is of many tenants',
    (word) => {
      expect(entraAuthority({ tenantId: word }).multiTenant).toBe(true)
    },
  )

  it.each(['contoso.com', 'contoso.onmicrosoft.com', 'xn--bcher-kva.example'])(
    'takes the domain %s',
    (name) => {
      expect(entraAuthority({ tenantId: name })).toMatchObject({
        tenantId: name,
        multiTenant: false,
      })
    },
  )

  it('writes a tenant in lower case, as Entra does in its tokens', () => {
    expect(entraAuthority({ tenantId: tenantId.toUpperCase() }).tenantId).toBe(tenantId)
  })

  it.each([
    ['https://login.microsoftonline.us/', 'https://login.microsoftonline.us'],
    ['https://localhost:8443', 'https://localhost:8443'],
    ['http://localhost:3000/', 'http://localhost:3000'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
    ['http://[::1]:3000', 'http://[::1]:3000'],
    ['http://127.0.0.2:3000', 'http://127.0.0.2:3000'],
    ['http://entra.localhost:3000', 'http://entra.localhost:3000'],
    ['https://LOGIN.example:443', 'https://login.example'],
  ])('takes the host %s', (host, expected) => {
    expect(entraAuthority({ host, tenantId }).host).toBe(expected)
  })

  it.each([
    'http://login.microsoftonline.com',
    'http://localhost.evil.example',
    'ftp://localhost',
    'login.microsoftonline.com',
    '',
    `https://login.microsoftonline.com/${tenantId}`,
    'https://user@login.microsoftonline.com',
    'https://:pw@login.microsoftonline.com',
    'https://login.microsoftonline.com?x=1',
    'https://login.microsoftonline.com#x',
    7 as unknown as string,
  ])('refuses the host %s and names the option', (host) => {
    expect(() => entraAuthority({ host, tenantId })).toThrow(TypeError)
    expect(() => entraAuthority({ host, tenantId })).toThrow(
      /^entraAuth: authorityHost .*https:\/\/login/,
    )
  })

  it.each(['', 'contoso', `${tenantId}/`, '../x', 'a b.com', 'organisations', '-.com', undefined])(
    'refuses the tenant %s and names the option',
    (wrong) => {
      const make = () => entraAuthority({ tenantId: wrong as string })
      expect(make).toThrow(TypeError)
      expect(make).toThrow(/^entraAuth: tenantId .*Directory \(tenant\) ID/)
    },
  )
})
