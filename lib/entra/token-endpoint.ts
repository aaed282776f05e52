/** Entra's token endpoint, for the three grants we use. */
import { type Deadline, deadlineIn } from '../async/deadline.js'
import type { EntraAuthority } from './authority.js'
import { sendWithProof } from './client-proof.js'
import { type ClientCredential, type ClientProof, checkCredential } from './credentials.js'
import { EntraError } from './errors.js'
import { type GrantRequest, requestWriter, type WriteRequest } from './request-writer.js'
import { requestTokens, type UpstreamTokens } from './token-request.js'

export type { UpstreamTokens } from './token-request.js'

/** The grants. Each rejects with an {@link EntraError} and with nothing else. */
export interface TokenEndpoint {
  /** @see RFC 6749 section 4.1.3, RFC 7636 section 4.5 */
  redeemCode(input: {
    readonly code: string
    readonly redirectUri: string
    readonly codeVerifier: string
    readonly scopes: readonly string[]
    readonly tenant?: string
  }): Promise<UpstreamTokens>
  /** @see RFC 6749 section 6 */
  refresh(input: {
    readonly refreshToken: string
    readonly scopes: readonly string[]
    readonly tenant?: string
  }): Promise<UpstreamTokens>
  /** @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow */
  onBehalfOf(input: {
    readonly assertion: string
    readonly scopes: readonly string[]
    readonly tenant: string
    /** JSON, from a claims challenge. */
    readonly claims?: string
  }): Promise<UpstreamTokens>
}

/** What a token endpoint is made with. */
export interface TokenEndpointOptions {
  readonly authority: EntraAuthority
  readonly clientId: string
  readonly credential: ClientCredential
  /** Seconds for one grant, a retry included. Default 10. */
  readonly timeout?: number
}

/** Sends a request, perhaps more than once. */
type Attempt = <T>(send: () => Promise<T>, deadline: Deadline) => Promise<T>

/**
 * Makes the token endpoint of an app registration.
 *
 * @throws TypeError for a credential that is not a function
 */
export function tokenEndpoint(options: TokenEndpointOptions): TokenEndpoint {
  const { authority, timeout = 10 } = options
  checkCredential(options.credential)
  const own = requestWriter(authority, options.clientId)
  const agents = new Map<string, WriteRequest>()

  /** An agent identity is a client of its own. There is one for each credential, so the map stays small. */
  function writerFor(proof: ClientProof): WriteRequest {
    const clientId = 'assertion' in proof ? proof.clientId : undefined
    if (clientId === undefined) return own
    const known = agents.get(clientId) ?? requestWriter(authority, clientId)
    agents.set(clientId, known)
    return known
  }

  function request(tenant: string, attempt: Attempt, grant: GrantRequest): Promise<UpstreamTokens> {
    const deadline = deadlineIn(timeout)
    return sendWithProof({ ...options, tenant, deadline, timeout }, (proof) =>
      attempt(
        () => requestTokens({ write: writerFor(proof), grant, tenant, proof, deadline }),
        deadline,
      ),
    )
  }

  return Object.freeze<TokenEndpoint>({
    // A second try could find the code used up by the first.
    redeemCode: ({ code, redirectUri, codeVerifier, scopes, tenant = authority.tenantId }) =>
      request(tenant, tryOnce, {
        kind: ['code', redirectUri, ...scopes],
        values: { code, codeVerifier },
        write: (msal, blank, correlationId) =>
          msal.acquireTokenByCode({
            code: blank('code'),
            redirectUri,
            codeVerifier: blank('codeVerifier'),
            scopes: [...scopes],
            correlationId,
          }),
      }),
    refresh: ({ refreshToken, scopes, tenant = authority.tenantId }) =>
      request(tenant, tryTwice, {
        kind: ['refresh', ...scopes],
        values: { refreshToken },
        write: (msal, blank, correlationId) =>
          msal.acquireTokenByRefreshToken({
            refreshToken: blank('refreshToken'),
            scopes: [...scopes],
            correlationId,
          }),
      }),
    onBehalfOf: ({ assertion, scopes, tenant, claims }) =>
      request(tenant, tryTwice, {
        kind: ['on behalf of', claims ?? '', ...scopes],
        values: { assertion },
        write: (msal, blank, correlationId) =>
          msal.acquireTokenOnBehalfOf({
            oboAssertion: blank('assertion'),
            scopes: [...scopes],
            skipCache: true,
            correlationId,
            ...(claims !== undefined && { claims }),
          }),
      }),
  })
}

function tryOnce<T>(send: () => Promise<T>): Promise<T> {
  return send()
}

/** Milliseconds left below which a second try is not worth making. */
const shortestTry = 250

/** Tries again after a hiccup, but not when Entra said how long to wait, and not when too little time is left. */
async function tryTwice<T>(send: () => Promise<T>, deadline: Deadline): Promise<T> {
  try {
    return await send()
  } catch (error) {
    // Jitter, so that requests that failed together do not come back together.
    const pause = 50 + Math.random() * 100
    if (!isHiccup(error) || deadline.secondsLeft() * 1000 < pause + shortestTry) throw error
    await new Promise((resolve) => setTimeout(resolve, pause))
    return send()
  }
}

function isHiccup(error: unknown): boolean {
  if (!(error instanceof EntraError) || error.kind !== 'unavailable') return false
  const { status, retryAfter } = error
  return retryAfter === undefined && (status === undefined || status >= 500)
}
