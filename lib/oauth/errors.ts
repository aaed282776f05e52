/** The one error class of the protocol: every error that is sent to a client is an instance of it. */

const statusByCode = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  unsupported_response_type: 400,
  unsupported_token_type: 400,
  invalid_scope: 400,
  invalid_target: 400,
  invalid_redirect_uri: 400,
  invalid_client_metadata: 400,
  access_denied: 403,
  login_required: 400,
  interaction_required: 400,
  consent_required: 400,
  account_selection_required: 400,
  invalid_token: 401,
  insufficient_scope: 403,
  insufficient_claims: 401,
  invalid_dpop_proof: 400,
  use_dpop_nonce: 400,
  server_error: 500,
  temporarily_unavailable: 503,
} as const

/** A code registered in the IANA "OAuth Extensions Error" registry (or Microsoft's `insufficient_claims`). */
export type OAuthErrorCode = keyof typeof statusByCode

/** What has happened to a user, where a page explains it in the user's own language. */
export type Situation =
  | 'pageExpired'
  | 'signInNotOpen'
  | 'signInCompleted'
  | 'fromAnotherSite'
  | 'unknownClient'
  | 'appsPageExpired'
  | 'interactionNotOpen'

/** What an {@link OAuthError} may carry besides its code and description. */
export interface OAuthErrorOptions {
  /** What happened, for the operator. It is never sent. */
  readonly cause?: unknown
  /** HTTP status, when it is not the usual one of the code. */
  readonly status?: number
  /** Seconds after which the client may try again: sent as `Retry-After`, rounded up to whole ones. */
  readonly retryAfter?: number
  /** Scopes to name in the challenge of a 401, if they are not those for a new client. @see RFC 6750 section 3 */
  readonly scopes?: readonly string[] | undefined
  /** For the page that a user sees. Without it the page shows the description. */
  readonly situation?: Situation
}

/**
 * A protocol outcome, which becomes a response, a redirect or a challenge. The description is for the client's
 * developer: printable ASCII without double quotes and backslashes (RFC 6749 section 5.2). Other characters are
 * replaced by a space.
 *
 * @see RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1
 */
export class OAuthError extends Error {
  override readonly name = 'OAuthError'
  readonly code: OAuthErrorCode
  readonly description: string
  readonly status: number
  /** Whole seconds, at least one. */
  readonly retryAfter: number | undefined
  readonly scopes: readonly string[] | undefined
  readonly situation: Situation | undefined

  constructor(code: OAuthErrorCode, description: string, options: OAuthErrorOptions = {}) {
    const safe = description.replace(/[^\x20-\x21\x23-\x5B\x5D-\x7E]/g, ' ')
    super(`${code}: ${safe}`, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.description = safe
    this.status = options.status ?? statusByCode[code]
    this.retryAfter =
      options.retryAfter === undefined ? undefined : Math.max(1, Math.ceil(options.retryAfter))
    this.scopes = options.scopes
    this.situation = options.situation
  }

  /** The body of the answer. @see RFC 6749 section 5.2 */
  toBody(): { error: OAuthErrorCode; error_description: string } {
    return { error: this.code, error_description: this.description }
  }
}

/**
 * An error for an outage of ours or of a server we depend on: 503 with `Retry-After`, never a 401.
 *
 * @param description what is unreachable, in words for the client
 * @param retryAfter seconds
 */
export function unavailable(description: string, cause: unknown, retryAfter = 5): OAuthError {
  return new OAuthError('temporarily_unavailable', description, { cause, retryAfter })
}
