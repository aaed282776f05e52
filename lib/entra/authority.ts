/** The endpoints and issuers of one authority host and one tenant. */

import { isLoopbackHost } from '../oauth/loopback.js'
import { hasUserinfo } from '../oauth/userinfo.js'
import { type Cloud, cloudOf, clouds, externalIssuer, hostSuffixes } from './clouds.js'

/** Whose users sign in: those of an organization (or personal accounts), of External ID, or of Azure AD B2C. */
export type AuthorityKind = 'workforce' | 'external' | 'b2c'

/** The endpoints of one app registration's authority. */
export interface EntraAuthority {
  readonly cloud: Cloud
  readonly kind: AuthorityKind
  /** Origin without a trailing slash: `https://login.microsoftonline.com`. */
  readonly host: string
  /** A GUID, a domain name, or `organizations`, `common`, `consumers`. */
  readonly tenantId: string
  /** The B2C user flow or custom policy. */
  readonly policy: string | undefined
  /** Whether users of more than one tenant sign in here: `organizations`, `common`, `consumers`. */
  readonly multiTenant: boolean
  /** Whether tokens can be exchanged on behalf of a user: not in B2C. */
  readonly onBehalfOf: boolean
  /** Origin of Microsoft Graph in this cloud. */
  readonly graph: string
  /** Audience of the assertions of managed and workload identities. */
  readonly exchangeAudience: string
  /** The authorization server of clients that go to Entra themselves: its metadata is below this URL. */
  readonly authorizationServer: string
  /** @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow */
  authorizationEndpoint(tenant?: string): string
  /** A code must be redeemed at the tenant it was issued for (AADSTS700005). */
  tokenEndpoint(tenant?: string): string
  /** The signing keys, each with the issuer it signs for. */
  readonly jwksUri: string
  /** The discovery document. Its `issuer` contains the tenant id behind a domain name. */
  readonly openidConfiguration: string
  /** Whether the issuer for a key that names none has to be read from the discovery document. */
  readonly discoversIssuer: boolean
  /** The issuer of a tenant's tokens, for a key that names none. */
  issuerFor(tid: string): string
}

/** Options of {@link entraAuthority}. */
export interface EntraAuthorityOptions {
  /** Default: the cloud of `host`, otherwise `public`. */
  readonly cloud?: Cloud | undefined
  /**
   * Origin of the authority. Default: the cloud's. External ID has `https://{name}.ciamlogin.com` or a custom
   * domain, B2C has `https://{name}.b2clogin.com` or a custom domain. http is allowed only on loopback, for a fake
   * Entra.
   */
  readonly host?: string | undefined
  readonly tenantId: string
  /** The user flow or custom policy. Its presence means Azure AD B2C. */
  readonly policy?: string | undefined
}

const multiTenantWords = ['organizations', 'common', 'consumers']
const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const domain = /^(?=.{4,253}$)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]$/i

/**
 * Makes the authority of a tenant.
 *
 * @throws TypeError for a malformed host, tenant or policy, or for ones that do not go together
 * @see https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
 * @see https://learn.microsoft.com/azure/active-directory-b2c/b2clogin
 */
export function entraAuthority(options: EntraAuthorityOptions): EntraAuthority {
  const cloud = readCloud(options.cloud, options.host)
  const host = options.host === undefined ? clouds[cloud].host : readHost(options.host)
  const tenantId = readTenant(options.tenantId)
  const policy = readPolicy(options.policy, host, tenantId)
  const kind = policy === undefined ? kindOf(host, tenantId) : 'b2c'
  const base = (tenant: string) => [host, tenant, ...(policy ? [policy] : [])].join('/')
  return Object.freeze({
    cloud,
    kind,
    host,
    tenantId,
    policy,
    multiTenant: multiTenantWords.includes(tenantId),
    onBehalfOf: kind !== 'b2c',
    graph: clouds[cloud].graph,
    exchangeAudience: clouds[cloud].exchangeAudience,
    authorizationServer: `${base(tenantId)}/v2.0`,
    authorizationEndpoint: (tenant = tenantId) => `${base(tenant)}/oauth2/v2.0/authorize`,
    tokenEndpoint: (tenant = tenantId) => `${base(tenant)}/oauth2/v2.0/token`,
    jwksUri: `${base(tenantId)}/discovery/v2.0/keys`,
    openidConfiguration: `${base(tenantId)}/v2.0/.well-known/openid-configuration`,
    discoversIssuer: kind === 'b2c' || (kind === 'external' && !isExternalHost(host)),
    issuerFor: (tid: string) => issuerTemplate(kind, cloud, host).replaceAll('{tenantid}', tid),
  })
}

/** Whether it is a GUID. Tenant, client and object ids are. */
export function isGuid(value: unknown): value is string {
  return typeof value === 'string' && guid.test(value)
}

function issuerTemplate(kind: AuthorityKind, cloud: Cloud, host: string): string {
  if (kind === 'external') return externalIssuer
  if (kind === 'b2c') return `${host}/{tenantid}/v2.0/`
  return cloudOf(host) ? clouds[cloud].issuer : `${host}/{tenantid}/v2.0`
}

/** An unknown host with one tenant is External ID under a custom domain. */
function kindOf(host: string, tenantId: string): AuthorityKind {
  if (isExternalHost(host)) {
    if (!multiTenantWords.includes(tenantId)) return 'external'
    throw new TypeError(
      `entraAuth: tenantId cannot be '${tenantId}' in External ID, whose apps belong to one tenant: give the Directory (tenant) ID`,
    )
  }
  const known = cloudOf(host) !== undefined || isLoopbackHost(new URL(host).hostname)
  return known || multiTenantWords.includes(tenantId) ? 'workforce' : 'external'
}

function isExternalHost(host: string): boolean {
  return new URL(host).hostname.endsWith(hostSuffixes.external)
}

function readCloud(given: Cloud | undefined, host: string | undefined): Cloud {
  const ofHost = host === undefined ? undefined : cloudOf(readHost(host))
  if (given === undefined) return ofHost ?? 'public'
  if (!Object.hasOwn(clouds, given)) {
    throw new TypeError(`entraAuth: cloud must be one of '${Object.keys(clouds).join("', '")}'`)
  }
  if (ofHost === undefined || ofHost === given) return given
  throw new TypeError(
    `entraAuth: cloud is '${given}' but authorityHost belongs to '${ofHost}': leave one of them out`,
  )
}

function readHost(host: string): string {
  const remedy = `give an origin such as '${clouds.public.host}'`
  if (typeof host !== 'string' || !URL.canParse(host)) {
    throw new TypeError(`entraAuth: authorityHost is not a URL: ${remedy}`)
  }
  const url = new URL(host)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackHost(url.hostname))) {
    throw new TypeError(`entraAuth: authorityHost must be https (http only on loopback): ${remedy}`)
  }
  if (hasUserinfo(url) || url.search || url.hash || url.pathname !== '/') {
    throw new TypeError(
      `entraAuth: authorityHost must be an origin, without path, query or userinfo: ${remedy} and name the tenant in tenantId`,
    )
  }
  return url.origin
}

function readTenant(tenantId: string): string {
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

/** B2C has a separate authority for each policy. Other authorities have no policy. */
function readPolicy(
  policy: string | undefined,
  host: string,
  tenantId: string,
): string | undefined {
  const isB2cHost = new URL(host).hostname.endsWith(hostSuffixes.b2c)
  if (policy === undefined) {
    if (!isB2cHost) return undefined
    throw new TypeError(
      "entraAuth: policy is missing: at b2clogin.com name the user flow, such as 'B2C_1_signupsignin'",
    )
  }
  if (typeof policy !== 'string' || !/^[\w-]{1,64}$/.test(policy)) {
    throw new TypeError("entraAuth: policy must be a user flow such as 'B2C_1_signupsignin'")
  }
  if (!isB2cHost && cloudOf(host)) {
    throw new TypeError(
      "entraAuth: policy is for Azure AD B2C: set authorityHost to 'https://{name}.b2clogin.com', or leave policy out",
    )
  }
  if (multiTenantWords.includes(tenantId)) {
    throw new TypeError(
      `entraAuth: tenantId cannot be '${tenantId}' in Azure AD B2C: give '{name}.onmicrosoft.com'`,
    )
  }
  return policy
}
