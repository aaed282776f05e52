/** `grant_type=refresh_token`: one caller asks Entra, all get the same answer. */

import { sha256 } from '../crypto/hashing.js'
import { EntraError } from '../entra/errors.js'
import { withRequired } from '../entra/scopes.js'
import { isPolicyRefusal } from '../login/policy.js'
import { endRefusedGrant, loginEnded, renewGrant } from '../login/upstream-grant.js'
import { refreshOutcome, reportUpstream } from '../login/upstream-outcome.js'
import { OAuthError } from '../oauth/errors.js'
import { required } from '../oauth/params.js'
import { findResource } from '../oauth/resource.js'
import { blocks, challengedUser } from '../tokens/challenges.js'
import type { Grant, TokenAnswer } from '../tokens/records.js'
import type { RefreshToken, Renewal, Rotation } from '../tokens/refresh-token.js'
import type { ProxyContext } from './context.js'
import { tokenAnswer } from './token-answer.js'
import type { TokenRequest } from './token-request.js'

/**
 * @throws OAuthError `invalid_grant` when the login has ended; `interaction_required` when the client was just
 *   refused for scopes that its login lacks; 503 when Entra or the login policy cannot be asked. After the
 *   latter two the refresh token is as good as before
 * @see RFC 6749 section 6, RFC 9700 section 4.14.2
 */
export async function refreshTokenGrant(
  context: ProxyContext,
  { params, client }: TokenRequest,
): Promise<TokenAnswer> {
  const presented = context.refreshTokens.read(required(params, 'refresh_token'))
  const grant = presented && (await context.grants.read(presented.sid))?.value
  if (!grant || grant.client !== sha256(client.id)) throw loginEnded()
  const named = namedScopes(context, params.scope)
  await checkRequest(context, params, presented, grant)
  await checkScopes(context, named, presented.sid, grant)
  const rotation = await context.refreshTokens.rotate(
    presented,
    grant,
    renewal(context, client.id, presented),
  )
  const answer = concluded(context, rotation)
  return named.length === 0 ? answer : narrowed(context, named, client.id, presented, answer)
}

async function checkRequest(
  context: ProxyContext,
  params: TokenRequest['params'],
  { sid }: RefreshToken,
  grant: Grant,
): Promise<void> {
  if (
    params.resource !== undefined &&
    findResource(context, params.resource).url !== grant.resource
  ) {
    throw new OAuthError('invalid_target', "'resource' is not the one the token was issued for.")
  }
  if (blocks(await context.challenges.read(challengedUser(grant)), sid)) {
    throw new OAuthError(
      'invalid_grant',
      'Microsoft Entra wants more of the user. Authorize again.',
    )
  }
}

/** Scopes by name; none when the client names none of ours: then it asks for all that was granted. */
function namedScopes({ scopes }: ProxyContext, scope: string | undefined): readonly string[] {
  return scope === undefined ? [] : scopes.fromClient(scope, [])
}

async function checkScopes(
  { scopes, stepUpByLogin, stepUps }: ProxyContext,
  named: readonly string[],
  sid: string,
  grant: Grant,
): Promise<void> {
  if (scopes.missing(grant.scopes, named).length > 0) {
    throw new OAuthError(
      'invalid_scope',
      "'scope' asks for more than was granted. Authorize again.",
    )
  }
  if (!stepUpByLogin || named.length > 0) return
  // SDK v1 clients answer a 403 by refreshing; only a refusal makes them log in for the scopes they lack. This
  // one leaves them their tokens: after `invalid_grant` some drop those, and every other tool with them.
  if (scopes.missing(grant.scopes, await stepUps.read(sid)).length > 0) {
    throw new OAuthError('interaction_required', 'More scopes are needed. Authorize again.')
  }
}

function renewal(context: ProxyContext, clientId: string, { sid }: RefreshToken): Renewal {
  return {
    renew: async (grant) => {
      try {
        return await renewGrant(context, grant)
      } catch (error) {
        if (isPolicyRefusal(error)) {
          await endRefusedGrant(context, sid, error)
          throw new OAuthError('invalid_grant', 'The login has ended. Sign in again.')
        }
        if (!(error instanceof EntraError)) throw error
        reportUpstream(context.report, 'token', error)
        const outcome = refreshOutcome(error)
        if (outcome.code === 'invalid_grant') await context.grants.revoke(sid)
        throw outcome
      }
    },
    answer: (grantSid, grant, next) =>
      tokenAnswer(context, { sid: grantSid, grant, clientId }, next),
  }
}

function concluded(context: ProxyContext, rotation: Rotation): TokenAnswer {
  if ('answer' in rotation) return rotation.answer
  if (rotation.outcome === 'reused')
    context.report('revocation', { reason: 'refresh_token_reused' })
  throw loginEnded()
}

/** Fewer scopes for this one access token; the refresh token keeps them all (RFC 6749 section 6). */
async function narrowed(
  context: ProxyContext,
  named: readonly string[],
  clientId: string,
  { sid }: RefreshToken,
  answer: TokenAnswer,
): Promise<TokenAnswer> {
  const grant = (await context.grants.read(sid))?.value
  if (!grant) throw loginEnded()
  const scopes = context.scopes.grant(withRequired(context.scopes, named), grant.scopes)
  if (scopes.join(' ') === answer.scope) return answer
  return tokenAnswer(context, { sid, grant, clientId, scopes }, answer.refresh_token)
}
