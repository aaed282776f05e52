/**
 * Scopes have three spellings: clients and `scp` use short names (`notes.read`), Entra's requests and
 * answers long ones (`api://<app>/notes.read`), and a bare name at Entra means Microsoft Graph. Here, and
 * nowhere else, a prefix is put on or taken off.
 */
import { OAuthError } from '../oauth/errors.js'

/** How scopes are named at each stage. Pure functions; lists keep their order and hold nothing twice. */
export interface ScopeStrategy {
  /** Short names every caller must have. */
  readonly required: readonly string[]
  /** Short names there are, the required ones first. */
  readonly supported: readonly string[]
  /**
   * Optional short names that clients are told of together with the required ones, in the metadata and in
   * challenges. No gate demands them. Absent: none.
   */
  readonly offered?: readonly string[]
  /** Downstream scopes users agree to at login. */
  readonly additional: readonly string[]
  /**
   * What a client asks for, in short names.
   *
   * @param otherwise what counts when it names none: by default the required and the offered ones
   * @throws OAuthError `invalid_scope` that names what there is not
   */
  fromClient(scope: string | undefined, otherwise?: readonly string[]): readonly string[]
  /** For the authorization request, where scopes of several resources may stand together. */
  toUpstreamAuthorize(scopes: readonly string[]): readonly string[]
  /** For the redemption of a code: one resource only (AADSTS28000). */
  toUpstreamTokenExchange(scopes: readonly string[]): readonly string[]
  /** For a refresh: one resource only, and never none (AADSTS90009). */
  toUpstreamRefresh(scopes: readonly string[]): readonly string[]
  /** What Entra's `scope` answer grants of our scopes, in short names. */
  fromUpstream(scope: string | undefined): readonly string[]
  /** What an access token grants: `scp`, and `roles` when it is an application's. */
  fromToken(claims: ScopeClaims): readonly string[]
  /** Those of `required` that `granted` neither holds nor implies. */
  missing(granted: readonly string[], required: readonly string[]): readonly string[]
  /** What was requested and is held or implied by what Entra granted. */
  grant(requested: readonly string[], upstreamGranted: readonly string[]): readonly string[]
  /** Words for the consent page. */
  describe(scope: string): string
  /** @throws TypeError that names the scope there is not, for guards at their creation */
  check(scopes: readonly string[], where: string): void
}

/** The claims that tell what an access token grants. */
export interface ScopeClaims {
  readonly scp?: string | undefined
  readonly roles?: readonly string[] | undefined
}

/** What the scopes of an app registration are. */
export interface EntraScopesOptions {
  readonly clientId: string
  /** Short names every caller must have. */
  readonly required: readonly string[]
  /** Short names a caller may have beyond. */
  readonly optional?: readonly string[]
  /**
   * Those of `optional` to offer at the first login. The protected resource metadata and the 401 challenge name
   * them beside the required ones, and a login without `scope` asks for them: so clients that only ever ask for
   * what they are told get them. The consent page lists them, and no gate demands them. Default: none.
   */
  readonly offered?: readonly string[]
  /** What a scope includes: `{ 'notes.write': ['notes.read'] }`. */
  readonly implies?: Readonly<Record<string, readonly string[]>>
  /** The Application ID URI, as it stands at Expose an API. Default `api://{clientId}`. */
  readonly identifierUri?: string
  /** Downstream scopes users agree to at login: `https://graph.microsoft.com/User.Read`. */
  readonly additional?: readonly string[]
  /** Words for the consent page, by scope. */
  readonly descriptions?: Readonly<Record<string, string>>
}

/** Asked for on every leg: an id token, a name, a refresh token. */
const oidcRequested = ['openid', 'profile', 'offline_access']
const oidcKnown = [...oidcRequested, 'email', 'address', 'phone']

/** RFC 6749 section 3.3: scope-token. */
const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/**
 * The scopes of an app registration.
 *
 * @throws TypeError for names that cannot work at Entra, with what to write instead
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
    // OIDC scopes alone would get a token for Microsoft Graph.
    return (names.length > 0 ? names : required).map((name) => prefix + name)
  }
  const forToken = (scopes: readonly string[]) => unique([...long(scopes), ...oidcRequested])
  const held = (granted: readonly string[]) =>
    new Set(granted.flatMap((scope) => [scope, ...(implied.get(scope) ?? [])]))

  return Object.freeze<ScopeStrategy>({
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
    fromToken: ({ scp, roles }) => own(scp === undefined ? (roles ?? []) : split(scp)),
    missing(granted, wanted) {
      const all = held(granted)
      return unique(wanted).filter((scope) => !all.has(scope))
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

/** What a client is told to ask for: the required scopes, and those that are offered beside them. */
export function advertisedScopes({ required, offered = [] }: ScopeStrategy): readonly string[] {
  return unique([...required, ...offered])
}

/** Without the required scopes no request would pass the gate, so they come along with any others. */
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

/** Everything a scope includes, directly or through others. Circles do no harm. */
function closure(
  implies: Readonly<Record<string, readonly string[]>>,
): ReadonlyMap<string, readonly string[]> {
  const direct = new Map(Object.entries(implies))
  const reach = (scope: string) => {
    const found = new Set(direct.get(scope))
    // A Set goes on to what is added while it is walked.
    for (const name of found) for (const next of direct.get(name) ?? []) found.add(next)
    return [...found]
  }
  return new Map([...direct.keys()].map((scope) => [scope, reach(scope)]))
}

/** Names in an answer to a client: some of them, none endlessly long. */
function unknownScope(unknown: readonly string[], supported: readonly string[]): OAuthError {
  const named = unknown.slice(0, 5).map((name) => `'${name.slice(0, 100)}'`)
  return new OAuthError(
    'invalid_scope',
    `There is no such scope: ${named.join(', ')}. This server has: ${supported.join(' ')}.`,
  )
}

function checkOptions(options: EntraScopesOptions, identifierUri: string): void {
  const { clientId, required, optional = [], additional = [] } = options
  if (typeof clientId !== 'string' || !scopeToken.test(clientId)) {
    throw wrong(
      "clientId must be the Application (client) ID from the app registration's Overview page",
    )
  }
  if (!Array.isArray(required) || required.length === 0) {
    throw wrong(
      'required must name at least one scope, one that stands under Expose an API: without one Entra issues a token for Microsoft Graph',
    )
  }
  if (!scopeToken.test(identifierUri)) {
    throw wrong('identifierUri must be the Application ID URI as it stands under Expose an API')
  }
  for (const name of [...required, ...optional]) checkOwn(name, identifierUri)
  for (const name of additional) checkAdditional(name, identifierUri)
}

function checkOwn(name: unknown, identifierUri: string): void {
  if (typeof name !== 'string' || !scopeToken.test(name)) {
    throw wrong(
      `${quoted(name)} is no scope name (RFC 6749 section 3.3): write it as under Expose an API`,
    )
  }
  if (oidcKnown.includes(name)) {
    throw wrong(`leave "${name}" out: what OpenID Connect needs is asked for without being told`)
  }
  if (name === '.default' || name.endsWith('/.default')) {
    throw wrong(`"${name}" cannot be mixed with named scopes: name the scopes themselves`)
  }
  if (name.startsWith(`${identifierUri}/`)) {
    throw wrong(
      `write "${name.slice(identifierUri.length + 1)}" for "${name}": the prefix is put on for you`,
    )
  }
  if (name.includes('://')) {
    throw wrong(
      `"${name}" is a scope of another API: put it into additional; own scopes are short names such as "notes.read", below identifierUri`,
    )
  }
}

function checkAdditional(name: unknown, identifierUri: string): void {
  if (typeof name !== 'string' || !scopeToken.test(name)) {
    throw wrong(`${quoted(name)} in additional is no scope (RFC 6749 section 3.3)`)
  }
  if (oidcKnown.includes(name)) {
    throw wrong(
      `leave "${name}" out of additional: what OpenID Connect needs is asked for without being told`,
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
  const wanting = offered.find((name) => !optional.includes(name))
  if (wanting === undefined) return
  if (required.includes(wanting))
    throw wrong(`leave ${quoted(wanting)} out of offered: it is required`)
  if (optional.length === 0) throw wrong(`offered: put ${quoted(wanting)} into optional first`)
  throw noSuchScope('entraScopes: offered', wanting, optional)
}

function noSuchScope(where: string, scope: string, supported: readonly string[]): TypeError {
  const near = supported.find((name) => isNear(String(scope), name))
  const remedy = near
    ? `(did you mean "${near}"?)`
    : `(there are: ${supported.map((name) => `"${name}"`).join(', ')})`
  return new TypeError(`${where}: no such scope: ${quoted(scope)} ${remedy}`)
}

/** Whether at most two letters changed, added or left out make one of the other. */
function isNear(a: string, b: string, edits = 2): boolean {
  if (a === b) return true
  if (edits === 0) return false
  let same = 0
  while (same < a.length && a[same] === b[same]) same += 1
  const [restOfA, restOfB] = [a.slice(same), b.slice(same)]
  return [
    [restOfA.slice(1), restOfB.slice(1)] as const,
    [restOfA.slice(1), restOfB] as const,
    [restOfA, restOfB.slice(1)] as const,
  ].some(([nextA, nextB]) => isNear(nextA, nextB, edits - 1))
}

function quoted(value: unknown): string {
  return JSON.stringify(value) ?? String(value)
}

function wrong(what: string): TypeError {
  return new TypeError(`entraScopes: ${what}`)
}
