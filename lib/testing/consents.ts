/** Who has consented to what. A client only gets scopes with consent. */
import { type Directory, type EntraApp, type EntraUser, userKey } from './directory.js'
import { refuse } from './errors.js'
import { parseScope, type ResourceScopes } from './scopes.js'

/** A user, or everyone by an administrator. */
export type Consenter = EntraUser | 'all'

/** Consents by client, user and resource. */
export interface Consents {
  /** Records the scopes of a sign-in. `.default` means the scopes consented to before, or for itself all of an API. */
  record(by: Consenter, client: EntraApp, scopes: readonly ResourceScopes[]): void
  /** Withdraws scopes. `'all'` withdraws them from every user too. */
  withdraw(by: Consenter, client: EntraApp, scopes: readonly ResourceScopes[]): void
  /** Short names of the resource's scopes that the client may have for this user. */
  of(user: EntraUser, client: EntraApp, resource: EntraApp): readonly string[]
}

/** Makes the list of consents, which starts with those of the app registrations. */
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
  for (const app of [...directory.apps, ...directory.agents]) {
    consents.record('all', app, parseScope(directory, app.consented.join(' '), app).resources)
  }
  return consents
}

/** The scopes of a token: the requested ones and those consented to before. AADSTS65001 without consent. */
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

/** Refuses because consent is missing. */
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
