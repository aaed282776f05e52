/** `POST /revoke`: revokes the whole grant of a refresh token, or one access token. */
import type { ServerResponse } from 'node:http'
import { decodeJwt } from '../crypto/decode-jwt.js'
import { sha256 } from '../crypto/hashing.js'
import { oauthBodyLimit, readForm } from '../http/body.js'
import { attribute } from '../http/event-facts.js'
import { noStore } from '../http/respond.js'
import { OAuthError } from '../oauth/errors.js'
import { required } from '../oauth/params.js'
import { type AccessTokenClaims, accessTokenFacts } from '../tokens/access-token.js'
import type { Client } from '../tokens/clients.js'
import { grantFacts } from '../tokens/event-subject.js'
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
    try {
      await revokeToken(context, client, token)
    } catch (error) {
      throw attribute(error, { client: { id: client.id } })
    }
    noStore(res)
    res.statusCode = 200
    res.setHeader('Content-Length', '0')
    res.end()
  }
}

/** `token_type_hint` is not needed (RFC 7009 section 2.1): our access tokens are JWTs, our refresh tokens are not. */
async function revokeToken(context: ProxyContext, client: Client, token: string): Promise<void> {
  const access = await verifyAccessToken(context, token)
  if (access) await revokeAccessToken(context, client, access)
  else await revokeRefreshToken(context, client, token)
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
  claims: AccessTokenClaims,
): Promise<void> {
  const { client_id, sid, jti, exp } = claims
  if (client_id !== client.id) throw foreignToken()
  const grant = await context.grants.revokeToken(sid, jti, exp)
  const facts = { ...accessTokenFacts(claims), user: grant?.user }
  context.report('revocation', { reason: 'client', token: 'access_token' }, facts)
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
  const facts = grantFacts(sid, grant, client.id)
  context.report('revocation', { reason: 'client', token: 'refresh_token' }, facts)
}

function foreignToken(): OAuthError {
  return new OAuthError('invalid_grant', 'The token was not issued to this client.')
}
