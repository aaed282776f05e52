/** `POST /revoke`: a refresh token ends its grant, an access token only itself. */
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

/** Unknown, expired and revoked tokens are answered like valid ones: 200. @see RFC 7009 section 2.2 */
export function revoke(context: ProxyContext) {
  return async function revokeEndpoint(
    { req }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const params = await readForm(req, oauthBodyLimit)
    const client = await authenticateClient(context, req, params)
    const token = required(params, 'token')
    // The hint is only that (RFC 7009 section 2.1): our two kinds of token look nothing like each other.
    const access = await accessTokenClaims(context, token)
    if (access) await revokeAccessToken(context, client, access)
    else await revokeRefreshToken(context, client, token)
    noStore(res)
    res.statusCode = 200
    res.setHeader('Content-Length', '0')
    res.end()
  }
}

async function accessTokenClaims(
  context: ProxyContext,
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
  context: ProxyContext,
  client: Client,
  { client_id, sid, jti, exp }: AccessTokenClaims,
): Promise<void> {
  if (client_id !== client.id) throw foreign()
  await context.grants.revokeToken(sid, jti, exp)
  context.report('revocation', { reason: 'client', token: 'access_token' })
}

async function revokeRefreshToken(
  context: ProxyContext,
  client: Client,
  token: string,
): Promise<void> {
  const sid = context.refreshTokens.read(token)?.sid
  const grant = sid && (await context.grants.read(sid))?.value
  if (!grant) return
  if (grant.client !== sha256(client.id)) throw foreign()
  await context.grants.revoke(sid)
  context.report('revocation', { reason: 'client', token: 'refresh_token' })
}

function foreign(): OAuthError {
  return new OAuthError('invalid_grant', 'The token was not issued to this client.')
}
