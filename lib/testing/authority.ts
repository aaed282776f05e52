/** The first path segment of every URL: the tenant it names, and the apps and users that exist there. */
import {
  type Directory,
  type EntraApp,
  type EntraTenant,
  type EntraUser,
  isVisibleIn,
} from './directory.js'
import { refuse } from './errors.js'

/** One tenant, or one of Entra's three names for many. */
export type Authority =
  | { readonly kind: 'tenant'; readonly id: string; readonly tenant: EntraTenant }
  | { readonly kind: 'any'; readonly id: 'common' | 'organizations' | 'consumers' }

/** Reads the path segment; AADSTS90002 for an unknown tenant. */
export function findAuthority(directory: Directory, segment: string): Authority {
  if (segment === 'common' || segment === 'organizations' || segment === 'consumers') {
    return { kind: 'any', id: segment }
  }
  const tenant = directory.tenant(segment)
  if (tenant) return { kind: 'tenant', id: tenant.id, tenant }
  return refuse(90002, `Tenant '${segment}' not found. Check the tenant id or the domain name.`)
}

/** Finds a client: AADSTS700016 when it is not in the tenant, 50194 at /common for a single tenant. */
export function findClient(directory: Directory, authority: Authority, clientId: string): EntraApp {
  const app = directory.app(clientId)
  if (!app || authority.id === 'consumers' || isElsewhere(app, authority)) {
    const place = `the directory '${authority.id}'`
    return refuse(700016, `Application with identifier '${clientId}' was not found in ${place}.`)
  }
  if (authority.kind === 'any' && !app.multiTenant) {
    const remedy = 'Use a tenant-specific endpoint or configure the application to be multi-tenant.'
    return refuse(
      50194,
      `Application '${clientId}'(${app.name}) is not configured as a multi-tenant application. ` +
        `Usage of the /${authority.id} endpoint is not supported. ${remedy}`,
    )
  }
  return app
}

/** Whether a user has an account under the authority. */
export function isUserOf(authority: Authority, user: EntraUser): boolean {
  return authority.kind === 'any' ? authority.id !== 'consumers' : user.tid === authority.id
}

function isElsewhere(app: EntraApp, authority: Authority): boolean {
  return authority.kind === 'tenant' && !isVisibleIn(app, authority.id)
}
