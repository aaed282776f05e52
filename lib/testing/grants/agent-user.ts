/** `user_fic`: an agent signs in to the user account that it has. */
import { issuerOf, servicePrincipalId } from '../claims.js'
import { requireProof } from '../client-authentication.js'
import { type EntraUser, exchangeId } from '../directory.js'
import type { Emulation } from '../emulation.js'
import { refuse, required } from '../errors.js'
import { hasValidSignature, readJwt } from '../jwt.js'
import { parseScope } from '../scopes.js'
import { userAnswer } from '../token-answer.js'
import type { TokenRequest } from './grant.js'
import { checkOrigin } from './origin.js'

/**
 * Issues a token for the user account, on an exchange token of the agent itself.
 *
 * @see https://learn.microsoft.com/entra/agent-id/agent-user-oauth-flow
 */
export function agentUser(emulation: Emulation, request: TokenRequest): Record<string, unknown> {
  const { client, params } = request
  checkOrigin(request.origin, false)
  requireProof(client)
  checkExchangeToken(emulation, request, required(params, 'user_federated_identity_credential'))
  const user = findAccount(emulation, request, required(params, 'username'))
  const scopes = parseScope(emulation.directory, required(params, 'scope'), client.app)
  const refresh = scopes.oidc.includes('offline_access') ? { spa: false } : undefined
  return userAnswer(emulation, { client, user, params, scopes, refresh })
}

function checkExchangeToken(emulation: Emulation, { client }: TokenRequest, token: string): void {
  const jwt = readJwt(token)
  if (!jwt) return refuse(50027, 'JWT token is invalid or malformed.')
  const { iss, aud, azp, tid, oid, exp } = jwt.claims
  const isSigned =
    iss === issuerOf(emulation, String(tid), 2) && hasValidSignature(jwt, emulation.keys.published)
  if (!isSigned) refuse(50013, 'Assertion failed signature validation.')
  const isOwn =
    azp === client.app.clientId &&
    oid === servicePrincipalId(client.app, String(tid)) &&
    emulation.directory.resource(String(aud))?.clientId === exchangeId
  if (!isOwn) refuse(500131, 'Assertion audience does not match the Client app presenting it.')
  if (Number(exp) <= emulation.clock.now()) {
    refuse(500133, 'Assertion is not within its valid time range.')
  }
}

/** One account belongs to one agent. */
function findAccount({ directory }: Emulation, { client }: TokenRequest, name: string): EntraUser {
  const user = directory.user(name)
  if (user?.agent !== undefined && user.agent === client.app.clientId) return user
  return refuse(50034, `The agent has no user account '${name}' in this directory.`)
}
