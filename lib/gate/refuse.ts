/** Refusals: a plain value that says what to answer, and the one function that sends it. */
import type { ServerResponse } from 'node:http'
import { allowAnyOrigin, sendDpopNonce } from '../http/cors.js'
import { type EventFacts, factsOf } from '../http/event-facts.js'
import type { Report } from '../http/report.js'
import { noStore, sendJson, setRetryAfter } from '../http/respond.js'
import type { OAuthError } from '../oauth/errors.js'

/** What a gate answers to a request that it does not let through. */
export interface Refusal {
  readonly status: number
  /** `WWW-Authenticate`: a line for each scheme. Clients that read one line get the first. */
  readonly challenge?: string | readonly string[] | undefined
  /** For the next DPoP proof. */
  readonly dpopNonce?: string | undefined
  /** JSON. Without it the answer is empty. */
  readonly body?: object
  /** Seconds. */
  readonly retryAfter?: number | undefined
}

/** The refusal that an error stands for. @see RFC 6750 section 3.1 */
export function refusalFor(error: OAuthError, challenge?: Refusal['challenge']): Refusal {
  const { status, retryAfter } = error
  return { status, challenge, body: error.toBody(), retryAfter }
}

/** Sends a refusal. Any origin may read it: a client in a browser has to see the challenge. */
export function sendRefusal(res: ServerResponse, refusal: Refusal): void {
  const { status, challenge, dpopNonce, body } = refusal
  allowAnyOrigin(res)
  noStore(res)
  setRetryAfter(res, refusal)
  // A copy of a list: node:http appends to the one that it is given, and this one is for all requests.
  const lines = typeof challenge === 'object' ? [...challenge] : challenge
  if (lines !== undefined) res.setHeader('WWW-Authenticate', lines)
  if (dpopNonce !== undefined) sendDpopNonce(res, dpopNonce)
  // A body that a middleware began to read has to be read to its end before the connection is of use again.
  res.req.resume()
  if (body) return sendJson(res, status, body)
  res.statusCode = status
  res.setHeader('Content-Length', '0')
  res.end()
}

/**
 * Tells the operator of a refusal. A 5xx is a failure, and has its cause with it.
 *
 * @param facts about the caller, once its token has been verified
 * @param needed short names of the scopes that were missing
 */
export function reportRefusal(
  report: Report,
  error: OAuthError,
  facts: EventFacts = {},
  needed?: readonly string[],
): void {
  const { code, description, status, cause } = error
  const event = { endpoint: 'gate', reason: code, detail: description }
  const about = { ...facts, ...factsOf(error) }
  if (status >= 500) report('failure', { ...event, cause }, about)
  else report('refusal', { ...event, needed }, about)
}
