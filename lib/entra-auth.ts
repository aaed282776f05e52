/** `entraAuth`: options become the frozen context that all middlewares share. Everything is checked here, once. */
import { assertionRenewal } from './assertion-renewal.js'
import { type ClientOptions, readClientOptions } from './client-options.js'
import { keyRing } from './crypto/key-ring.js'
import { type Logger, reporter } from './diagnostics.js'
import { downstreamExchange, type Exchange, exchangeReporter } from './downstream-exchange.js'
import { entraAuthority } from './entra/authority.js'
import type { Cloud } from './entra/clouds.js'
import type { ClientCredential } from './entra/credentials.js'
import { onBehalfOf } from './entra/on-behalf-of.js'
import type { ScopeStrategy } from './entra/scopes.js'
import { signingKeys } from './entra/signing-keys.js'
import { tokenEndpoint } from './entra/token-endpoint.js'
import { entraVerifier } from './entra/verify.js'
import { cookieFamily } from './http/cookies.js'
import { learnScopes } from './known-scopes.js'
import { isLoopbackHost, knownCustomSchemes } from './oauth/redirect-uri.js'
import type { LoginPolicy, ProxyContext, Report, Resource } from './routes/context.js'
import { wellKnownPath } from './routes/metadata.js'
import { sharedTokens } from './shared-tokens.js'
import { memoryStorage } from './storage/memory.js'
import type { Storage } from './storage/storage.js'
import { type Vault, vault } from './storage/vault.js'
import { accessTokens } from './tokens/access-token.js'
import { authorizationCodes } from './tokens/authorization-code.js'
import { challenges } from './tokens/challenges.js'
import { clients } from './tokens/clients.js'
import { grants } from './tokens/grants.js'
import { type Lifetimes, lifetimes as readLifetimes } from './tokens/lifetimes.js'
import { refreshTokens } from './tokens/refresh-token.js'
import { type VerifiedToken, type VerifyToken, verifiedTokens } from './verified-tokens.js'

/** Options of {@link entraAuth}. Times are in seconds. */
export interface EntraAuthOptions extends ClientOptions {
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
  /** Secrets of 128 bits or more. The first seals and signs, all open and verify. Needed for the proxy. */
  readonly keys?: readonly string[]
  /** Where logins are kept (default: this process's memory). */
  readonly storage?: Storage
  /** Paths of the MCP endpoints (default `['/mcp']`). */
  readonly resources?: readonly string[]
  /** What to call this server on the consent page and in metadata. */
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
  readonly lifetimes?: Partial<Lifetimes>
  /** Asked at login, after Entra's tokens were verified: false is `access_denied`. */
  readonly allow?: LoginPolicy['allow']
  /** App roles, one of which a user must have to log in. */
  readonly requiredRoles?: readonly string[]
  /** Private-use URI schemes of clients to allow besides the known ones: `['myapp:']`. */
  readonly customSchemes?: readonly string[]
  /**
   * Which of the redirect URIs that clients bring are good enough here (default: all that the rules allow):
   * `({ hostname }) => hostname === 'claude.ai'`. Asked at registration and again at each login: it narrows
   * what a client registered, and never adds to it.
   */
  readonly allowRedirect?: (redirectUri: URL) => boolean
  /**
   * After a 403 the next refresh without `scope` is refused for a minute, so that clients which refresh instead
   * of logging in again (MCP SDK v1) get the scopes they lack (default true).
   */
  readonly stepUpByLogin?: boolean
  /** Verified tokens to remember (default 10,000). */
  readonly maxVerifiedTokens?: number
  /** Exchanged tokens to remember (default 50,000). */
  readonly maxDownstreamTokens?: number
  /**
   * Whether replicas use each other's exchanged tokens, through the storage, where they lie sealed under the
   * caller's own token (default false: every process exchanges for itself). Needs `keys`.
   */
  readonly shareDownstreamTokens?: boolean
  /** In pino's shape (default: warnings and errors on the console). */
  readonly logger?: Logger
  /** The clock, in milliseconds since the epoch. */
  readonly now?: () => number
}

/** Longest wait for Entra's token endpoint: well below what clients and proxies in front of us allow. */
const upstreamSeconds = 8

/** What the gates work with. */
export interface GateContext {
  readonly resources: readonly [Resource, ...Resource[]]
  readonly resourceName: string | undefined
  readonly scopes: ScopeStrategy
  readonly verify: VerifyToken
  readonly report: Report
  /** Scopes as a client has to ask for them: ours, or in direct mode Entra's. */
  challengeScopes(scopes: readonly string[]): string
  askForStepUp(verified: VerifiedToken): Promise<void>
  readonly exchange: Exchange
  /** Where a client that understands a claims challenge takes it. */
  authorizationUri(tid: string): string
  /** @throws TypeError when tokens cannot be exchanged for want of a credential */
  checkExchange(caller: string): void
  useDirectMode(): { readonly issuer: string; readonly upstreamScopes: readonly string[] }
}

/** What `entraAuth` returns: hand it to the middlewares. */
export interface EntraAuth {
  readonly baseUrl: string
  readonly scopes: ScopeStrategy
  /** @internal */
  proxy(caller: string): ProxyContext
  /** @internal */
  gate(caller: string): GateContext
}

/**
 * The context that `oauthRoutes`, `requireBearer`, `oboToken` and `resourceMetadata` share.
 *
 * @throws TypeError that names the option and the remedy
 * @example
 * const auth = entraAuth({ baseUrl, tenantId, clientId, credential: clientSecret(secret), scopes, keys })
 */
export function entraAuth(options: EntraAuthOptions): EntraAuth {
  const { clientId, scopes, credential, storage = memoryStorage(), now = Date.now } = options
  const { baseUrl, basePath } = readBaseUrl(options.baseUrl)
  checkText('clientId', clientId, 'Application (client) ID of the app registration')
  checkStrategy(scopes)
  checkStorage(storage)
  const authority = entraAuthority({
    tenantId: options.tenantId,
    ...(options.authorityHost !== undefined && { host: options.authorityHost }),
    ...(options.cloud !== undefined && { cloud: options.cloud }),
    ...(options.policy !== undefined && { policy: options.policy }),
  })
  const report = reporter(options.logger)
  const lifetimes = readLifetimes(options.lifetimes)
  const callbackPath = readPath('callbackPath', options.callbackPath ?? '/auth/callback')
  const customSchemes = [...knownCustomSchemes, ...readSchemes(options.customSchemes)]
  const resources = readResources(options.resources, baseUrl, basePath)
  const verifier = entraVerifier({
    authority,
    clientId,
    keys: signingKeys({ uri: authority.jwksUri, now }),
    now,
    ...(options.identifierUris && { identifierUris: options.identifierUris }),
    ...(options.allowedTenants && { allowedTenants: options.allowedTenants }),
  })
  const endpoint =
    credential && tokenEndpoint({ authority, clientId, credential, timeout: upstreamSeconds })
  const clientFloor = readClientOptions(options, customSchemes)
  const floor = { storage, lifetimes, baseUrl, customSchemes, now, clientFloor }
  const tokens = options.keys && tokenFloor(keyRing(options.keys), floor)
  const exchanges =
    endpoint &&
    onBehalfOf({
      endpoint,
      now,
      onExchange: exchangeReporter(report),
      ...(options.maxDownstreamTokens !== undefined && { maxEntries: options.maxDownstreamTokens }),
      ...(options.shareDownstreamTokens && { shared: share(tokens?.vault, report) }),
    })
  learnScopes(scopes.supported)

  const mode = { direct: false, proxy: false }
  const gate: GateContext = Object.freeze({
    resources,
    resourceName: options.resourceName,
    scopes,
    report,
    verify: verifiedTokens({
      verifier,
      scopes,
      proxy: tokens,
      maxEntries: options.maxVerifiedTokens ?? 10_000,
      now,
    }),
    challengeScopes: (names: readonly string[]) =>
      (mode.direct && !mode.proxy ? upstreamNames(scopes, names) : names).join(' '),
    askForStepUp: stepUp(tokens, options.stepUpByLogin ?? true, report, now),
    exchange: downstreamExchange({
      exchanges,
      tokens,
      renewAssertion:
        endpoint &&
        tokens &&
        assertionRenewal({
          tokenEndpoint: endpoint,
          grants: tokens.grants,
          scopes,
          verifier,
          now,
        }),
      authority,
      clientId,
      report,
      now,
    }),
    authorizationUri: (tid: string) => authority.authorizationEndpoint(tid),
    checkExchange: (caller: string) => {
      if (!authority.onBehalfOf)
        throw new TypeError(`${caller}: Azure AD B2C has no on-behalf-of flow`)
      needed(caller, 'credential', endpoint)
    },
    useDirectMode: () => {
      mode.direct = true
      return {
        issuer: authority.authorizationServer,
        upstreamScopes: upstreamNames(scopes, scopes.required),
      }
    },
  })

  return Object.freeze({
    baseUrl,
    scopes,
    gate: () => gate,
    proxy(caller: string): ProxyContext {
      needed(caller, 'credential', endpoint)
      needed(caller, 'keys', tokens)
      mode.proxy = true
      const secure = baseUrl.startsWith('https:')
      const cookies = { secure, maxAge: lifetimes.login, most: 10, now }
      return Object.freeze({
        baseUrl,
        basePath,
        resourceName: options.resourceName,
        clientId,
        callbackPath,
        resources,
        customSchemes,
        allowRedirect: options.allowRedirect ?? (() => true),
        scopes,
        lifetimes,
        stepUpByLogin: options.stepUpByLogin ?? true,
        policy: {
          requiredRoles: options.requiredRoles ?? [],
          allow: options.allow ?? (() => true),
        },
        ...tokens,
        features: clientFloor.features,
        consentCookies: cookieFamily({ name: 'mcp-entra-consent', ...cookies }),
        loginCookies: cookieFamily({ name: 'mcp-entra-login', ...cookies }),
        authority,
        verifier,
        tokenEndpoint: endpoint,
        report,
        now,
      })
    },
  })
}

/** Keys, clients, records and tokens of the proxy. */
function tokenFloor(
  ring: ReturnType<typeof keyRing>,
  floor: {
    readonly storage: Storage
    readonly lifetimes: Lifetimes
    readonly baseUrl: string
    readonly customSchemes: readonly string[]
    readonly now: () => number
    readonly clientFloor: ReturnType<typeof readClientOptions>
  },
) {
  const { storage, lifetimes, baseUrl, customSchemes, now } = floor
  const records = vault(storage, ring)
  const allGrants = grants(records, lifetimes, now)
  const registered = clients(ring, now)
  return {
    ring,
    vault: records,
    grants: allGrants,
    challenges: challenges(records),
    ...floor.clientFloor.build({ registered, records, baseUrl, customSchemes, now }),
    codes: authorizationCodes(records, allGrants, lifetimes, now),
    refreshTokens: refreshTokens(records, allGrants, lifetimes, now),
    accessTokens: accessTokens(baseUrl, ring, lifetimes.accessToken, now),
  }
}

/** Own scopes in the form Entra wants, without the OIDC ones. */
function upstreamNames(scopes: ScopeStrategy, names: readonly string[]): readonly string[] {
  return scopes.toUpstreamTokenExchange(names).filter((name) => name.includes('/'))
}

function share(vault: Vault | undefined, report: Report) {
  needed('entraAuth with shareDownstreamTokens', 'keys', vault)
  return sharedTokens(vault, (error) =>
    report('failure', { endpoint: 'on-behalf-of', reason: 'sharing', error }),
  )
}

/** Milliseconds between two marks for one token: the mark itself lasts a minute. */
const markEvery = 20_000

function stepUp(
  tokens: Pick<ProxyContext, 'grants'> | undefined,
  enabled: boolean,
  report: Report,
  now: () => number,
): GateContext['askForStepUp'] {
  const marked = new WeakMap<VerifiedToken, number>()
  return async (verified) => {
    if (!enabled || !tokens || verified.sid === undefined) return
    const time = now()
    if (time - (marked.get(verified) ?? Number.NEGATIVE_INFINITY) < markEvery) return
    try {
      await tokens.grants.askForStepUp(verified.sid)
      marked.set(verified, time)
    } catch (error) {
      // The 403 is right all the same.
      report('failure', { endpoint: 'gate', reason: 'step_up_not_recorded', error })
    }
  }
}

function needed<T>(caller: string, option: string, value: T | undefined): asserts value is T {
  if (value === undefined)
    throw new TypeError(`${caller}: entraAuth needs the option \`${option}\` for this`)
}

function readBaseUrl(given: unknown): { baseUrl: string; basePath: string } {
  const remedy = "such as 'https://mcp.contoso.com'"
  if (typeof given !== 'string' || !URL.canParse(given)) {
    throw new TypeError(`entraAuth: baseUrl must be the URL this server is reached at, ${remedy}`)
  }
  const url = new URL(given)
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

function readResources(
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
  return given.map((path) => ({
    path: readPath('resources', path),
    url: path === '/' ? baseUrl : baseUrl + path,
    metadataUrl: origin + wellKnownPath('oauth-protected-resource', basePath + path),
  })) as unknown as readonly [Resource, ...Resource[]]
}

function readPath(option: string, path: unknown): string {
  if (typeof path !== 'string' || !/^\/[A-Za-z0-9._~/-]*$/.test(path) || /.\/$|\/\//.test(path)) {
    throw new TypeError(
      `entraAuth: ${option} must be a path such as '/mcp': ${JSON.stringify(path)}`,
    )
  }
  return path
}

function readSchemes(given: readonly string[] = []): readonly string[] {
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

function checkText(option: string, value: unknown, what: string): void {
  if (typeof value !== 'string' || value === '' || /\s/.test(value)) {
    throw new TypeError(`entraAuth: ${option} must be the ${what}`)
  }
}

function checkStrategy(scopes: unknown): void {
  if (typeof (scopes as ScopeStrategy | undefined)?.fromClient !== 'function') {
    throw new TypeError(
      'entraAuth: scopes must be a scope strategy: entraScopes({ clientId, required: […] })',
    )
  }
}

function checkStorage(storage: Storage): void {
  for (const operation of ['get', 'set', 'add', 'take'] as const) {
    if (typeof storage[operation] !== 'function') {
      throw new TypeError(
        `entraAuth: storage has no ${operation}(): it must have get, set, add and take`,
      )
    }
  }
}
