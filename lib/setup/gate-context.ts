/** What the gates work with, out of the settings. */
import { agentOf } from '../entra/credential-agent.js'
import { advertisedScopes, type ScopeStrategy } from '../entra/scopes.js'
import { assertionRenewal, type RenewAssertion } from '../gate/assertion-renewal.js'
import { callerSessions } from '../gate/caller-session.js'
import type { DirectMode, GateContext } from '../gate/context.js'
import { downstreamExchange } from '../gate/downstream-exchange.js'
import { liveGrants } from '../gate/live-grants.js'
import { openResponses } from '../gate/open-responses.js'
import { promptLimit } from '../gate/prompt-limit.js'
import { stepUpMarks } from '../gate/step-up-marks.js'
import { bytesPerToken, verifiedTokens } from '../gate/verified-tokens.js'
import type { Grant } from '../tokens/records.js'
import { needed } from './needed.js'
import type { Settings } from './settings.js'
import type { TokenFloor } from './token-floor.js'
import type { Upstream } from './upstream.js'

export function makeGateContext(
  settings: Settings,
  upstream: Upstream,
  tokens: TokenFloor | undefined,
): GateContext {
  const { options, baseUrl, authority, resources, policy, report, now, monotonic } = settings
  const { scopes, resourceName, clientId, maxVerifiedTokens = 10_000 } = options
  const { verifier, exchanges } = upstream
  const proxy = tokens && {
    ...tokens,
    live: liveGrants({
      grants: tokens.grants,
      maxBytes: maxVerifiedTokens * bytesPerToken,
      onUse: useOf(settings, tokens),
      monotonic,
    }),
  }
  return Object.freeze<GateContext>({
    resources,
    resourceName,
    scopes,
    report,
    mode: settings.mode,
    mounts: settings.mounts,
    baseUrl,
    dpop: tokens?.dpop,
    verify: verifiedTokens({
      verifier,
      scopes,
      policy,
      proxy,
      maxEntries: maxVerifiedTokens,
      now,
      monotonic,
    }),
    openResponses: proxy && openResponses({ ...proxy, report }),
    challengeScopes: challengeSpelling(settings),
    askForStepUp: settings.stepUpByLogin
      ? stepUpMarks({ scopes, stepUps: tokens?.stepUps, report, now })
      : async () => undefined,
    exchange: downstreamExchange({
      exchanges,
      tokens,
      own: proxy,
      renewAssertion: makeRenewal(settings, upstream, tokens),
      prompts: settings.mode === 'direct' ? promptLimit(monotonic) : undefined,
      authority,
      clientId,
      agent: agentOf(options.credential),
      report,
      now,
    }),
    sessionOf: callerSessions({ baseUrl: settings.baseUrl, tokens, report }),
    authorizationUri: (tid) => authority.authorizationEndpoint(tid),
    checkExchange(caller) {
      if (!authority.onBehalfOf)
        throw new TypeError(`${caller}: Azure AD B2C has no on-behalf-of flow`)
      needed(caller, 'credential', upstream.tokenEndpoint)
    },
    directMode: (caller) => readDirectMode(settings, caller),
  })
}

/** Names that no longer exist are left out: no login could ask for them. */
function challengeSpelling({ mode, options: { scopes } }: Settings) {
  return (names: readonly string[]): string => {
    const known = names.filter((name) => scopes.supported.includes(name))
    return (mode === 'direct' ? upstreamNames(scopes, known) : known).join(' ')
  }
}

/** Own scopes in the form Entra wants, without the OIDC ones. */
function upstreamNames(scopes: ScopeStrategy, names: readonly string[]): readonly string[] {
  return scopes.toUpstreamTokenExchange(names).filter((name) => name.includes('/'))
}

/** Uses are noted where the apps of users are. */
function useOf({ account }: Settings, { connectedApps }: TokenFloor) {
  return (sid: string, grant: Grant): void => {
    if (account.keepsApps) connectedApps.noteUse(sid, grant)
  }
}

function makeRenewal(
  { options, policy, report, now }: Settings,
  { verifier, tokenEndpoint }: Upstream,
  tokens: TokenFloor | undefined,
): RenewAssertion | undefined {
  if (!tokenEndpoint || !tokens) return undefined
  const { grants } = tokens
  const { scopes } = options
  return assertionRenewal({ tokenEndpoint, grants, scopes, verifier, policy, report, now })
}

function readDirectMode({ mode, authority, options }: Settings, caller: string): DirectMode {
  if (mode !== 'direct') {
    throw new TypeError(
      `${caller}: with \`keys\` clients get their tokens from oauthRoutes; say mode: 'direct' in entraAuth when they get them from Entra`,
    )
  }
  return {
    issuer: authority.authorizationServer,
    upstreamScopes: upstreamNames(options.scopes, advertisedScopes(options.scopes)),
  }
}
