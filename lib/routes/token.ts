/** `POST /token`: authenticates the client, then hands over to the file of the grant type. */
import type { ServerResponse } from 'node:http'
import { oauthBodyLimit, readForm } from '../http/body.js'
import { attribute } from '../http/event-facts.js'
import { noStore, sendJson } from '../http/respond.js'
import { jwtBearerGrant } from '../oauth/client-metadata.js'
import { OAuthError } from '../oauth/errors.js'
import { required } from '../oauth/params.js'
import type { Client } from '../tokens/clients.js'
import type { TokenAnswer } from '../tokens/records.js'
import { authenticateClient } from './client-authentication.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { authorizationCodeGrant } from './token-authorization-code.js'
import { identityAssertionGrant } from './token-identity-assertion.js'
import { verifyTokenProof } from './token-proof.js'
import { refreshTokenGrant } from './token-refresh.js'
import type { IssuedTokens, TokenRequest } from './token-request.js'

type GrantEndpoint = (context: ProxyContext, request: TokenRequest) => Promise<IssuedTokens>

type GrantEndpoints = ReadonlyMap<string, GrantEndpoint>

function grantEndpointsOf({ identityAssertions }: ProxyContext): GrantEndpoints {
  const endpoints = new Map<string, GrantEndpoint>([
    ['authorization_code', authorizationCodeGrant],
    ['refresh_token', refreshTokenGrant],
  ])
  if (!identityAssertions) return endpoints
  return endpoints.set(jwtBearerGrant, (context, request) =>
    identityAssertionGrant(context, identityAssertions, request),
  )
}

/** @see RFC 6749 section 3.2 */
export function token(context: ProxyContext) {
  const grantEndpoints = grantEndpointsOf(context)
  return async function tokenEndpoint(
    { req, arrivedAt }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const params = await readForm(req, oauthBodyLimit)
    const client = await authenticateClient(context, req, params)
    try {
      const proof = await verifyTokenProof(context, { req, res }, client)
      const request = { params, client, proof, arrivedAt }
      const answer = await issueTokens(context, grantEndpoints, request)
      noStore(res)
      sendJson(res, 200, answer)
    } catch (error) {
      throw attribute(error, { client: { id: client.id } })
    }
  }
}

async function issueTokens(
  context: ProxyContext,
  grantEndpoints: GrantEndpoints,
  request: TokenRequest,
): Promise<TokenAnswer> {
  const { params, client, arrivedAt } = request
  const type = required(params, 'grant_type')
  const grantEndpoint = grantEndpoints.get(type)
  if (!grantEndpoint) {
    throw new OAuthError(
      'unsupported_grant_type',
      `'grant_type' must be one of: ${[...grantEndpoints.keys()].join(', ')}.`,
    )
  }
  if (!mayUse(client, type)) {
    throw new OAuthError('unauthorized_client', 'The client is not registered for this grant type.')
  }
  const { answer, facts, issuer } = await grantEndpoint(context, request)
  const event = {
    grantType: type,
    issuer,
    ...(answer.token_type === 'DPoP' && { bound: true as const }),
    milliseconds: context.now() - arrivedAt,
  }
  context.report('token', event, { ...facts, scopes: answer.scope.split(' ') })
  return answer
}

/**
 * A client that an identity provider lets in need not have said at its registration that it might be: the provider names
 * it in the assertion, and the published documents of clients that use this grant do not list it.
 */
function mayUse({ metadata }: Client, type: string): boolean {
  return type === jwtBearerGrant || metadata.grant_types.includes(type)
}
