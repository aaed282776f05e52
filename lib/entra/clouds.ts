/** Microsoft's clouds. This table has everything that differs between them. */

/** A cloud by its name: global Azure, Azure Government of the USA, Azure operated by 21Vianet in China. */
export type Cloud = 'public' | 'usgov' | 'china'

/** What differs from cloud to cloud. */
export interface CloudEndpoints {
  /** Origin of the authority. */
  readonly host: string
  /** Other origins of the same authority. */
  readonly aliases: readonly string[]
  /** Issuer of version 2.0 tokens, with `{tenantid}` for the tenant. */
  readonly issuer: string
  /** The beginning of issuers of version 1.0 tokens. */
  readonly v1Issuer: string
  /** Audience of the tokens that replace a secret: those of managed and workload identities. */
  readonly exchangeAudience: string
  /** Origin of Microsoft Graph. */
  readonly graph: string
}

/**
 * @see https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
 * @see https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
 */
export const clouds: Readonly<Record<Cloud, CloudEndpoints>> = Object.freeze({
  public: {
    host: 'https://login.microsoftonline.com',
    aliases: ['https://login.windows.net', 'https://login.microsoft.com'],
    issuer: 'https://login.microsoftonline.com/{tenantid}/v2.0',
    v1Issuer: 'https://sts.windows.net/',
    exchangeAudience: 'api://AzureADTokenExchange',
    graph: 'https://graph.microsoft.com',
  },
  usgov: {
    host: 'https://login.microsoftonline.us',
    aliases: ['https://login.usgovcloudapi.net'],
    issuer: 'https://login.microsoftonline.us/{tenantid}/v2.0',
    v1Issuer: 'https://sts.windows.net/',
    exchangeAudience: 'api://AzureADTokenExchangeUSGov',
    graph: 'https://graph.microsoft.us',
  },
  china: {
    host: 'https://login.partner.microsoftonline.cn',
    aliases: ['https://login.chinacloudapi.cn'],
    issuer: 'https://login.partner.microsoftonline.cn/{tenantid}/v2.0',
    v1Issuer: 'https://sts.chinacloudapi.cn/',
    exchangeAudience: 'api://AzureADTokenExchangeChina',
    graph: 'https://microsoftgraph.chinacloudapi.cn',
  },
})

/** Hosts of External ID and of Azure AD B2C, both in the public cloud only. */
export const hostSuffixes = Object.freeze({ external: '.ciamlogin.com', b2c: '.b2clogin.com' })

/**
 * Issuer of External ID: it contains the tenant id, whatever the tenant's host is called.
 *
 * @see https://learn.microsoft.com/entra/external-id/customers/concept-authentication-methods-customers
 */
export const externalIssuer = `https://{tenantid}${hostSuffixes.external}/{tenantid}/v2.0`

/** The tenant of all personal Microsoft accounts. */
export const personalAccounts = '9188040d-6c67-4c5b-b112-36a304b66dad'

/** The cloud that the origin of an authority belongs to. */
export function cloudOf(host: string): Cloud | undefined {
  const { hostname } = new URL(host)
  const names = Object.keys(clouds) as Cloud[]
  const named = names.find((name) => [clouds[name].host, ...clouds[name].aliases].includes(host))
  const { external, b2c } = hostSuffixes
  return named ?? (hostname.endsWith(external) || hostname.endsWith(b2c) ? 'public' : undefined)
}

/** Whether it is an issuer of version 1.0 tokens, in any cloud. */
export function isV1Issuer(issuer: string): boolean {
  return Object.values(clouds).some(({ v1Issuer }) => issuer.startsWith(v1Issuer))
}
