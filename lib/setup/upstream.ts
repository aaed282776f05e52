/** Entra as this server sees it: whose tokens it believes, and where it asks for some. */
import { type OnBehalfOf, onBehalfOf, type SharedTokens } from '../entra/on-behalf-of.js'
import { signingKeys } from '../entra/signing-keys.js'
import { type TokenEndpoint, tokenEndpoint } from '../entra/token-endpoint.js'
import { type EntraVerifier, entraVerifier } from '../entra/verify.js'
import { exchangeReporter } from '../gate/downstream-exchange.js'
import { sharedTokens } from '../gate/shared-tokens.js'
import { needed } from './needed.js'
import type { Settings } from './settings.js'
import type { TokenFloor } from './token-floor.js'

/** Longest wait for Entra's token endpoint, in seconds: well below what clients and proxies in front of us allow. */
const upstreamSeconds = 8

/** What talks to Entra. */
export interface Upstream {
  readonly verifier: EntraVerifier
  /** Absent without a `credential`. */
  readonly tokenEndpoint: TokenEndpoint | undefined
  readonly exchanges: OnBehalfOf | undefined
}

/** @throws TypeError for `allowedTenants` that contradict the tenant, and for sharing tokens without `keys` */
export function makeUpstream(settings: Settings, tokens: TokenFloor | undefined): Upstream {
  const { authority, options } = settings
  const { clientId, credential } = options
  const endpoint =
    credential === undefined
      ? undefined
      : tokenEndpoint({ authority, clientId, credential, timeout: upstreamSeconds })
  return {
    verifier: makeVerifier(settings),
    tokenEndpoint: endpoint,
    exchanges: endpoint && makeExchanges(settings, endpoint, tokens),
  }
}

function makeVerifier({ authority, options, now, monotonic }: Settings): EntraVerifier {
  const { clientId, identifierUris, allowedTenants } = options
  return entraVerifier({
    authority,
    clientId,
    keys: signingKeys({ uri: authority.jwksUri, now: monotonic }),
    now,
    monotonic,
    ...(identifierUris && { identifierUris }),
    ...(allowedTenants && { allowedTenants }),
  })
}

function makeExchanges(
  settings: Settings,
  endpoint: TokenEndpoint,
  tokens: TokenFloor | undefined,
): OnBehalfOf {
  const { options, report, now, monotonic } = settings
  const { maxDownstreamTokens, shareDownstreamTokens } = options
  return onBehalfOf({
    endpoint,
    now,
    monotonic,
    onExchange: exchangeReporter(report),
    ...(maxDownstreamTokens !== undefined && { maxEntries: maxDownstreamTokens }),
    ...(shareDownstreamTokens && { shared: makeSharing(settings, tokens) }),
  })
}

function makeSharing({ report }: Settings, tokens: TokenFloor | undefined): SharedTokens {
  needed('entraAuth with shareDownstreamTokens', 'keys', tokens)
  return sharedTokens(tokens.vault, (error) =>
    report('failure', { endpoint: 'on-behalf-of', reason: 'sharing', error }),
  )
}
