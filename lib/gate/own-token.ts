/** Tokens of ours, once verified: how to tell whether one is still good. */
import type { Grants } from '../tokens/grants.js'
import type { Grant } from '../tokens/records.js'
import type { LiveGrants } from './live-grants.js'
import type { VerifiedToken } from './verified-token.js'

/** A token of ours: it stands for a grant. */
export type OwnToken = VerifiedToken & Required<Pick<VerifiedToken, 'sid' | 'jti' | 'grant'>>

/** Whether a token is one of ours. */
export function isOwn(verified: VerifiedToken): verified is OwnToken {
  return verified.jti !== undefined
}

/** What tells whether tokens of ours are still good. */
export interface LiveTokens {
  readonly live: Pick<LiveGrants, 'recall' | 'read'>
  readonly grants: Pick<Grants, 'isTokenRevoked'>
}

/**
 * The grant behind a token that was good when its grant was this one.
 *
 * @returns undefined when the login has ended, or the token has been revoked
 * @throws OAuthError 503
 */
export async function grantBehind(
  { live, grants }: LiveTokens,
  { sid, jti, grant }: Pick<OwnToken, 'sid' | 'jti' | 'grant'>,
): Promise<Grant | undefined> {
  const current = (live.recall(sid) ?? (await live.read(sid)))?.value
  // A revocation of this one token writes its grant too, so the token's mark is read only when that has changed.
  const isRevoked = current !== grant && (await grants.isTokenRevoked(sid, jti))
  return isRevoked ? undefined : current
}
