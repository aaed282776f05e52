/** Any credential of `@azure/identity` as the app's credential: its token replaces a secret. */
import type { Clock } from '../async/clock.js'
import { cachedAssertion, type TimedAssertion } from './assertion-cache.js'
import { causeText } from './cause-text.js'
import type { ClientCredential, CredentialContext } from './credentials.js'
import { EntraError, UpstreamOutage } from './errors.js'

/** The part of a `TokenCredential` of `@azure/core-auth` that is used. The package itself is not needed here. */
export interface TokenCredentialLike {
  getToken(
    scopes: string | string[],
    options?: { abortSignal?: AbortSignal; claims?: string },
  ): Promise<AccessTokenLike | null>
}

/** An `AccessToken` of `@azure/core-auth`. Times are in milliseconds since the epoch. */
export interface AccessTokenLike {
  readonly token: string
  readonly expiresOnTimestamp: number
  readonly refreshAfterTimestamp?: number | undefined
}

/**
 * Authenticates with the token of any `TokenCredential`, requested for the exchange audience of the cloud (in the
 * public cloud `api://AzureADTokenExchange/.default`). The token is cached until shortly before `expiresOnTimestamp` and
 * fetched once for all who wait. Add the identity under _Federated credentials_ of the app registration: issuer
 * `https://login.microsoftonline.com/{tenant id}/v2.0`, subject its object id.
 *
 * The identity must be a **user-assigned managed identity**, whichever way the credential reaches it:
 * `ManagedIdentityCredential` on Azure, `WorkloadIdentityCredential` and `AzurePipelinesCredential` with the
 * client id of the identity, or a `ChainedTokenCredential` or `DefaultAzureCredential` of these. Entra refuses the
 * tokens of an app registration (AADSTS700222) and of a user (AADSTS700229, `AzureCliCredential`). Where the
 * registration trusts Kubernetes itself, {@link workloadIdentity} needs no second identity.
 *
 * Credentials cache tokens too, and `getToken` cannot force a refresh. When Entra finds the assertion outdated
 * (AADSTS700024, for example because this machine's clock is late), a new one is requested with a claims challenge.
 * Workload identity and Azure Pipelines then bypass their cache. `ManagedIdentityCredential` (4.13 and 4.14) does not,
 * and returns the same token until its cache drops it. {@link managedIdentity} does not have that gap.
 *
 * While there is no token, clients get 503, and the log has the credential's own message.
 *
 * @throws TypeError for anything without `getToken`
 * @see https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
 * @example
 * import { ManagedIdentityCredential } from '@azure/identity'
 * const identity = new ManagedIdentityCredential({ clientId: process.env.MANAGED_IDENTITY_CLIENT_ID })
 * entraAuth({ credential: federatedCredential(identity), ... })
 */
export function federatedCredential(
  tokenCredential: TokenCredentialLike,
  options: {
    readonly now?: Clock
  } = {},
): ClientCredential {
  if (typeof tokenCredential?.getToken !== 'function') {
    throw new TypeError(
      'federatedCredential: give a TokenCredential, such as new ManagedIdentityCredential({ clientId }) of @azure/identity',
    )
  }
  const { now = Date.now } = options
  const credential = cachedAssertion(
    async (context, abortSignal) => {
      const request = { abortSignal, ...challenge(context, now) }
      return timedAssertion(await getToken(tokenCredential, context, request))
    },
    { keyOf: ({ exchangeAudience }) => exchangeAudience, now },
  )
  return function federatedClientCredential(context) {
    return credential(context)
  }
}

async function getToken(
  tokenCredential: TokenCredentialLike,
  { exchangeAudience }: CredentialContext,
  options: { abortSignal: AbortSignal; claims?: string },
): Promise<AccessTokenLike | null> {
  try {
    return await tokenCredential.getToken(`${exchangeAudience}/.default`, options)
  } catch (error) {
    // The error is not the cause: what the packages put into their errors may contain a token.
    throw new UpstreamOutage(`the token credential failed: ${causeText(error)}`, {
      hint: 'Check what the credential needs on this machine, such as environment variables or an identity that is assigned to it. To use another credential while developing: clientSecret(…).',
    })
  }
}

/**
 * The claims challenge of an API that demands a token issued after this moment. With it, MSAL bypasses its cache and
 * asks Entra again.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/claims-challenge
 */
function challenge({ rejected }: CredentialContext, now: Clock): { claims?: string } {
  if (rejected === undefined) return {}
  const value = String(Math.floor(now() / 1000))
  return { claims: JSON.stringify({ access_token: { nbf: { essential: true, value } } }) }
}

function timedAssertion(answer: AccessTokenLike | null): TimedAssertion | string {
  const { token, expiresOnTimestamp, refreshAfterTimestamp } = answer ?? {}
  if (typeof token !== 'string' || token === '') throw noToken()
  // Without an expiry time, it is cached by its `exp` like any other JWT.
  if (!Number.isFinite(expiresOnTimestamp)) return token
  return { assertion: token, expiresAt: Number(expiresOnTimestamp), renewAt: refreshAfterTimestamp }
}

function noToken(): EntraError {
  return new EntraError('misconfigured', 'the token credential gave no token', {
    hint: 'Its getToken returned none, as credentials do that are not set up on this machine. Use another one, such as new ManagedIdentityCredential({ clientId }).',
  })
}
