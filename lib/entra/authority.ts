/** Where Entra is: the endpoints and issuers of one authority host and one tenant. */

/** The endpoints of one app registration's authority. */
export interface EntraAuthority {
  /** Origin without a trailing slash: `https://login.microsoftonline.com`. */
  readonly host: string
  /** A GUID, a domain name, or `organizations`, `common`, `consumers`. */
  readonly tenantId: string
  /** Whether users of more than one tenant sign in here: `organizations`, `common`, `consumers`. */
  readonly multiTenant: boolean
  /** @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow */
  authorizationEndpoint(tenant?: string): string
  /** A code is redeemed at the tenant it was issued for, or else AADSTS700005. */
  tokenEndpoint(tenant?: string): string
  /** The signing keys, each with the issuer it signs for. */
  readonly jwksUri: string
  /** The discovery document, whose `issuer` tells the tenant id behind a domain name. */
  readonly openidConfiguration: string
  /** The issuer of a tenant's tokens, for a key that names none. */
  issuerFor(tid: string): string
}

const publicCloud = 'https://login.microsoftonline.com'
const multiTenantWords = ['organizations', 'common', 'consumers']
const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const domain = /^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/i

/**
 * Makes the authority of a tenant. National clouds, External ID and B2C differ in more than the host
 * (path, issuer): each would be another function that returns an {@link EntraAuthority}.
 *
 * @param options.host origin of the authority; http only on loopback, for a fake Entra
 * @throws TypeError for a host or a tenant that cannot be one
 * @see https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
 */
export function entraAuthority(options: {
  host?: string | undefined
  tenantId: string
}): EntraAuthority {
  const host = checkedHost(options.host ?? publicCloud)
  const tenantId = checkedTenant(options.tenantId)
  return Object.freeze({
    host,
    tenantId,
    multiTenant: multiTenantWords.includes(tenantId),
    authorizationEndpoint: (tenant = tenantId) => `${host}/${tenant}/oauth2/v2.0/authorize`,
    tokenEndpoint: (tenant = tenantId) => `${host}/${tenant}/oauth2/v2.0/token`,
    jwksUri: `${host}/${tenantId}/discovery/v2.0/keys`,
    openidConfiguration: `${host}/${tenantId}/v2.0/.well-known/openid-configuration`,
    issuerFor: (tid: string) => `${host}/${tid}/v2.0`,
  })
}

/** Whether it is a GUID, as tenant, client and object ids are. */
export function isGuid(value: unknown): value is string {
  return typeof value === 'string' && guid.test(value)
}

function checkedHost(host: string): string {
  const remedy = `give an origin such as '${publicCloud}'`
  if (typeof host !== 'string' || !URL.canParse(host)) {
    throw new TypeError(`entraAuth: authorityHost is not a URL: ${remedy}`)
  }
  const url = new URL(host)
  const loopback = ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) {
    throw new TypeError(`entraAuth: authorityHost must be https (http only on loopback): ${remedy}`)
  }
  if (url.username || url.password || url.search || url.hash || url.pathname !== '/') {
    throw new TypeError(
      `entraAuth: authorityHost must be an origin, without path, query or userinfo: ${remedy} and name the tenant in tenantId`,
    )
  }
  return url.origin
}

function checkedTenant(tenantId: string): string {
  const known =
    typeof tenantId === 'string' &&
    (guid.test(tenantId) ||
      domain.test(tenantId) ||
      multiTenantWords.includes(tenantId.toLowerCase()))
  if (known) return tenantId.toLowerCase()
  throw new TypeError(
    "entraAuth: tenantId must be the Directory (tenant) ID from the app registration's Overview page, a domain name such as 'contoso.onmicrosoft.com', or 'organizations', 'common' or 'consumers'",
  )
}
