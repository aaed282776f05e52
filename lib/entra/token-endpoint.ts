/**
 * Entra's token endpoint, for the three grants we use. MSAL writes the requests; the answers are read here,
 * because MSAL keeps the refresh token to itself, loses the status of an HTML error page, and its cache lets
 * one user's throttling block all.
 */
import { randomUUID } from 'node:crypto'
import type {
  ConfidentialClientApplication,
  Configuration,
  INetworkModule,
  NetworkRequestOptions,
} from '@azure/msal-node'
import type { EntraAuthority } from './authority.js'
import { causeText } from './cause-text.js'
import { type ClientCredential, type ClientProof, checkCredential } from './credentials.js'
import { EntraError, entraFailure, UpstreamOutage } from './errors.js'
import { fetchUpstream, type UpstreamResponse } from './http-client.js'
import { loadMsal } from './msal.js'

/** What Entra issued. None of it ever leaves the server. */
export interface UpstreamTokens {
  readonly accessToken: string
  /** Seconds. */
  readonly expiresIn: number
  readonly refreshToken?: string
  readonly idToken?: string
  /** As Entra wrote it: prefixed, and maybe more than was asked for. */
  readonly scope?: string
}

/** The grants. Every one rejects with an {@link EntraError} and nothing else. */
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

/** What a token endpoint is made of. */
export interface TokenEndpointOptions {
  readonly authority: EntraAuthority
  readonly clientId: string
  readonly credential: ClientCredential
  /** Seconds for one grant, a retry included. Default 10. */
  readonly timeout?: number
}

/** Asks MSAL to make one request. */
type Acquire = (msal: ConfidentialClientApplication, correlationId: string) => Promise<unknown>

/**
 * Makes the token endpoint of an app registration.
 *
 * @throws TypeError for a credential that is no function
 */
export function tokenEndpoint(options: TokenEndpointOptions): TokenEndpoint {
  const { authority, timeout = 10 } = options
  checkCredential(options.credential)
  const once = (tenant: string, acquire: Acquire) => {
    const deadline = deadlineIn(timeout)
    return proven(options, tenant, deadline, (proof) =>
      exchange(options, tenant, proof, acquire, deadline),
    )
  }
  const retried = (tenant: string, acquire: Acquire) => {
    const deadline = deadlineIn(timeout)
    return proven(options, tenant, deadline, (proof) =>
      retryOnce(() => exchange(options, tenant, proof, acquire, deadline), deadline),
    )
  }
  return Object.freeze<TokenEndpoint>({
    // A second try could find the code used up by the first.
    redeemCode: ({ code, redirectUri, codeVerifier, scopes, tenant = authority.tenantId }) =>
      once(tenant, (msal, correlationId) =>
        msal.acquireTokenByCode({
          code,
          redirectUri,
          codeVerifier,
          scopes: [...scopes],
          correlationId,
        }),
      ),
    refresh: ({ refreshToken, scopes, tenant = authority.tenantId }) =>
      retried(tenant, (msal, correlationId) =>
        msal.acquireTokenByRefreshToken({ refreshToken, scopes: [...scopes], correlationId }),
      ),
    onBehalfOf: ({ assertion, scopes, tenant, claims }) =>
      retried(tenant, (msal, correlationId) =>
        msal.acquireTokenOnBehalfOf({
          oboAssertion: assertion,
          scopes: [...scopes],
          skipCache: true,
          correlationId,
          ...(claims !== undefined && { claims }),
        }),
      ),
  })
}

/** AADSTS700024: the assertion was outdated, so nothing else of the request has been looked at. */
const outdatedAssertion = 700024

/** Asks with a proof; with another, one time, when Entra finds the assertion outdated. */
async function proven<T>(
  options: TokenEndpointOptions,
  tenant: string,
  deadline: Deadline,
  ask: (proof: ClientProof) => Promise<T>,
): Promise<T> {
  const proof = await proofOf(options, tenant, deadline)
  try {
    return await ask(proof)
  } catch (error) {
    if (!('assertion' in proof && isOutdated(error))) throw error
    const next = await proofOf(options, tenant, deadline, proof.assertion)
    if (!('assertion' in next) || next.assertion === proof.assertion) throw error
    return ask(next)
  }
}

function isOutdated(error: unknown): boolean {
  return error instanceof EntraError && error.codes.includes(outdatedAssertion)
}

/** One request: a fresh MSAL application (4 microseconds), its request, our reading of the answer. */
async function exchange(
  options: TokenEndpointOptions,
  tenant: string,
  proof: ClientProof,
  acquire: Acquire,
  deadline: Deadline,
): Promise<UpstreamTokens> {
  const correlationId = randomUUID()
  const wire = recordingWire(deadline)
  let refusal: unknown
  try {
    const { ConfidentialClientApplication } = await loadMsal()
    const application = configuration(options, tenant, proof, wire)
    await acquire(new ConfidentialClientApplication(application), correlationId)
  } catch (error) {
    refusal = error
  }
  // What MSAL makes of the answer is no matter of ours; without one, it refused to ask.
  if (wire.answer === undefined) throw neverAsked(refusal, correlationId)
  return tokensIn(await wire.answer, correlationId)
}

/** Metadata is supplied, so MSAL makes no discovery request; it insists on https there, not in the metadata. */
function configuration(
  { authority, clientId }: TokenEndpointOptions,
  tenant: string,
  proof: ClientProof,
  networkClient: Wire,
): Configuration {
  const { host } = new URL(authority.host)
  return {
    auth: {
      clientId,
      authority: `https://${host}/${tenant}`,
      knownAuthorities: [host],
      authorityMetadata: JSON.stringify({
        authorization_endpoint: authority.authorizationEndpoint(tenant),
        token_endpoint: authority.tokenEndpoint(tenant),
        issuer: `https://${host}/${tenant}/v2.0`,
        jwks_uri: authority.jwksUri,
      }),
      ...('secret' in proof
        ? { clientSecret: proof.secret }
        : { clientAssertion: proof.assertion }),
    },
    system: { networkClient },
  }
}

/** MSAL's way to the network, which keeps the answer for us. */
interface Wire extends INetworkModule {
  answer: Promise<UpstreamResponse> | undefined
}

function recordingWire(deadline: Deadline): Wire {
  const wire: Wire = {
    answer: undefined,
    // Never called, so no test covers it: there is nothing to discover.
    sendGetRequestAsync: () => Promise.reject(new Error('MSAL has all metadata and needs no GET')),
    async sendPostRequestAsync<T>(url: string, request?: NetworkRequestOptions) {
      const timeout = deadline.secondsLeft()
      wire.answer = fetchUpstream(url, { ...request, method: 'POST', timeout })
      await wire.answer
      // Nothing of the answer for MSAL: it would decode, judge and cache what is read and kept elsewhere.
      return { status: 200, headers: {}, body: {} as T }
    },
  }
  return wire
}

async function proofOf(
  { credential, clientId, authority }: TokenEndpointOptions,
  tenant: string,
  deadline: Deadline,
  rejected?: string,
): Promise<ClientProof> {
  const context = {
    clientId,
    tokenEndpoint: authority.tokenEndpoint(tenant),
    exchangeAudience: authority.exchangeAudience,
    ...(rejected !== undefined && { rejected }),
  }
  try {
    return await deadline.limit(Promise.resolve(credential(context)))
  } catch (cause) {
    if (cause instanceof EntraError) throw cause
    throw new UpstreamOutage(`the client credential cannot be had: ${causeText(cause)}`, {
      cause,
      hint: 'The function given as `credential` failed.',
    })
  }
}

/** MSAL refused to make the request. Its message may quote the request, so it stays a cause. */
function neverAsked(cause: unknown, correlationId: string): EntraError {
  return new EntraError('misconfigured', 'MSAL did not make the request', { cause, correlationId })
}

function tokensIn(answer: UpstreamResponse, correlationId: string): UpstreamTokens {
  if (answer.status !== 200) throw withCorrelation(answer, correlationId)
  const { access_token, expires_in, refresh_token, id_token, scope } = parsed(answer.body)
  const expiresIn = Math.floor(Number(expires_in))
  if (typeof access_token !== 'string' || access_token === '' || !(expiresIn > 0)) {
    throw new UpstreamOutage('Entra answered without a token', { status: 200, correlationId })
  }
  return {
    accessToken: access_token,
    expiresIn,
    ...(isText(refresh_token) && { refreshToken: refresh_token }),
    ...(isText(id_token) && { idToken: id_token }),
    ...(typeof scope === 'string' && { scope }),
  }
}

/** Entra echoes our correlation id; a gateway in front of it does not. */
function withCorrelation(answer: UpstreamResponse, correlationId: string): EntraError {
  const headers = { 'client-request-id': correlationId, ...answer.headers }
  return entraFailure({ ...answer, headers })
}

function parsed(body: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(body)) as Record<string, unknown>
  } catch {
    return {}
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/** Milliseconds left below which a second try is not worth making. */
const shortestTry = 250

/** A second try after a hiccup; not when Entra said how long to wait, nor when the time is over. */
async function retryOnce<T>(attempt: () => Promise<T>, deadline: Deadline): Promise<T> {
  try {
    return await attempt()
  } catch (error) {
    // Jitter, so that what failed together does not come back together.
    const pause = 50 + Math.random() * 100
    if (!isHiccup(error) || deadline.secondsLeft() * 1000 < pause + shortestTry) throw error
    await new Promise((resolve) => setTimeout(resolve, pause))
    return attempt()
  }
}

function isHiccup(error: unknown): boolean {
  if (!(error instanceof EntraError) || error.kind !== 'unavailable') return false
  const { status, retryAfter } = error
  return retryAfter === undefined && (status === undefined || status >= 500)
}

/** One point in time that everything a grant needs has to be done by. */
interface Deadline {
  secondsLeft(): number
  limit<T>(work: Promise<T>): Promise<T>
}

function deadlineIn(seconds: number): Deadline {
  const end = performance.now() + seconds * 1000
  const secondsLeft = () => Math.max(0, (end - performance.now()) / 1000)
  return {
    secondsLeft,
    async limit<T>(work: Promise<T>): Promise<T> {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<never>((_resolve, reject) => {
        const outage = new UpstreamOutage(`no client credential within ${seconds} s`)
        timer = setTimeout(() => reject(outage), secondsLeft() * 1000)
      })
      return Promise.race([work, late]).finally(() => clearTimeout(timer))
    },
  }
}
