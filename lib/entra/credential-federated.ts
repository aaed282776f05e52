/** Any credential of `@azure/identity` as the app's credential: its token stands for a secret. */
import { cachedAssertion, type TimedAssertion } from './assertion-cache.js'
import { causeText } from './cause-text.js'
import type { ClientCredential, CredentialContext } from './credentials.js'
import { EntraError, UpstreamOutage } from './errors.js'

/** What is used of a `TokenCredential` of `@azure/core-auth`: the package itself is not needed here. */
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
 * Proves with the token of any `TokenCredential`, asked for with the exchange audience of the cloud
 * (`api://AzureADTokenExchange/.default` and its like). It is cached until shortly before `expiresOnTimestamp`
 * and fetched once for all who wait. The app registration has to know the identity behind it, under _Federated
 * credentials_: issuer `https://login.microsoftonline.com/{tenant id}/v2.0`, subject its object id.
 *
 * The identity must be a **user-assigned managed identity**, however the credential gets at it:
 * `ManagedIdentityCredential` on Azure, `WorkloadIdentityCredential` and `AzurePipelinesCredential` with the
 * client id of the identity, or a `ChainedTokenCredential` or `DefaultAzureCredential` of those. Entra takes
 * no token of an app registration (AADSTS700222) or of a user (AADSTS700229, `AzureCliCredential`). Where the
 * registration trusts Kubernetes itself, {@link workloadIdentity} needs no second identity.
 *
 * Credentials cache tokens too, and `getToken` knows no forced refresh. When Entra finds the assertion outdated
 * (AADSTS700024, as when this machine's clock is late), a new one is asked for with a claims challenge.
 * Workload identity and Azure Pipelines then go past their cache; `ManagedIdentityCredential` (4.13 and 4.14)
 * does not, and answers the same token until its cache lets it go: {@link managedIdentity} does not have that gap.
 *
 * While no token can be had, clients hear 503, and the operator the credential's own message.
 *
 * @throws TypeError for what has no `getToken`
 * @see https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
 * @example
 * import { ManagedIdentityCredential } from '@azure/identity'
 * const identity = new ManagedIdentityCredential({ clientId: process.env.MANAGED_IDENTITY_CLIENT_ID })
 * entraAuth({ credential: federatedCredential(identity), ... })
 */
export function federatedCredential(
  tokenCredential: TokenCredentialLike,
  options: {
    /** The clock, in milliseconds since the epoch. */
    readonly now?: () => number
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
      const asked = { abortSignal, ...challenge(context, now) }
      return timedAssertion(await askFor(tokenCredential, context, asked))
    },
    { keyOf: ({ exchangeAudience }) => exchangeAudience, now },
  )
  return function federatedClientCredential(context) {
    return credential(context)
  }
}

async function askFor(
  tokenCredential: TokenCredentialLike,
  { exchangeAudience }: CredentialContext,
  options: { abortSignal: AbortSignal; claims?: string },
): Promise<AccessTokenLike | null> {
  try {
    return await tokenCredential.getToken(`${exchangeAudience}/.default`, options)
  } catch (error) {
    // Its cause stays out: what the packages put into their errors may hold a token.
    throw new UpstreamOutage(`the token credential failed: ${causeText(error)}`, {
      hint: 'Check what the credential needs on this machine, such as environment variables or an identity that is assigned to it. For another credential while developing: clientSecret(…).',
    })
  }
}

/**
 * What an API says of a token it no longer takes: one issued after this moment is wanted. MSAL asks Entra anew
 * then, and does not look into its cache.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/claims-challenge
 */
function challenge({ rejected }: CredentialContext, now: () => number): { claims?: string } {
  if (rejected === undefined) return {}
  const value = String(Math.floor(now() / 1000))
  return { claims: JSON.stringify({ access_token: { nbf: { essential: true, value } } }) }
}

function timedAssertion(answer: AccessTokenLike | null): TimedAssertion | string {
  const { token, expiresOnTimestamp, refreshAfterTimestamp } = answer ?? {}
  if (typeof token !== 'string' || token === '') throw noToken()
  // Without a time of its own it is a JWT like any other, cached by its `exp`.
  if (!Number.isFinite(expiresOnTimestamp)) return token
  return { assertion: token, expiresAt: Number(expiresOnTimestamp), renewAt: refreshAfterTimestamp }
}

function noToken(): EntraError {
  return new EntraError('misconfigured', 'the token credential gave no token', {
    hint: 'Its getToken answered without one, as a credential does that is not set up on this machine. Use one that is, such as new ManagedIdentityCredential({ clientId }).',
  })
}
