/** The answer of the token endpoint, alike for every grant. */
import type { Grant, TokenAnswer } from '../tokens/records.js'
import type { ProxyContext } from './context.js'

/** Whom the tokens are for. */
export interface AnswerFor {
  readonly sid: string
  readonly grant: Grant
  readonly clientId: string
  /** Fewer than the grant's, for this one access token (RFC 6749 section 6). */
  readonly scopes?: readonly string[]
}

/** @see RFC 6749 section 5.1 */
export async function tokenAnswer(
  { accessTokens }: Pick<ProxyContext, 'accessTokens'>,
  { sid, grant, clientId, scopes = grant.scopes }: AnswerFor,
  refreshToken: string | undefined,
): Promise<TokenAnswer> {
  const { token, expiresIn } = await accessTokens.mint({ sid, grant, clientId, scopes })
  return {
    access_token: token,
    token_type: 'Bearer',
    expires_in: expiresIn,
    scope: scopes.join(' '),
    ...(refreshToken !== undefined && { refresh_token: refreshToken }),
  }
}
