/**
 * Scopes have three spellings: clients and `scp` use short names (`notes.read`), Entra's requests and answers use long
 * ones (`api://<app>/notes.read`), and to Entra a bare name means Microsoft Graph. Only this file adds and removes
 * prefixes.
 */
import { OAuthError } from '../oauth/errors.js'
import { isUnscoped } from './caller-claims.js'
import { checkOptionNames, suggestion } from './option-names.js'

/** How scopes are named at each stage. Pure functions. Lists keep their order and have no duplicates. */
export interface ScopeStrategy {
  /** The app registration whose scopes these are, if the strategy knows it: `entraAuth` must be told the same one. */
  readonly clientId?: string
  /** Short names every caller must have. */
  readonly required: readonly string[]
  /** All short names, the required ones first. */
  readonly supported: readonly string[]
  /**
   * Optional short names that the metadata and the challenges name together with the required ones. No gate demands
   * them. Default: none.
   */
  readonly offered?: readonly string[]
  /** Downstream scopes that users consent to at login. */
  readonly additional: readonly string[]
  /**
   * The scopes a client asks for, as short names.
   *
   * @param otherwise the scopes to use when it names none: by default the required and the offered ones
   * @throws OAuthError `invalid_scope` that names the unknown scopes
   */
  fromClient(scope: string | undefined, otherwise?: readonly string[]): readonly string[]
  /** For the authorization request, which may name scopes of several resources. */
  toUpstreamAuthorize(scopes: readonly string[]): readonly string[]
  /** For the redemption of a code, which may name one resource only (AADSTS28000). */
  toUpstreamTokenExchange(scopes: readonly string[]): readonly string[]
  /** For a refresh, which must name exactly one resource (AADSTS90009). */
  toUpstreamRefresh(scopes: readonly string[]): readonly string[]
  /** Those of our scopes that Entra's `scope` answer grants, as short names. */
  fromUpstream(scope: string | undefined): readonly string[]
  /** The scopes an access token grants: `scp`, or `roles` where that is missing, empty or `/` (apps and agents on their own). */
  fromToken(claims: ScopeClaims): readonly string[]
  /** Those of `required` that `granted` neither contains nor implies. */
  missing(granted: readonly string[], required: readonly string[]): readonly string[]
  /** Those of `requested` that Entra's grant contains or implies. */
  grant(requested: readonly string[], upstreamGranted: readonly string[]): readonly string[]
  /** The description for the consent page. */
  describe(scope: string): string
  /** For guards at their creation. @throws TypeError that names an unknown scope */
  check(scopes: readonly string[], where: string): void
}

/** The claims that say what an access token grants. */
export interface ScopeClaims {
  readonly scp?: string | undefined
  readonly roles?: readonly string[] | undefined
}

/** The scopes of an app registration. */
export interface EntraScopesOptions {
  /** Application (client) ID of the app registration. */
  readonly clientId: string
  /** Short names every caller must have. */
  readonly required: readonly string[]
  /** Short names of further scopes that a caller may have. */
  readonly optional?: readonly string[]
  /**
   * Those of `optional` to offer at the first login. The protected resource metadata and the 401 challenge name them
   * together with the required ones, and a login without `scope` asks for them. So clients that only ask for scopes
   * they have read about get them. The consent page lists them, and no gate demands them. Default: none.
   */
  readonly offered?: readonly string[]
  /** What a scope includes: `{ 'notes.write': ['notes.read'] }`. */
  readonly implies?: Readonly<Record<string, readonly string[]>>
  /** The Application ID URI, as shown under Expose an API. Default `api://{clientId}`. */
  readonly identifierUri?: string
  /** Downstream scopes that users consent to at login: `https://graph.microsoft.com/User.Read`. */
  readonly additional?: readonly string[]
  /** Descriptions for the consent page, by scope. */
  readonly descriptions?: Readonly<Record<string, string>>
}

const optionNames = Object.keys({
  clientId: true,
  required: true,
  optional: true,
  offered: true,
  implies: true,
  identifierUri: true,
  additional: true,
  descriptions: true,
} satisfies Record<keyof EntraScopesOptions, true>)

/** Requested on every leg, for an id token, a name and a refresh token. */
const oidcRequested = ['openid', 'profile', 'offline_access']
const oidcKnown = [...oidcRequested, 'email', 'address', 'phone']

/** Whether a value can be the name of a scope: the `scope-token` of RFC 6749 section 3.3. */
export function isScopeToken(value: unknown): value is string {
  return typeof value === 'string' && /^[\x21\x23-\x5b\x5d-\x7e]+$/.test(value)
}

/**
 * Makes the scope strategy of an app registration.
 *
 * @throws TypeError for names that cannot work at Entra; it says what to write instead
 * @see https://learn.microsoft.com/entra/identity-platform/scopes-oidc
 * @example
 * entraScopes({
 *   clientId,
 *   required: ['notes.read'],
 *   optional: ['notes.write'],
 *   implies: { 'notes.write': ['notes.read'] },
 *   additional: ['https://graph.microsoft.com/User.Read'],
 * })
 */
export function entraScopes(options: EntraScopesOptions): ScopeStrategy {
  checkOptionNames('entraScopes', options, optionNames)
  const { clientId, optional = [], implies = {}, additional = [], descriptions = {} } = options
  const { required, offered = [], identifierUri = `api://${clientId}` } = options
  checkOptions(options, identifierUri)
  const supported = unique([...required, ...optional])
  checkNames(implies, supported)
  checkOffered(offered, options)

  const known = new Set(supported)
  const prefix = `${identifierUri}/`
  const prefixes = unique([prefix, `api://${clientId}/`, `${clientId}/`])
  const implied = closure(implies)
  const wording = new Map(Object.entries(descriptions))

  const short = (scope: string) => {
    const found = prefixes.find((candidate) => scope.startsWith(candidate))
    return found === undefined ? scope : scope.slice(found.length)
  }
  const own = (scopes: readonly string[]) =>
    unique(scopes.map(short).filter((name) => known.has(name)))
  const long = (scopes: readonly string[]) => {
    const names = own(scopes)
    // With OIDC scopes alone, Entra would issue a token for Microsoft Graph.
    return (names.length > 0 ? names : required).map((name) => prefix + name)
  }
  const forToken = (scopes: readonly string[]) => unique([...long(scopes), ...oidcRequested])
  const held = (granted: readonly string[]) =>
    new Set(granted.flatMap((scope) => [scope, ...(implied.get(scope) ?? [])]))

  return Object.freeze<ScopeStrategy>({
    clientId,
    required: Object.freeze(unique(required)),
    supported: Object.freeze(supported),
    offered: Object.freeze(unique(offered)),
    additional: Object.freeze(unique(additional)),
    fromClient(scope, otherwise = unique([...required, ...offered])) {
      const names = unique(split(scope).map(short)).filter((name) => !oidcKnown.includes(name))
      const unknown = names.filter((name) => !known.has(name))
      if (unknown.length > 0) throw unknownScope(unknown, supported)
      return names.length > 0 ? names : otherwise
    },
    toUpstreamAuthorize: (scopes) => unique([...long(scopes), ...additional, ...oidcRequested]),
    toUpstreamTokenExchange: forToken,
    toUpstreamRefresh: forToken,
    fromUpstream: (scope) => own(split(scope)),
    fromToken: ({ scp, roles }) => own(isUnscoped(scp) ? (roles ?? []) : split(scp)),
    missing(granted, wanted) {
      const unnamed = wanted.filter((scope) => !granted.includes(scope))
      // Most callers hold what is wanted by its own name: this spares a fifth of what the tool guard costs.
      if (unnamed.length === 0) return unnamed
      const all = held(granted)
      return unique(unnamed).filter((scope) => !all.has(scope))
    },
    grant(requested, upstreamGranted) {
      const all = held(upstreamGranted)
      return unique(requested).filter((scope) => all.has(scope))
    },
    describe: (scope) => wording.get(scope) ?? scope,
    check(scopes, where) {
      for (const scope of scopes) {
        if (!known.has(scope)) throw noSuchScope(where, scope, supported)
      }
    },
  })
}

/** The scopes that metadata and challenges name: the required and the offered ones. */
export function advertisedScopes({ required, offered = [] }: ScopeStrategy): readonly string[] {
  return unique([...required, ...offered])
}

/** Adds the required scopes: without them no request would pass the gate. */
export function withRequired(scopes: ScopeStrategy, asked: readonly string[]): readonly string[] {
  return [...asked, ...scopes.missing(asked, scopes.required)]
}

/**
 * The scopes of an authorization request that also answers a challenge for missing consent. Entra does not accept
 * `.default` beside named scopes (AADSTS70011), so ours are left out then: the user has consented to them before.
 */
export function combineScopes(
  scopes: readonly string[],
  challenged: readonly string[] = [],
): readonly string[] {
  const all = unique([...scopes, ...challenged])
  if (!challenged.some((scope) => scope.endsWith('/.default'))) return all
  return [...challenged, ...all.filter((scope) => !scope.includes('/'))]
}

function split(scope = ''): readonly string[] {
  return scope.split(' ').filter((name) => name !== '')
}

function unique(names: readonly string[]): readonly string[] {
  return [...new Set(names)]
}

/** Every scope that a scope includes, directly or through others. Cycles are allowed. */
function closure(
  implies: Readonly<Record<string, readonly string[]>>,
): ReadonlyMap<string, readonly string[]> {
  const direct = new Map(Object.entries(implies))
  const reach = (scope: string) => {
    const found = new Set(direct.get(scope))
    // Iterating over a Set also visits what is added meanwhile.
    for (const name of found) for (const next of direct.get(name) ?? []) found.add(next)
    return [...found]
  }
  return new Map([...direct.keys()].map((scope) => [scope, reach(scope)]))
}

/** Names at most five scopes, each cut to 100 characters. */
function unknownScope(unknown: readonly string[], supported: readonly string[]): OAuthError {
  const named = unknown.slice(0, 5).map((name) => `'${name.slice(0, 100)}'`)
  return new OAuthError(
    'invalid_scope',
    `There is no such scope: ${named.join(', ')}. This server has: ${supported.join(' ')}.`,
  )
}

function checkOptions(options: EntraScopesOptions, identifierUri: string): void {
  const { clientId, required, optional = [], additional = [] } = options
  if (!isScopeToken(clientId)) {
    throw wrong(
      "clientId must be the Application (client) ID from the app registration's Overview page",
    )
  }
  if (!Array.isArray(required) || required.length === 0) {
    throw wrong(
      'required must name at least one scope, one that is listed under Expose an API: without one Entra issues a token for Microsoft Graph',
    )
  }
  if (!isScopeToken(identifierUri)) {
    throw wrong('identifierUri must be the Application ID URI as shown under Expose an API')
  }
  for (const name of [...required, ...optional]) checkOwn(name, identifierUri)
  for (const name of additional) checkAdditional(name, identifierUri)
}

function checkOwn(name: unknown, identifierUri: string): void {
  if (!isScopeToken(name)) {
    throw wrong(
      `${quoted(name)} is not a scope name (RFC 6749 section 3.3): write it as under Expose an API`,
    )
  }
  if (oidcKnown.includes(name)) {
    throw wrong(`leave "${name}" out: the scopes of OpenID Connect are always requested`)
  }
  if (name === '.default' || name.endsWith('/.default')) {
    throw wrong(`"${name}" cannot be mixed with named scopes: name the scopes themselves`)
  }
  if (name.startsWith(`${identifierUri}/`)) {
    throw wrong(
      `write "${name.slice(identifierUri.length + 1)}" for "${name}": the prefix is added for you`,
    )
  }
  if (name.includes('://')) {
    throw wrong(
      `"${name}" is a scope of another API: put it into additional; scopes of this app are short names such as "notes.read", below identifierUri`,
    )
  }
}

function checkAdditional(name: unknown, identifierUri: string): void {
  if (!isScopeToken(name)) {
    throw wrong(`${quoted(name)} in additional is not a scope (RFC 6749 section 3.3)`)
  }
  if (oidcKnown.includes(name)) {
    throw wrong(
      `leave "${name}" out of additional: the scopes of OpenID Connect are always requested`,
    )
  }
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/]+\/|^[0-9a-f-]{36}\//i.test(name)) {
    throw wrong(
      `"${name}" in additional names no API: for Microsoft Graph write "https://graph.microsoft.com/${name}"`,
    )
  }
  if (name.endsWith('/.default')) {
    throw wrong(
      `"${name}" cannot be mixed with named scopes: name the scopes themselves in additional`,
    )
  }
  if (name.startsWith(`${identifierUri}/`)) {
    throw wrong(`"${name}" in additional is a scope of this app: put it into required or optional`)
  }
}

function checkNames(
  implies: Readonly<Record<string, readonly string[]>>,
  supported: readonly string[],
): void {
  for (const name of Object.entries(implies).flatMap(([scope, included]) => [scope, ...included])) {
    if (!supported.includes(name)) throw noSuchScope('entraScopes: implies', name, supported)
  }
}

function checkOffered(
  offered: unknown,
  { required, optional = [] }: Pick<EntraScopesOptions, 'required' | 'optional'>,
): void {
  if (!Array.isArray(offered)) throw wrong('offered must be a list of names from optional')
  const stray = offered.find((name) => !optional.includes(name))
  if (stray === undefined) return
  if (required.includes(stray)) throw wrong(`leave ${quoted(stray)} out of offered: it is required`)
  if (optional.length === 0) throw wrong(`offered: put ${quoted(stray)} into optional first`)
  throw noSuchScope('entraScopes: offered', stray, optional)
}

function noSuchScope(where: string, scope: string, supported: readonly string[]): TypeError {
  return new TypeError(
    `${where}: no such scope: ${quoted(scope)} ${suggestion(String(scope), supported)}`,
  )
}

function quoted(value: unknown): string {
  return JSON.stringify(value) ?? String(value)
}

function wrong(what: string): TypeError {
  return new TypeError(`entraScopes: ${what}`)
}
