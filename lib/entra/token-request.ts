/**
 * One request to the token endpoint. MSAL writes it; the answer is read here, because MSAL does not hand out the
 * refresh token, loses the status of an HTML error page, and its cache lets one user's throttling block all.
 */
import { randomUUID } from 'node:crypto'
import type {
  ConfidentialClientApplication,
  Configuration,
  INetworkModule,
  NetworkRequestOptions,
} from '@azure/msal-node'
import type { Deadline } from '../async/deadline.js'
import type { EntraAuthority } from './authority.js'
import type { ClientProof } from './credentials.js'
import { EntraError, UpstreamOutage } from './errors.js'
import { fetchUpstream, type UpstreamResponse } from './http-client.js'
import { jsonObject } from './json-object.js'
import { loadMsal } from './msal.js'
import { readFailure } from './read-failure.js'

/** Tokens that Entra issued. None of them ever leaves the server. */
export interface UpstreamTokens {
  readonly accessToken: string
  /** Seconds. */
  readonly expiresIn: number
  readonly refreshToken?: string
  readonly idToken?: string
  /** As Entra wrote it: with prefixes, and possibly more than was asked for. */
  readonly scope?: string
}

/** Asks MSAL to make one request. */
export type Acquire = (
  msal: ConfidentialClientApplication,
  correlationId: string,
) => Promise<unknown>

/** A request to the token endpoint of one tenant. */
export interface TokenRequest {
  readonly authority: EntraAuthority
  readonly clientId: string
  readonly tenant: string
  readonly proof: ClientProof
  readonly deadline: Deadline
  readonly acquire: Acquire
}

/**
 * Makes the request, with a new MSAL application (which takes 4 microseconds).
 *
 * @throws EntraError
 */
export async function requestTokens(request: TokenRequest): Promise<UpstreamTokens> {
  const correlationId = randomUUID()
  const wire = recordingWire(request.deadline)
  let failure: unknown
  try {
    const { ConfidentialClientApplication } = await loadMsal()
    const msal = new ConfidentialClientApplication(configurationOf(request, wire))
    await request.acquire(msal, correlationId)
  } catch (error) {
    failure = error
  }
  // What MSAL makes of the answer does not matter. Without an answer, MSAL refused to make the request.
  if (wire.answer === undefined) throw notSent(failure, correlationId)
  return readTokens(await wire.answer, correlationId)
}

/** Metadata is supplied, so MSAL makes no discovery request. MSAL insists on https there, but not in the metadata. */
function configurationOf(
  { authority, clientId, tenant, proof }: TokenRequest,
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
      // MSAL gets nothing of the answer: it would decode, judge and cache what is read and kept elsewhere.
      return { status: 200, headers: {}, body: {} as T }
    },
  }
  return wire
}

/** MSAL refused to make the request. Its message may quote the request, so it is only the cause. */
function notSent(cause: unknown, correlationId: string): EntraError {
  return new EntraError('misconfigured', 'MSAL did not make the request', { cause, correlationId })
}

function readTokens(answer: UpstreamResponse, correlationId: string): UpstreamTokens {
  if (answer.status !== 200) throw failureWithId(answer, correlationId)
  const { access_token, expires_in, refresh_token, id_token, scope } = jsonObject(answer.body)
  const expiresIn = Math.floor(Number(expires_in))
  if (!isText(access_token) || !(expiresIn > 0)) {
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

/** Entra echoes our correlation id, but a gateway in front of it does not. */
function failureWithId(answer: UpstreamResponse, correlationId: string): EntraError {
  const headers = { 'client-request-id': correlationId, ...answer.headers }
  return readFailure({ ...answer, headers })
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
