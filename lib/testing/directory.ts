/** The directory: tenants, people and app registrations, looked up by any name Entra accepts. */
import type {
  EntraAgentOptions,
  EntraAppOptions,
  EntraManagedIdentityOptions,
  EntraTenantOptions,
  EntraUserOptions,
} from './options.js'

/** A user with every default filled in. Tests compare users by `tid` and `oid`. */
export interface EntraUser {
  readonly oid: string
  readonly tid: string
  readonly username: string
  readonly name: string
  readonly roles: readonly string[]
  readonly groups: readonly string[]
  readonly guest: boolean
  readonly mfa: boolean
  readonly assigned: boolean
  /** Only for the user account of an agent: the client id of that agent. */
  readonly agent?: string
}

/** A tenant with every default filled in. */
export interface EntraTenant {
  readonly id: string
  readonly domain: string | undefined
  readonly users: readonly EntraUser[]
}

/** An app registration with every default filled in. */
export interface EntraApp extends Required<EntraAppOptions> {
  /** Only for a managed identity, which is a client without a registration: the object id of its service principal. */
  readonly principalId?: string
  /** Only for an agent identity: the client id of its blueprint. */
  readonly blueprint?: string
}

/** A user by object id, by username, or as the emulator lists them. */
export type UserRef = string | Pick<EntraUser, 'oid' | 'tid'>

/** An app registration by client id, or as the emulator lists it. */
export type AppRef = string | Pick<EntraApp, 'clientId'>

/** All tenants, users and apps. */
export interface Directory {
  readonly tenants: readonly EntraTenant[]
  /** The apps of the options; Graph is not listed. */
  readonly apps: readonly EntraApp[]
  readonly agents: readonly EntraApp[]
  tenant(idOrDomain: string): EntraTenant | undefined
  app(clientId: string): EntraApp | undefined
  /** Whether it is an agent, or the blueprint of one. */
  isAgentic(app: EntraApp): boolean
  /** The app that owns a scope prefix: an identifier URI, or the client id as a GUID. */
  resource(identifier: string): EntraApp | undefined
  user(ref: UserRef): EntraUser | undefined
  addRedirectUri(uri: string, clientId: string): void
}

/** The client id of Microsoft Graph. */
export const graphId = '00000003-0000-0000-c000-000000000000'

/** The identifier URI of Microsoft Graph. */
export const graphUri = 'https://graph.microsoft.com'

const graph: EntraApp = registration({
  clientId: graphId,
  name: 'Microsoft Graph',
  tenantId: 'f8cdef31-a31e-4b4a-93e4-5f571e91255a',
  multiTenant: true,
  identifierUris: [graphUri, 'https://graph.microsoft.com/'],
  scopes: [
    'User.Read',
    'User.ReadBasic.All',
    'Mail.Read',
    'Mail.Send',
    'Calendars.Read',
    'Files.Read',
  ],
  requestedAccessTokenVersion: 1,
})

/** The client id of the resource whose tokens replace a secret. */
export const exchangeId = 'fb60f99c-7a34-4190-8149-302f77469936'

const exchange: EntraApp = registration({
  clientId: exchangeId,
  name: 'AAD Token Exchange',
  tenantId: 'f8cdef31-a31e-4b4a-93e4-5f571e91255a',
  multiTenant: true,
  identifierUris: [
    'api://AzureADTokenExchange',
    'api://AzureADTokenExchangeUSGov',
    'api://AzureADTokenExchangeChina',
  ],
})

/**
 * Makes a directory.
 *
 * @throws TypeError when an id is not a GUID or comes twice, or an app names an unknown tenant
 */
export function createDirectory(
  tenantOptions: readonly EntraTenantOptions[],
  appOptions: readonly EntraAppOptions[],
  managedIdentities: readonly EntraManagedIdentityOptions[] = [],
  agentOptions: readonly EntraAgentOptions[] = [],
): Directory {
  const tenants = tenantOptions.map(tenantOf)
  const apps = appOptions.map(registration)
  const agents = agentOptions.map((agent) => agentClient(agent, apps))
  check(tenants, [...apps, ...agents])
  const users = tenants.flatMap((tenant) => tenant.users)
  const home = tenants[0]?.id ?? ''
  const identities = managedIdentities.map((identity) => identityClient(identity, home))
  const every = [...apps, ...agents, ...identities, graph, exchange]
  return {
    tenants,
    apps,
    agents,
    tenant: (name) => tenants.find(({ id, domain }) => same(id, name) || same(domain, name)),
    app: (clientId) => every.find((app) => same(app.clientId, clientId)),
    isAgentic: ({ clientId, blueprint }) =>
      blueprint !== undefined || agents.some((agent) => agent.blueprint === clientId),
    resource: (identifier) => every.find((app) => owns(app, identifier)),
    user: (ref) => users.find((user) => isUser(user, ref)),
    addRedirectUri(uri, clientId) {
      const index = apps.findIndex((app) => app.clientId === clientId)
      const app = apps[index]
      if (!app) throw new TypeError(`addRedirectUri: no app with the client id "${clientId}"`)
      const changed = { ...app, redirectUris: [...app.redirectUris, uri] }
      apps[index] = changed
      every[index] = changed
    },
  }
}

/** A key that is unique across tenants. */
export function userKey(user: Pick<EntraUser, 'oid' | 'tid'>): string {
  return `${user.tid}/${user.oid}`
}

/** Whether a tenant knows an app. */
export function isVisibleIn(app: EntraApp, tid: string): boolean {
  return app.multiTenant || same(app.tenantId, tid)
}

function tenantOf({ id, domain, users }: EntraTenantOptions): EntraTenant {
  return { id, domain, users: users.map((user) => userOf(user, id)) }
}

function userOf(user: EntraUserOptions, tid: string): EntraUser {
  return { tid, roles: [], groups: [], guest: false, mfa: false, assigned: true, ...user }
}

function registration(app: EntraAppOptions): EntraApp {
  return {
    name: app.clientId,
    multiTenant: false,
    identifierUris: [`api://${app.clientId}`],
    secrets: [],
    certificates: [],
    federatedCredentials: [],
    redirectUris: [],
    spaRedirectUris: [],
    scopes: [],
    appRoles: [],
    requestedAccessTokenVersion: 2,
    consented: [],
    applicationPermissions: {},
    ...app,
  }
}

/** An agent as a client. It inherits what its blueprint was granted. */
function agentClient(agent: EntraAgentOptions, apps: readonly EntraApp[]): EntraApp {
  const { clientId, blueprint, name = clientId, consented = [] } = agent
  const parent = apps.find((app) => same(app.clientId, blueprint))
  if (!parent) {
    throw new TypeError(`startEntra: agent ${clientId} names an unknown blueprint: "${blueprint}"`)
  }
  const { tenantId, multiTenant } = parent
  const all = [...new Set([...parent.consented, ...consented])]
  const own = registration({ clientId, name, tenantId, multiTenant, consented: all })
  return { ...own, identifierUris: [], blueprint: parent.clientId }
}

/** A managed identity as a client. It has no secret, and users cannot sign in to it. */
function identityClient(identity: EntraManagedIdentityOptions, home: string): EntraApp {
  const { clientId, principalId, tenantId = home, federatedCredentials = [] } = identity
  return { ...registration({ clientId, tenantId, federatedCredentials }), principalId }
}

function check(tenants: readonly EntraTenant[], apps: readonly EntraApp[]): void {
  if (tenants.length === 0) throw new TypeError('startEntra: tenants must name at least one tenant')
  if (apps.length === 0) throw new TypeError('startEntra: apps must name at least one app')
  unique(
    'tenants: id',
    tenants.map(({ id }) => id),
  )
  unique(
    'apps: clientId',
    apps.map(({ clientId }) => clientId),
  )
  for (const { id, users } of tenants)
    unique(
      `users of ${id}: oid`,
      users.map(({ oid }) => oid),
    )
  for (const { clientId, tenantId } of apps) {
    if (tenants.some(({ id }) => same(id, tenantId))) continue
    throw new TypeError(`startEntra: app ${clientId} names an unknown tenantId: "${tenantId}"`)
  }
}

function unique(what: string, ids: readonly string[]): void {
  for (const [index, id] of ids.entries()) {
    if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) {
      throw new TypeError(`startEntra: ${what} must be a GUID: "${id}"`)
    }
    if (ids.indexOf(id) !== index) throw new TypeError(`startEntra: ${what} comes twice: "${id}"`)
  }
}

function owns({ clientId, identifierUris }: EntraApp, identifier: string): boolean {
  return same(clientId, identifier) || identifierUris.includes(identifier)
}

function isUser(user: EntraUser, ref: UserRef): boolean {
  if (typeof ref !== 'string') return userKey(user) === userKey(ref)
  return same(user.oid, ref) || same(user.username, ref)
}

function same(a: string | undefined, b: string): boolean {
  return a?.toLowerCase() === b.toLowerCase()
}
