/** Who has consented to what: the only way a client gets a scope of a resource. */
import { type Directory, type EntraApp, type EntraUser, userKey } from './directory.js'
import { refuse } from './errors.js'
import { parseScope, type ResourceScopes } from './scopes.js'

/** A user, or everyone by an administrator. */
export type Consenter = EntraUser | 'all'

/** Consents by client, user and resource. */
export interface Consents {
  /** Records what a sign-in asked for: `.default` means all that was consented before, or one's own scopes. */
  record(by: Consenter, client: EntraApp, scopes: readonly ResourceScopes[]): void
  /** Takes scopes back; `'all'` takes them from every user as well. */
  withdraw(by: Consenter, client: EntraApp, scopes: readonly ResourceScopes[]): void
  /** Short names of the resource's scopes that the client may have for this user. */
  of(user: EntraUser, client: EntraApp, resource: EntraApp): readonly string[]
}

/** Consents, beginning with those the app registrations come with. */
export function createConsents(directory: Directory): Consents {
  const records = new Map<string, Set<string>>()
  const consents: Consents = {
    record(by, client, scopes) {
      for (const request of scopes) {
        const key = recordKey(by, client, request.app)
        const names = namesOf(request, client)
        records.set(key, new Set([...(records.get(key) ?? []), ...names]))
      }
    },
    withdraw(by, client, scopes) {
      for (const request of scopes) {
        for (const [key, names] of records) {
          if (!matches(key, by, client, request.app)) continue
          for (const name of namesOf(request, client, request.app.scopes)) names.delete(name)
        }
      }
    },
    of(user, client, resource) {
      const own = records.get(recordKey(user, client, resource)) ?? []
      const common = records.get(recordKey('all', client, resource)) ?? []
      return [...new Set([...own, ...common])]
    },
  }
  for (const app of directory.apps) {
    consents.record('all', app, parseScope(directory, app.consented.join(' '), app).resources)
  }
  return consents
}

/** The scopes a token gets: those asked for and those consented before; AADSTS65001 when one is not. */
export function grantedScopes(
  consents: Consents,
  user: EntraUser,
  client: EntraApp,
  request: ResourceScopes,
): readonly string[] {
  const consented = consents.of(user, client, request.app)
  const missing = request.names.some((name) => !consented.includes(name))
  if (missing || (request.all && consented.length === 0)) refuseConsent(client)
  return [...new Set([...request.names, ...consented])]
}

/** Refuses for want of consent. */
export function refuseConsent(client: EntraApp, error?: string): never {
  return refuse(
    65001,
    `The user or administrator has not consented to use the application with ID '${client.clientId}' ` +
      `named '${client.name}'. Send an interactive authorization request for this user and resource.`,
    { error },
  )
}

function namesOf({ all, names, app }: ResourceScopes, client: EntraApp, every?: readonly string[]) {
  if (!all) return names
  return every ?? (app.clientId === client.clientId ? app.scopes : [])
}

function recordKey(by: Consenter, client: EntraApp, resource: EntraApp): string {
  return `${client.clientId} ${resource.clientId} ${by === 'all' ? by : userKey(by)}`
}

function matches(key: string, by: Consenter, client: EntraApp, resource: EntraApp): boolean {
  return by === 'all'
    ? key.startsWith(`${client.clientId} ${resource.clientId} `)
    : key === recordKey(by, client, resource)
}
