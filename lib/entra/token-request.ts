/**
 * One request to the token endpoint. The answer is read here and not by MSAL, which does not hand out the refresh token,
 * loses the status of an HTML error page, and keeps a cache that lets one user's throttling block all.
 */
import { randomUUID } from 'node:crypto'
import type { Deadline } from '../async/deadline.js'
import type { EntraTrace } from '../http/event-facts.js'
import type { ClientProof } from './credentials.js'
import { EntraError, UpstreamOutage } from './errors.js'
import { fetchUpstream, type UpstreamResponse } from './http-client.js'
import { jsonObject } from './json-object.js'
import { readFailure, word } from './read-failure.js'
import type { GrantRequest, WriteRequest } from './request-writer.js'

/** Tokens that Entra issued. None of them ever leaves the server. */
export interface UpstreamTokens {
  readonly accessToken: string
  /** Seconds. */
  readonly expiresIn: number
  readonly refreshToken?: string
  readonly idToken?: string
  /** As Entra wrote it: with prefixes, and possibly more than was asked for. */
  readonly scope?: string
  /** Where Entra's logs have the request that brought them. */
  readonly trace?: EntraTrace
}

/** A request to the token endpoint of one tenant. */
export interface TokenRequest {
  readonly write: WriteRequest
  readonly grant: GrantRequest
  readonly tenant: string
  readonly proof: ClientProof
  readonly deadline: Deadline
}

/**
 * Makes the request.
 *
 * @throws EntraError
 */
export async function requestTokens(request: TokenRequest): Promise<UpstreamTokens> {
  const { write, grant, tenant, deadline } = request
  const correlationId = randomUUID()
  const { url, headers, body } = await write(grant, readProof(request.proof), tenant, correlationId)
  const timeout = deadline.secondsLeft()
  const answer = await fetchUpstream(url, { method: 'POST', headers, body, timeout }).catch(
    (error: unknown) => {
      throw outageWithId(error, correlationId)
    },
  )
  return readTokens(answer, correlationId)
}

/** @throws EntraError `misconfigured` for an empty proof */
export function readProof(proof: ClientProof) {
  const kind = 'secret' in proof ? 'secret' : 'assertion'
  const value = 'secret' in proof ? proof.secret : proof.assertion
  if (isText(value)) return { kind, value } as const
  throw new EntraError('misconfigured', `the client credential gave an empty ${kind}`)
}

/** @throws EntraError for any answer but tokens */
export function readTokens(answer: UpstreamResponse, correlationId: string): UpstreamTokens {
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
    trace: { correlationId, traceId: word(answer.headers['x-ms-request-id']) },
  }
}

/** Without an answer, the request may have reached Entra's log all the same. */
function outageWithId(error: unknown, correlationId: string): unknown {
  if (!(error instanceof UpstreamOutage)) return error
  return new UpstreamOutage(error.message, { cause: error.cause, correlationId })
}

/** Entra echoes our correlation id, but a gateway in front of it does not. */
function failureWithId(answer: UpstreamResponse, correlationId: string): EntraError {
  const headers = { 'client-request-id': correlationId, ...answer.headers }
  return readFailure({ ...answer, headers })
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}
