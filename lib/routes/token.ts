/** `POST /token`: authenticates the client, then hands over to the file of the grant type. */
import type { ServerResponse } from 'node:http'
import { oauthBodyLimit, readForm } from '../http/body.js'
import { attribute } from '../http/event-facts.js'
import { noStore, sendJson } from '../http/respond.js'
import { OAuthError } from '../oauth/errors.js'
import { required } from '../oauth/params.js'
import type { TokenAnswer } from '../tokens/records.js'
import { authenticateClient } from './client-authentication.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { authorizationCodeGrant } from './token-authorization-code.js'
import { verifyTokenProof } from './token-proof.js'
import { refreshTokenGrant } from './token-refresh.js'
import type { IssuedTokens, TokenRequest } from './token-request.js'

type GrantEndpoint = (context: ProxyContext, request: TokenRequest) => Promise<IssuedTokens>

const grantEndpoints: ReadonlyMap<string, GrantEndpoint> = new Map([
  ['authorization_code', authorizationCodeGrant],
  ['refresh_token', refreshTokenGrant],
])

/** @see RFC 6749 section 3.2 */
export function token(context: ProxyContext) {
  return async function tokenEndpoint(
    { req, arrivedAt }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const params = await readForm(req, oauthBodyLimit)
    const client = await authenticateClient(context, req, params)
    try {
      const proof = await verifyTokenProof(context, { req, res }, client)
      const answer = await issueTokens(context, { params, client, proof, arrivedAt })
      noStore(res)
      sendJson(res, 200, answer)
    } catch (error) {
      throw attribute(error, { client: { id: client.id } })
    }
  }
}

async function issueTokens(context: ProxyContext, request: TokenRequest): Promise<TokenAnswer> {
  const { params, client, arrivedAt } = request
  const type = required(params, 'grant_type')
  const grantEndpoint = grantEndpoints.get(type)
  if (!grantEndpoint) {
    throw new OAuthError(
      'unsupported_grant_type',
      `'grant_type' must be one of: ${[...grantEndpoints.keys()].join(', ')}.`,
    )
  }
  if (!client.metadata.grant_types.includes(type)) {
    throw new OAuthError('unauthorized_client', 'The client is not registered for this grant type.')
  }
  const { answer, facts } = await grantEndpoint(context, request)
  const event = {
    grantType: type,
    ...(answer.token_type === 'DPoP' && { bound: true as const }),
    milliseconds: context.now() - arrivedAt,
  }
  context.report('token', event, { ...facts, scopes: answer.scope.split(' ') })
  return answer
}
