/** The answer of the token endpoint, the same for every grant. */
import type { Grant, TokenAnswer } from '../tokens/records.js'
import type { ProxyContext } from './context.js'

/** What the tokens are for. */
export interface AnswerFor {
  readonly sid: string
  readonly grant: Grant
  readonly clientId: string
  /** Fewer than the grant's, for this one access token (RFC 6749 section 6). */
  readonly scopes?: readonly string[]
  /** The DPoP key to bind the access token to. */
  readonly jkt: string | undefined
}

/** @see RFC 6749 section 5.1, RFC 9449 section 5 */
export async function tokenAnswer(
  { accessTokens }: Pick<ProxyContext, 'accessTokens'>,
  { sid, grant, clientId, scopes = grant.scopes, jkt }: AnswerFor,
  refreshToken: string | undefined,
): Promise<TokenAnswer> {
  const { token, expiresIn } = await accessTokens.mint({ sid, grant, clientId, scopes, jkt })
  return {
    access_token: token,
    token_type: jkt === undefined ? 'Bearer' : 'DPoP',
    expires_in: expiresIn,
    scope: scopes.join(' '),
    ...(refreshToken !== undefined && { refresh_token: refreshToken }),
  }
}
