/**
 * `grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer`: an identity provider that the operator trusts lets a client
 * in for one of its users. The client gets an access token and no refresh token: the provider decides each time anew.
 */
import { randomSecret, sha256 } from '../crypto/hashing.js'
import { attribute } from '../http/event-facts.js'
import { type AssertingIssuer, admitAssertedUser } from '../login/asserted-user.js'
import { OAuthError } from '../oauth/errors.js'
import {
  assertionRefusal,
  checkIdJagKey,
  type IdentityAssertionClaims,
  idJagResources,
} from '../oauth/id-jag.js'
import { required } from '../oauth/params.js'
import { findResource } from '../oauth/resource.js'
import { keepTrying } from '../storage/keep-trying.js'
import { grantFacts } from '../tokens/event-subject.js'
import type { IdentityAssertions } from '../tokens/identity-assertions.js'
import type { ProxyContext } from './context.js'
import { tokenAnswer } from './token-answer.js'
import { useProof } from './token-proof.js'
import type { IssuedTokens, TokenRequest } from './token-request.js'

/**
 * Everything is checked before the assertion is spent, so that a refused request does not use it up.
 *
 * @param assertions of the issuers that the operator trusts
 * @throws OAuthError `invalid_grant`, `invalid_scope`, `invalid_target`, `invalid_request`; 503 when the issuer's keys,
 *   the store or a function of the operator's is out of reach
 * @see draft-ietf-oauth-identity-assertion-authz-grant section 4.4, MCP "Enterprise-Managed Authorization" section 5
 */
export async function identityAssertionGrant(
  context: ProxyContext,
  assertions: IdentityAssertions<AssertingIssuer>,
  { params, client, proof }: TokenRequest,
): Promise<IssuedTokens> {
  const { issuer, claims } = await assertions.verify(required(params, 'assertion'), client.id)
  checkIdJagKey(claims, proof?.jkt)
  const sid = randomSecret()
  const grant = await admitAssertedUser(context, {
    claims,
    mapUser: issuer.mapUser,
    client: sha256(client.id),
    scope: params.scope,
    resource: chooseResource(context, claims, params.resource),
  })
  const facts = grantFacts(sid, grant, client.id)
  try {
    if (await context.grants.isCutOff(grant)) {
      throw new OAuthError(
        'invalid_grant',
        'The access has been ended since the assertion was made.',
      )
    }
    await useProof(context, proof)
    await assertions.spend(claims)
    // The assertion is spent now, and a store that is away for a moment must not cost the client its login.
    await keepTrying(() => context.grants.begin(sid, grant), context)
  } catch (error) {
    throw attribute(error, facts)
  }
  if (context.account.keepsApps) await context.connectedApps.record(sid, grant, client)
  const tokens = { sid, grant, clientId: client.id, jkt: proof?.jkt }
  const answer = await tokenAnswer(context, tokens, undefined)
  return { answer, facts, issuer: claims.iss }
}

/** One of the resources that the assertion is for: all of them must be ours. Without any, what the client asks for. */
function chooseResource(
  context: Pick<ProxyContext, 'resources'>,
  claims: IdentityAssertionClaims,
  named: string | undefined,
): string {
  const asserted = idJagResources(claims).map((each) => assertedResource(context, each))
  const [first, ...others] = asserted
  if (first === undefined) return findResource(context, named).url
  if (named === undefined && others.length === 0) return first
  const wanted = findResource(context, named).url
  if (asserted.includes(wanted)) return wanted
  throw new OAuthError('invalid_target', "'resource' is not one that the assertion is for.")
}

function assertedResource(context: Pick<ProxyContext, 'resources'>, uri: string): string {
  try {
    return findResource(context, uri).url
  } catch (error) {
    throw assertionRefusal("names a 'resource' that is not one of this server", error)
  }
}
