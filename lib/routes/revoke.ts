/** `POST /revoke`: revokes the whole grant of a refresh token, or one access token. */
import type { ServerResponse } from 'node:http'
import { decodeJwt } from '../crypto/decode-jwt.js'
import { sha256 } from '../crypto/hashing.js'
import { oauthBodyLimit, readForm } from '../http/body.js'
import { noStore } from '../http/respond.js'
import { OAuthError } from '../oauth/errors.js'
import { required } from '../oauth/params.js'
import type { AccessTokenClaims } from '../tokens/access-token.js'
import type { Client } from '../tokens/clients.js'
import { authenticateClient } from './client-authentication.js'
import type { EndpointRequest, ProxyContext } from './context.js'

/** Unknown, expired and revoked tokens get the same 200 as valid ones. @see RFC 7009 section 2.2 */
export function revoke(context: ProxyContext) {
  return async function revokeEndpoint(
    { req }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const params = await readForm(req, oauthBodyLimit)
    const client = await authenticateClient(context, req, params)
    const token = required(params, 'token')
    // `token_type_hint` is not needed (RFC 7009 section 2.1): our access tokens are JWTs, our refresh tokens are not.
    const access = await verifyAccessToken(context, token)
    if (access) await revokeAccessToken(context, client, access)
    else await revokeRefreshToken(context, client, token)
    noStore(res)
    res.statusCode = 200
    res.setHeader('Content-Length', '0')
    res.end()
  }
}

async function verifyAccessToken(
  context: Pick<ProxyContext, 'accessTokens'>,
  token: string,
): Promise<AccessTokenClaims | undefined> {
  const jwt = decodeJwt(token)
  if (!jwt) return undefined
  try {
    return await context.accessTokens.verify(jwt)
  } catch {
    return undefined
  }
}

async function revokeAccessToken(
  context: Pick<ProxyContext, 'grants' | 'report'>,
  client: Client,
  { client_id, sid, jti, exp }: AccessTokenClaims,
): Promise<void> {
  if (client_id !== client.id) throw foreignToken()
  await context.grants.revokeToken(sid, jti, exp)
  context.report('revocation', { reason: 'client', token: 'access_token' })
}

async function revokeRefreshToken(
  context: Pick<ProxyContext, 'refreshTokens' | 'grants' | 'report'>,
  client: Client,
  token: string,
): Promise<void> {
  const sid = context.refreshTokens.read(token)?.sid
  const grant = sid && (await context.grants.read(sid))?.value
  if (!grant) return
  if (grant.client !== sha256(client.id)) throw foreignToken()
  await context.grants.revoke(sid)
  context.report('revocation', { reason: 'client', token: 'refresh_token' })
}

function foreignToken(): OAuthError {
  return new OAuthError('invalid_grant', 'The token was not issued to this client.')
}
