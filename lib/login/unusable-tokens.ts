/** Tokens of Entra's that end a sign-in. */
import { OAuthError } from '../oauth/errors.js'

/** The error for tokens that Entra should not have sent. */
export function unusableTokens(cause: string): OAuthError {
  return new OAuthError('server_error', 'Microsoft Entra sent tokens this server cannot use.', {
    cause,
  })
}

/** `invalid_token` is for a bearer at a gate. The client of a login, or the user of a page, has sent no token. */
export function refuseTokens(error: unknown): unknown {
  if (!(error instanceof OAuthError) || error.code !== 'invalid_token') return error
  return new OAuthError('access_denied', error.description, { cause: error.cause ?? error })
}
