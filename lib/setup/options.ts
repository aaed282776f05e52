/** The options of `entraAuth`: what they are, and what is wrong with them if something is. */
import type { Clock } from '../async/clock.js'
import type { Cloud } from '../entra/clouds.js'
import type { ClientCredential } from '../entra/credentials.js'
import { checkOptionNames } from '../entra/option-names.js'
import type { ScopeStrategy } from '../entra/scopes.js'
import type { Logger } from '../http/report.js'
import type { LoginPolicy } from '../login/policy.js'
import { isLoopbackHost } from '../oauth/loopback.js'
import type { Resource } from '../oauth/resource.js'
import { wellKnownPath } from '../oauth/resource.js'
import { hasUserinfo } from '../oauth/userinfo.js'
import { visibleText } from '../pages/visible-text.js'
import type { ConsentPolicy } from '../routes/context.js'
import type { Storage } from '../storage/storage.js'
import type { Lifetimes } from '../tokens/lifetimes.js'
import type { ClientOptions } from './client-options.js'
import type { IdentityIssuer } from './identity-options.js'
import type { PageOptions } from './page-options.js'

/** Whether tokens are bound to a key of the client: never, for clients that want it, always. */
export type DpopMode = 'off' | 'allowed' | 'required'

/** Whose tokens clients bring: ours, or Entra's own. */
export type Mode = 'proxy' | 'direct'

/** Options of {@link entraAuth}. Times are in seconds. */
export interface EntraAuthOptions extends ClientOptions, PageOptions {
  /** Where this server is reached from outside: the issuer. https (http on loopback), no trailing slash. */
  readonly baseUrl: string
  /** The tenant: its GUID, one of its domains, or `organizations`, `common`, `consumers`. */
  readonly tenantId: string
  /** Application (client) ID of the app registration. */
  readonly clientId: string
  /** How this server proves to Entra that it is the app: `clientSecret(…)`. Needed for the proxy and on-behalf-of. */
  readonly credential?: ClientCredential
  /** The scope strategy: `entraScopes({…})`. */
  readonly scopes: ScopeStrategy
  /**
   * Secrets of 128 bits or more. The first seals and signs, all open and verify. Needed for the proxy.
   *
   * A new one comes in two steps: appended on every replica (`[old, new]`), and only then moved to the front on
   * every replica (`[new, old]`). In front at once, it is unknown to replicas that have not restarted yet, and they
   * refuse what it has sealed and signed. A key that is dropped ends the logins not refreshed since the second step,
   * and makes clients that registered under it register again.
   */
  readonly keys?: readonly string[]
  /**
   * `proxy`: clients get tokens of ours from `oauthRoutes`. `direct`: they get Entra's own, and `resourceMetadata`
   * tells them where. It decides how challenges spell scopes. Default: `proxy` when there are `keys`, else `direct`.
   */
  readonly mode?: Mode
  /** Where logins are kept (default: this process's memory). */
  readonly storage?: Storage
  /** Paths of the MCP endpoints (default `['/mcp']`). */
  readonly resources?: readonly string[]
  /** What to call this server in the text of pages and in metadata (default there: its host). */
  readonly resourceName?: string
  /** For a multi-tenant `tenantId`: whose users may come in. `'any'` has to be said on purpose. */
  readonly allowedTenants?: readonly string[] | 'any'
  /** The national cloud of the tenant (default `public`). */
  readonly cloud?: Cloud
  /**
   * The sign-in host, when it is not the cloud's own: `https://contoso.ciamlogin.com` (External ID),
   * `https://contoso.b2clogin.com` (B2C), or a custom domain of theirs.
   */
  readonly authorityHost?: string
  /** B2C only: the user flow or custom policy, such as `B2C_1_signin`. */
  readonly policy?: string
  /** App ID URIs that tokens may name as audience (default `api://{clientId}`). */
  readonly identifierUris?: readonly string[]
  /** Path of the redirect URI registered at Entra (default `/auth/callback`). */
  readonly callbackPath?: string
  /** How long tokens, logins and sign-ins live. */
  readonly lifetimes?: Partial<Lifetimes>
  /**
   * Whether a user may come in. Asked about verified claims: at login (of id token and access token; false is
   * `access_denied`), at every refresh (of the access token; false ends the login), and once for each Entra token
   * that a user brings to a gate (false is a 403 as long as that token lives). Add optional claims that it reads
   * to the access token, not to the id token alone. When it throws, or takes longer than 10 seconds, nobody is let
   * in and nothing is lost: the login ends in `server_error`, the others are a 503.
   */
  readonly allow?: LoginPolicy['allow']
  /**
   * App roles, one of which a user must have: checked where `allow` is asked. Apps without a user need any role at
   * all; which one, `scopeGuard({ roles })` says.
   */
  readonly requiredRoles?: readonly string[]
  /**
   * Identity providers that let clients in for their users: enterprise-managed authorization, by an ID-JAG at `/token`
   * (default: none).
   */
  readonly identityAssertions?: readonly IdentityIssuer[]
  /** Private-use URI schemes of clients to allow besides the known ones: `['myapp:']`. */
  readonly customSchemes?: readonly string[]
  /**
   * Whether users are asked again at a login that asks for nothing new (default `remember`: not for 90 days,
   * `lifetimes.consent`). Only a browser that is signed in is known well enough, so without `accountRoutes` every login
   * asks, and so do clients for whose name nobody vouches (see `rememberUnverified`). `always` asks at every login.
   */
  readonly consent?: 'always' | 'remember'
  /**
   * Whether to remember consents for clients of which only the name is known: those that registered themselves, and all
   * that wait for the sign-in on the user's device, where any program can use their name (default false).
   */
  readonly rememberUnverified?: boolean
  /**
   * Which of the redirect URIs that clients bring are good enough here (default: all that the rules allow):
   * `({ hostname }) => hostname === 'claude.ai'`. Asked at registration and again at each login: it narrows
   * what a client registered, and never adds to it.
   */
  readonly allowRedirect?: (redirectUri: URL) => boolean
  /**
   * After a 403 for scopes that the login lacks, a refresh without `scope` answers `interaction_required` for a
   * minute, but no longer than the refused token lives: so clients which refresh instead of logging in again (MCP
   * SDK v1) get the scopes they lack (default true).
   */
  readonly stepUpByLogin?: boolean
  /**
   * Verified tokens to remember (default 10,000). Each may take 4 KiB on average: longer ones leave room for fewer, so
   * the default takes 40 MB at most. With the proxy, the logins behind them may take as much again.
   */
  readonly maxVerifiedTokens?: number
  /** Exchanged tokens to remember (default 50,000), of 4 KiB on average: 200 MB at most. */
  readonly maxDownstreamTokens?: number
  /**
   * Whether replicas use each other's exchanged tokens, through the storage, where they lie sealed under the
   * caller's own token (default false: every process exchanges for itself). Needs `keys`.
   */
  readonly shareDownstreamTokens?: boolean
  /**
   * Whether to keep, for each user, the list of apps that hold their access, for `listGrants` (default: only where
   * `accountRoutes` is mounted, which shows it).
   */
  readonly connectedApps?: boolean
  /**
   * DPoP: tokens that are bound to a key of the client, so that a stolen one is useless. `allowed` (default): for
   * clients that bring proofs. `required`: for all, so clients without DPoP and Entra's own tokens stay out. `off`: for
   * none. Needs `keys`; Entra issues no such tokens in direct mode.
   */
  readonly dpop?: DpopMode
  /**
   * Whether DPoP proofs need a nonce of this server, a few minutes old at most, so that none can be made long in advance
   * (default false). Clients without a fresh one are told it, and ask a second time.
   */
  readonly dpopNonces?: boolean
  /** In pino's shape (default: warnings and errors on the console). */
  readonly logger?: Logger
  /**
   * Whether events and log lines name users by a pseudonym instead of their ids (default false). It is made under the
   * first of the `keys`: the same on all replicas and after a restart, another one when a new key comes first. Nobody
   * without that key can tell whose it is.
   */
  readonly pseudonymousEvents?: boolean
  /** For tests. */
  readonly now?: Clock
}

export function readBaseUrl(given: unknown): { baseUrl: string; basePath: string } {
  const remedy = "such as 'https://mcp.contoso.com'"
  if (typeof given !== 'string' || !URL.canParse(given)) {
    throw new TypeError(`entraAuth: baseUrl must be the URL this server is reached at, ${remedy}`)
  }
  const url = new URL(given)
  // Not shown: it may hold a password.
  if (hasUserinfo(url)) throw new TypeError('entraAuth: baseUrl must have no userinfo')
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopbackHost(url.hostname))) {
    throw new TypeError(`entraAuth: baseUrl must be https (http only on loopback): ${given}`)
  }
  if (given.endsWith('/'))
    throw new TypeError(`entraAuth: baseUrl must not end with a slash: ${given}`)
  const basePath = url.pathname === '/' ? '' : url.pathname
  // The issuer is compared character by character, so there is one way to spell it.
  if (given !== url.origin + basePath) {
    throw new TypeError(`entraAuth: baseUrl must be spelt ${url.origin + basePath}: ${given}`)
  }
  return { baseUrl: given, basePath }
}

/** Every option there is: one that is missing here does not compile. */
const optionNames = Object.keys({
  baseUrl: true,
  tenantId: true,
  clientId: true,
  credential: true,
  scopes: true,
  keys: true,
  mode: true,
  storage: true,
  resources: true,
  resourceName: true,
  allowedTenants: true,
  cloud: true,
  authorityHost: true,
  policy: true,
  identifierUris: true,
  callbackPath: true,
  lifetimes: true,
  allow: true,
  requiredRoles: true,
  customSchemes: true,
  consent: true,
  rememberUnverified: true,
  allowRedirect: true,
  stepUpByLogin: true,
  maxVerifiedTokens: true,
  maxDownstreamTokens: true,
  shareDownstreamTokens: true,
  connectedApps: true,
  logger: true,
  pseudonymousEvents: true,
  now: true,
  clientMetadata: true,
  registration: true,
  clients: true,
  dpop: true,
  dpopNonces: true,
  identityAssertions: true,
  branding: true,
  texts: true,
} satisfies Record<keyof EntraAuthOptions, true>)

/** @throws TypeError for an option that does not exist, such as `tenantID` */
export function checkNames(options: unknown): void {
  checkOptionNames('entraAuth', options, optionNames)
}

/** @throws TypeError for what would otherwise come out at a request, or never: `'no'` would count as yes */
export function checkTypes(options: EntraAuthOptions): void {
  for (const name of ['stepUpByLogin', 'connectedApps', 'shareDownstreamTokens'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'boolean') {
      throw new TypeError(`entraAuth: ${name} must be true or false`)
    }
  }
  const { allowRedirect, resourceName } = options
  if (allowRedirect !== undefined && typeof allowRedirect !== 'function') {
    throw new TypeError(
      'entraAuth: allowRedirect must be a function: (redirectUri) => true or false',
    )
  }
  if (resourceName === undefined) return
  if (
    typeof resourceName !== 'string' ||
    resourceName === '' ||
    visibleText(resourceName) !== resourceName
  ) {
    throw new TypeError(
      "entraAuth: resourceName must be a text of visible characters, such as 'Notes'",
    )
  }
}

export function readResources(
  given: readonly string[] = ['/mcp'],
  baseUrl: string,
  basePath: string,
): readonly [Resource, ...Resource[]] {
  if (!Array.isArray(given) || given.length === 0) {
    throw new TypeError("entraAuth: resources must hold at least one path, such as '/mcp'")
  }
  if (new Set(given).size !== given.length)
    throw new TypeError('entraAuth: resources holds a path twice')
  const { origin } = new URL(baseUrl)
  for (const path of given) checkNotTwice(readPath('resources', path), baseUrl, basePath)
  return given.map((path) => ({
    path,
    url: path === '/' ? baseUrl : baseUrl + path,
    metadataUrl: origin + wellKnownPath('oauth-protected-resource', basePath + path),
  })) as unknown as readonly [Resource, ...Resource[]]
}

/** The path of a resource comes below that of `baseUrl`, so clients would look for `/mcp/mcp`. */
function checkNotTwice(path: string, baseUrl: string, basePath: string): void {
  if (path === '/' || !(basePath === path || basePath.endsWith(path))) return
  const shorter = baseUrl.slice(0, -path.length)
  throw new TypeError(
    `entraAuth: baseUrl ends with "${path}", which resources adds to it: write baseUrl: '${shorter}', or resources: ['/'] if the MCP endpoint is at baseUrl itself`,
  )
}

export function readPath(option: string, path: unknown): string {
  if (typeof path !== 'string' || !/^\/[A-Za-z0-9._~/-]*$/.test(path) || /.\/$|\/\//.test(path)) {
    throw new TypeError(
      `entraAuth: ${option} must be a path such as '/mcp': ${JSON.stringify(path)}`,
    )
  }
  return path
}

export function readSchemes(given: readonly string[] = []): readonly string[] {
  for (const scheme of given) {
    if (!/^[a-z][a-z0-9+.-]*:$/.test(scheme) || dangerousSchemes.includes(scheme)) {
      throw new TypeError(
        `entraAuth: customSchemes: not a scheme a client may have: ${JSON.stringify(scheme)}`,
      )
    }
  }
  return given
}

/** Schemes that run script, open files or hand the address to somebody else. */
const dangerousSchemes = [
  'about:',
  'blob:',
  'data:',
  'file:',
  'filesystem:',
  'ftp:',
  'http:',
  'https:',
  'intent:',
  'javascript:',
  'mailto:',
  'tel:',
  'vbscript:',
  'view-source:',
  'ws:',
  'wss:',
]

export function checkText(option: string, value: unknown, what: string): void {
  if (typeof value !== 'string' || value === '' || /\s/.test(value)) {
    throw new TypeError(`entraAuth: ${option} must be the ${what}`)
  }
}

/** @param clientId the one that `entraAuth` was given: tokens for another app's scopes would have another audience */
export function checkStrategy(scopes: unknown, clientId: string): void {
  if (typeof (scopes as ScopeStrategy | undefined)?.fromClient !== 'function') {
    throw new TypeError(
      'entraAuth: scopes must be a scope strategy: entraScopes({ clientId, required: […] })',
    )
  }
  const { clientId: other } = scopes as ScopeStrategy
  if (other === undefined || other.toLowerCase() === clientId.toLowerCase()) return
  throw new TypeError(
    `entraAuth: clientId is ${clientId}, and entraScopes was given ${other}: both must be the Application (client) ID of the one app registration`,
  )
}

export function checkStorage(storage: Storage): void {
  for (const operation of ['get', 'set', 'add', 'take'] as const) {
    if (typeof storage[operation] !== 'function') {
      throw new TypeError(
        `entraAuth: storage has no ${operation}(): it must have get, set, add and take`,
      )
    }
  }
}

/** @throws TypeError for anything but the two modes */
export function readMode({ mode, keys }: Pick<EntraAuthOptions, 'mode' | 'keys'>): Mode {
  if (mode === undefined) return keys === undefined ? 'direct' : 'proxy'
  if (mode === 'proxy' || mode === 'direct') return mode
  throw new TypeError(`entraAuth: mode must be 'proxy' or 'direct': ${JSON.stringify(mode)}`)
}

/** @throws TypeError for anything else than the documented values, and for `required` where nobody has such a token */
export function readDpop(
  { dpop = 'allowed', dpopNonces = false, keys }: EntraAuthOptions,
  mode: Mode,
): { readonly mode: DpopMode; readonly nonces: boolean } {
  if (dpop !== 'off' && dpop !== 'allowed' && dpop !== 'required') {
    throw new TypeError(
      `entraAuth: dpop must be 'off', 'allowed' or 'required': ${JSON.stringify(dpop)}`,
    )
  }
  if (typeof dpopNonces !== 'boolean') {
    throw new TypeError('entraAuth: dpopNonces must be true or false')
  }
  const issues = mode === 'proxy' && keys !== undefined
  if (dpop === 'required' && !issues) {
    throw new TypeError(
      "entraAuth: dpop: 'required' needs `keys` and oauthRoutes: Microsoft Entra issues no DPoP tokens",
    )
  }
  return { mode: issues ? dpop : 'off', nonces: dpopNonces }
}

/** @throws TypeError for anything else than the documented values */
export function readConsentPolicy({
  consent = 'remember',
  rememberUnverified = false,
}: Pick<EntraAuthOptions, 'consent' | 'rememberUnverified'>): ConsentPolicy {
  if (consent !== 'remember' && consent !== 'always') {
    throw new TypeError(
      `entraAuth: consent must be 'remember' or 'always': ${JSON.stringify(consent)}`,
    )
  }
  if (typeof rememberUnverified !== 'boolean') {
    throw new TypeError('entraAuth: rememberUnverified must be true or false')
  }
  return { remember: consent === 'remember', unverified: rememberUnverified }
}
