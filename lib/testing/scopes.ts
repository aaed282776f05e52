/** Entra's scope language: which resource a scope belongs to, and which scopes may be combined. */
import { type Directory, type EntraApp, graphId, graphUri } from './directory.js'
import { refuse } from './errors.js'

/** What a request asks of one resource. */
export interface ResourceScopes {
  readonly app: EntraApp
  /** The prefix the client used; empty for bare names, which mean Graph. */
  readonly identifier: string
  /** Short names, as the resource defines them. */
  readonly names: readonly string[]
  /** Whether `.default` was asked for. */
  readonly all: boolean
}

/** A parsed `scope` parameter. */
export interface ScopeRequest {
  /** `openid`, `profile`, `email`, `offline_access`. */
  readonly oidc: readonly string[]
  readonly resources: readonly ResourceScopes[]
}

/** The scopes that belong to no resource. */
export const oidcScopes: readonly string[] = ['openid', 'profile', 'email', 'offline_access']

const everything = '.default'

/**
 * Parses a `scope` parameter. Refuses unknown resources (500011) and scopes (650053), prefixed OIDC scopes (65005), and `.default`
 * next to named scopes of the same resource (70011).
 */
export function parseScope(directory: Directory, scope: string, client: EntraApp): ScopeRequest {
  const words = [...new Set(scope.split(' ').filter(Boolean))]
  const resources = new Map<EntraApp, ResourceScopes>()
  for (const word of words.filter((word) => !oidcScopes.includes(word))) {
    const { app, identifier, name } = parseWord(directory, word, client)
    const known = resources.get(app) ?? { app, identifier, names: [], all: false }
    const names = name === everything ? known.names : [...known.names, name]
    resources.set(app, { ...known, names, all: known.all || name === everything })
  }
  for (const { all, names } of resources.values()) if (all && names.length > 0) refuseMix(scope)
  return { oidc: words.filter((w) => oidcScopes.includes(w)), resources: [...resources.values()] }
}

/** The only resource of a token request: AADSTS28000 when there are two, and Graph when none is named. */
export function onlyResource(directory: Directory, { resources }: ScopeRequest): ResourceScopes {
  if (resources.length > 1) {
    const sentence = 'The scope parameter may name scopes of one resource only; it names several.'
    return refuse(28000, `Provided value for the input parameter scope is not valid. ${sentence}`)
  }
  const app = directory.resource(graphUri)
  if (!app) throw new Error('Graph is missing from the directory')
  return resources[0] ?? { app, identifier: graphUri, names: [], all: false }
}

/**
 * AADSTS9010010 unless `resource` is, character by character, an identifier URI of the app that owns the requested
 * scopes.
 *
 * @see https://learn.microsoft.com/entra/agent-id/secure-mcp-server-with-entra-id
 */
export function checkResource(
  directory: Directory,
  resource: string | undefined,
  request: ScopeRequest,
): void {
  if (!resource) return
  const owners = request.resources.map(({ app }) => app)
  const apps = owners.length > 0 ? owners : [onlyResource(directory, request).app]
  if (apps.every((app) => isResource(app, resource))) return
  refuse(
    9010010,
    "The resource parameter provided in the request doesn't match with the requested scopes.",
  )
}

/**
 * Entra takes the URL of a server as an Application ID URI only from apps with tokens of version 2, and none that ends
 * with a slash. Graph is Microsoft's own.
 */
function isResource(app: EntraApp, resource: string): boolean {
  const isUrl = /^https?:/i.test(resource) && app.clientId !== graphId
  const canBeThere = !isUrl || (app.requestedAccessTokenVersion === 2 && !resource.endsWith('/'))
  return canBeThere && app.identifierUris.includes(resource)
}

/** Writes a short name in the client's form: `api://app/notes.read`. */
export function prefixed({ identifier }: ResourceScopes, name: string): string {
  return identifier === '' ? name : `${identifier}/${name}`
}

/** The `.default` scope, as the client asked for it. */
export function prefixedDefault(request: ResourceScopes): string {
  return prefixed(request, everything)
}

function parseWord(directory: Directory, word: string, client: EntraApp) {
  const slash = word.lastIndexOf('/')
  const identifier = word.slice(0, Math.max(slash, 0))
  const name = word.slice(slash + 1)
  const app = directory.resource(slash < 0 ? graphUri : identifier)
  if (!app) return refuseResource(identifier)
  if (slash >= 0 && oidcScopes.includes(name)) return refusePrefix(word, app)
  if (name === everything || app.scopes.includes(name)) return { app, identifier, name }
  return refuse(
    650053,
    `The application '${client.name}' asked for scope '${name}' that doesn't exist ` +
      `on the resource '${app.clientId}'. Contact the app vendor.`,
  )
}

function refuseResource(identifier: string): never {
  const where = `The resource principal named ${identifier} was not found in the tenant.`
  return refuse(500011, `${where} Check that the application is installed and the name is right.`)
}

function refusePrefix(scope: string, app: EntraApp): never {
  return refuse(
    65005,
    `The scope '${scope}' is not one that resource '${app.clientId}' defines: OIDC scopes are sent unprefixed.`,
  )
}

function refuseMix(scope: string): never {
  return refuse(
    70011,
    `The provided value for the input parameter 'scope' is not valid. The scope ${scope} is not valid: ` +
      ".default can't be combined with resource-specific scopes.",
  )
}
