/** `grant_type=authorization_code`: redeems one of our codes for tokens, once. */
import { sha256 } from '../crypto/hashing.js'
import { attribute, type EventFacts } from '../http/event-facts.js'
import { OAuthError } from '../oauth/errors.js'
import { required } from '../oauth/params.js'
import { verifierMatches } from '../oauth/pkce.js'
import { findResource } from '../oauth/resource.js'
import { keepTrying } from '../storage/keep-trying.js'
import { grantFacts } from '../tokens/event-subject.js'
import type { CodeRecord, Grant, TokenAnswer } from '../tokens/records.js'
import type { ProxyContext } from './context.js'
import { tokenAnswer } from './token-answer.js'
import { bindGrant, checkBoundTo, useProof } from './token-proof.js'
import type { IssuedTokens, TokenRequest } from './token-request.js'

/**
 * Everything is checked before the code is taken, so that a refused request does not use up the client's code.
 *
 * @throws OAuthError `invalid_grant`, `invalid_target`, `invalid_request`
 * @see RFC 6749 section 4.1.3, RFC 7636 section 4.6, RFC 8707 section 2.2, RFC 9449 section 10
 */
export async function authorizationCodeGrant(
  context: ProxyContext,
  request: TokenRequest,
): Promise<IssuedTokens> {
  const { params } = request
  const code = required(params, 'code')
  const verifier = required(params, 'code_verifier')
  const record = await context.codes.read(code)
  if (!record) throw await refuseUnknownCode(context, request, code, verifier)
  try {
    return await redeemCode(context, request, { code, verifier, record })
  } catch (error) {
    throw attribute(error, codeFacts(request, record))
  }
}

/** The client is the one that asks: it need not be the one that the code was issued to. */
function codeFacts({ client }: TokenRequest, { sid, redirectUri, grant }: CodeRecord): EventFacts {
  const isItsOwn = grant.client === sha256(client.id)
  return {
    ...grantFacts(sid, grant),
    client: { id: client.id, ...(isItsOwn && { redirectUri }) },
  }
}

/** A code that is good, as its client presents it. */
interface PresentedCode {
  readonly code: string
  readonly verifier: string
  readonly record: CodeRecord
}

async function redeemCode(
  context: ProxyContext,
  request: TokenRequest,
  { code, verifier, record }: PresentedCode,
): Promise<IssuedTokens> {
  const { client, proof } = request
  checkBinding(context, request, record, verifier)
  if (await context.grants.isCutOff(record.grant)) throw invalidGrant('The access has been ended.')
  await useProof(context, proof)
  if (!(await context.codes.redeem(code))) {
    throw await refuseUnknownCode(context, request, code, verifier)
  }
  const { sid } = record
  const grant = bindGrant(record.grant, client, proof)
  await beginGrant(context, { code, record: { ...record, grant }, client })
  const answer = await issueTokens(context, request, sid, grant)
  return { answer, facts: codeFacts(request, record) }
}

interface RedeemedCode {
  readonly code: string
  readonly record: CodeRecord
  readonly client: TokenRequest['client']
}

/** The code is spent now, and a store that is away for a moment must not cost the client its login. */
async function beginGrant(
  context: Pick<ProxyContext, 'codes' | 'grants' | 'account' | 'connectedApps' | 'now'>,
  { code, record, client }: RedeemedCode,
): Promise<void> {
  const { sid, grant, codeChallenge } = record
  const spent = { sid, client: grant.client, codeChallenge, redeemedAt: context.now() }
  const write = () =>
    Promise.all([context.grants.begin(sid, grant), context.codes.rememberRedeemed(code, spent)])
  await keepTrying(write, context)
  if (context.account.keepsApps) await context.connectedApps.record(sid, grant, client)
}

function issueTokens(
  context: Pick<ProxyContext, 'refreshTokens' | 'accessTokens'>,
  { client, proof }: TokenRequest,
  sid: string,
  grant: Grant,
): Promise<TokenAnswer> {
  const refreshes =
    grant.upstream?.refreshToken !== undefined &&
    client.metadata.grant_types.includes('refresh_token')
  const refreshToken = refreshes
    ? context.refreshTokens.issue(sid, grant.generation, grant.jkt !== undefined)
    : undefined
  return tokenAnswer(context, { sid, grant, clientId: client.id, jkt: proof?.jkt }, refreshToken)
}

function checkBinding(
  context: Pick<ProxyContext, 'resources'>,
  { params, client, proof }: TokenRequest,
  record: CodeRecord,
  verifier: string,
): void {
  if (record.grant.client !== sha256(client.id))
    throw invalidGrant('The code was issued to another client.')
  if (params.redirect_uri !== undefined && params.redirect_uri !== record.redirectUri) {
    throw invalidGrant("'redirect_uri' differs from that of the authorization request.")
  }
  if (!verifierMatches(verifier, record.codeChallenge))
    throw invalidGrant("'code_verifier' is wrong.")
  checkBoundTo(record.dpopJkt, proof, 'code')
  if (
    params.resource !== undefined &&
    findResource(context, params.resource).url !== record.grant.resource
  ) {
    throw new OAuthError(
      'invalid_target',
      "'resource' differs from that of the authorization request.",
    )
  }
}

/** A code that was redeemed before may have been stolen: then its grant is revoked. */
async function refuseUnknownCode(
  context: Pick<ProxyContext, 'codes' | 'report'>,
  { client, arrivedAt }: TokenRequest,
  code: string,
  verifier: string,
): Promise<OAuthError> {
  const replay = { client: sha256(client.id), verifier, arrivedAt }
  const ended = await context.codes.revokeIfReplayed(code, replay)
  if (ended) {
    const { sid, grant } = ended
    const facts = { ...(grant && grantFacts(sid, grant)), sid, client: { id: client.id } }
    context.report('revocation', { reason: 'code_replayed' }, facts)
  }
  return invalidGrant('The code is unknown, expired or used.')
}

function invalidGrant(description: string): OAuthError {
  return new OAuthError('invalid_grant', description)
}
