/** `entraAuth`: options become the frozen context that all middlewares share. Everything is checked here, once. */

import { monotonicNow } from './async/monotonic-now.js'
import { keyRing } from './crypto/key-ring.js'
import { entraAuthority } from './entra/authority.js'
import { onBehalfOf } from './entra/on-behalf-of.js'
import { advertisedScopes, type ScopeStrategy } from './entra/scopes.js'
import { signingKeys } from './entra/signing-keys.js'
import { tokenEndpoint } from './entra/token-endpoint.js'
import { entraVerifier } from './entra/verify.js'
import { assertionRenewal } from './gate/assertion-renewal.js'
import type { GateContext } from './gate/context.js'
import { downstreamExchange, exchangeReporter } from './gate/downstream-exchange.js'
import { sharedTokens } from './gate/shared-tokens.js'
import { type VerifiedToken, verifiedTokens } from './gate/verified-tokens.js'
import { cookieFamily } from './http/cookies.js'
import type { Report } from './http/report.js'
import { reporter } from './http/report.js'
import { learnScopes } from './known-scopes.js'
import type { LoginPolicy } from './login/policy.js'
import { knownCustomSchemes } from './oauth/redirect-uri.js'
import type { ProxyContext } from './routes/context.js'
import { readClientOptions } from './setup/client-options.js'
import {
  checkStorage,
  checkStrategy,
  checkText,
  type EntraAuthOptions,
  readBaseUrl,
  readPath,
  readResources,
  readSchemes,
} from './setup/options.js'
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
import { stepUps } from './tokens/step-ups.js'

/** Longest wait for Entra's token endpoint: well below what clients and proxies in front of us allow. */
const upstreamSeconds = 8

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
  // A test's clock is both: it only goes forward.
  const monotonic = options.now ?? monotonicNow
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
  const report = reporter(options.logger, now)
  const lifetimes = readLifetimes(options.lifetimes)
  const callbackPath = readPath('callbackPath', options.callbackPath ?? '/auth/callback')
  const customSchemes = [...knownCustomSchemes, ...readSchemes(options.customSchemes)]
  const resources = readResources(options.resources, baseUrl, basePath)
  const verifier = entraVerifier({
    authority,
    clientId,
    keys: signingKeys({ uri: authority.jwksUri, now: monotonic }),
    now,
    monotonic,
    ...(options.identifierUris && { identifierUris: options.identifierUris }),
    ...(options.allowedTenants && { allowedTenants: options.allowedTenants }),
  })
  const endpoint =
    credential && tokenEndpoint({ authority, clientId, credential, timeout: upstreamSeconds })
  const clientFloor = readClientOptions(options, customSchemes)
  const floor = { storage, lifetimes, baseUrl, customSchemes, report, now, monotonic, clientFloor }
  const tokens = options.keys && tokenFloor(keyRing(options.keys), floor)
  const exchanges =
    endpoint &&
    onBehalfOf({
      endpoint,
      now,
      monotonic,
      onExchange: exchangeReporter(report),
      ...(options.maxDownstreamTokens !== undefined && { maxEntries: options.maxDownstreamTokens }),
      ...(options.shareDownstreamTokens && { shared: share(tokens?.vault, report) }),
    })
  const policy: LoginPolicy = {
    requiredRoles: options.requiredRoles ?? [],
    allow: options.allow ?? (() => true),
  }
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
      policy,
      proxy: tokens,
      maxEntries: options.maxVerifiedTokens ?? 10_000,
      now,
      monotonic,
    }),
    challengeScopes: (names: readonly string[]) => {
      const known = names.filter((name) => scopes.supported.includes(name))
      return (mode.direct && !mode.proxy ? upstreamNames(scopes, known) : known).join(' ')
    },
    askForStepUp: stepUp(scopes, tokens, options.stepUpByLogin ?? true, report, now),
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
          policy,
          report,
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
        upstreamScopes: upstreamNames(scopes, advertisedScopes(scopes)),
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
        policy,
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
    readonly report: Report
    readonly now: () => number
    readonly monotonic: () => number
    readonly clientFloor: ReturnType<typeof readClientOptions>
  },
) {
  const { storage, lifetimes, baseUrl, customSchemes, report, now, monotonic } = floor
  const records = vault(storage, ring)
  const allGrants = grants(records, lifetimes, now)
  const registered = clients(ring, now)
  return {
    ring,
    vault: records,
    grants: allGrants,
    challenges: challenges(records),
    stepUps: stepUps(records, now),
    ...floor.clientFloor.build({
      registered,
      records,
      baseUrl,
      customSchemes,
      report,
      now,
      monotonic,
    }),
    codes: authorizationCodes(records, allGrants, lifetimes),
    refreshTokens: refreshTokens(ring, records, allGrants, lifetimes, now),
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
  scopes: ScopeStrategy,
  tokens: Pick<ProxyContext, 'stepUps'> | undefined,
  enabled: boolean,
  report: Report,
  now: () => number,
): GateContext['askForStepUp'] {
  const marked = new WeakMap<VerifiedToken, number>()
  return async (verified, needed) => {
    const { sid, grant, expiresAt } = verified
    if (!enabled || !tokens || sid === undefined || !grant) return
    // A token that was only narrowed is widened by refreshing: no login is needed for that.
    const lacking = scopes.missing(grant.scopes, needed)
    if (lacking.length === 0) return
    const time = now()
    if (time - (marked.get(verified) ?? Number.NEGATIVE_INFINITY) < markEvery) return
    try {
      await tokens.stepUps.remember(sid, lacking, expiresAt)
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
