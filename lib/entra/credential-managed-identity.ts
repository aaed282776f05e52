/**
 * A managed identity as the app's credential: its token replaces a secret (a federated credential of the app
 * registration). MSAL fetches the token, and not `@azure/identity`: MSAL is installed already, knows the same endpoints
 * (App Service, Functions, Container Apps, VMs, Arc, Service Fabric), and can fetch a new token past its cache, as
 * AADSTS700024 demands. `@azure/identity` cannot do that. The platform says in environment variables, which MSAL reads,
 * where the endpoint is.
 */
import type {
  INetworkModule,
  ManagedIdentityApplication,
  NetworkRequestOptions,
} from '@azure/msal-node'
import type { Clock } from '../async/clock.js'
import { cachedAssertion } from './assertion-cache.js'
import { isGuid } from './authority.js'
import { causeText } from './cause-text.js'
import type { ClientCredential } from './credentials.js'
import { UpstreamOutage } from './errors.js'
import { fetchUpstream } from './http-client.js'
import { loadMsal } from './msal.js'

/** Which identity: one of its ids, or none where there is only one identity. */
export interface ManagedIdentityOptions {
  /** Client ID of the user-assigned identity. */
  readonly clientId?: string
  /** Object (principal) ID of the user-assigned identity. */
  readonly objectId?: string
  /** Azure resource ID of the user-assigned identity: `/subscriptions/…`. */
  readonly resourceId?: string
  readonly now?: Clock
}

const hint =
  "Check that the user-assigned identity is assigned to this machine or app, and that managedIdentity has its client id. To use another credential while developing: clientSecret('…')."

/**
 * Authenticates with the token of a user-assigned managed identity. Under _Federated credentials_ of the app
 * registration, add it: issuer
 * `https://login.microsoftonline.com/{tenant id}/v2.0`, subject the identity's object id, audience
 * `api://AzureADTokenExchange` (in other clouds: `authority.exchangeAudience`).
 *
 * @throws TypeError for a malformed id, or for more than one of them
 * @see https://learn.microsoft.com/entra/workload-id/workload-identity-federation-config-app-trust-managed-identity
 * @example
 * entraAuth({ credential: managedIdentity({ clientId: process.env.MANAGED_IDENTITY_CLIENT_ID }), ... })
 */
export function managedIdentity(options: ManagedIdentityOptions = {}): ClientCredential {
  const managedIdentityIdParams = readIds(options)
  let application: ManagedIdentityApplication | undefined

  async function requestToken(audience: string): Promise<string> {
    const msal = await loadMsal()
    application ??= new msal.ManagedIdentityApplication({
      managedIdentityIdParams,
      system: { networkClient },
    })
    // MSAL's cache belongs to the whole process. Our own cache knows when a token has been refused.
    const request = { resource: audience, forceRefresh: true }
    const { accessToken } = await application.acquireToken(request)
    // MSAL treats a gateway's page as a success without a token.
    if (accessToken) return accessToken
    throw new Error('the identity endpoint answered without a token')
  }

  const credential = cachedAssertion(
    ({ exchangeAudience }) =>
      requestToken(exchangeAudience).catch((cause: unknown) => {
        const message = `the managed identity gave no token: ${causeText(cause)}`
        throw new UpstreamOutage(message, { cause, hint })
      }),
    { keyOf: ({ exchangeAudience }) => exchangeAudience, now: options.now },
  )
  return function managedIdentityCredential(context) {
    return credential(context)
  }
}

function readIds({ clientId, objectId, resourceId }: ManagedIdentityOptions) {
  const given = [clientId, objectId, resourceId].filter((id) => id !== undefined)
  if (given.length > 1) {
    throw new TypeError('managedIdentity: give one of clientId, objectId and resourceId')
  }
  for (const [name, id] of Object.entries({ clientId, objectId })) {
    if (id === undefined || isGuid(id)) continue
    throw new TypeError(`managedIdentity: ${name} must be a GUID, as on the identity's Overview`)
  }
  if (resourceId !== undefined && !/^\/subscriptions\//i.test(resourceId)) {
    throw new TypeError('managedIdentity: resourceId must begin with /subscriptions/')
  }
  return {
    ...(clientId !== undefined && { userAssignedClientId: clientId }),
    ...(objectId !== undefined && { userAssignedObjectId: objectId }),
    ...(resourceId !== undefined && { userAssignedResourceId: resourceId }),
  }
}

/** It has a deadline, because outside Azure nobody answers at 169.254.169.254. */
const networkClient: INetworkModule = {
  sendGetRequestAsync: <T>(url: string, request?: NetworkRequestOptions) =>
    send<T>('GET', url, request),
  sendPostRequestAsync: <T>(url: string, request?: NetworkRequestOptions) =>
    send<T>('POST', url, request),
}

async function send<T>(method: 'GET' | 'POST', url: string, request: NetworkRequestOptions = {}) {
  const { status, headers, body } = await fetchUpstream(url, { ...request, method, timeout: 5 })
  return { status, headers: withoutUndefined(headers), body: parseJson(body) as T }
}

/** For a page, nothing: MSAL then goes by the status. */
function parseJson(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return {}
  }
}

function withoutUndefined(
  headers: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
}
