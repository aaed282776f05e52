/**
 * Whether a request with a token that is bound to a key may pass the gate: the token is good, and the request has a
 * proof, signed for it alone, that its sender holds the key. Costs one signature and one operation of the store.
 */
import { attribute } from '../http/event-facts.js'
import { challenge } from '../oauth/challenge.js'
import { isThumbprint, targetUri } from '../oauth/dpop.js'
import { OAuthError } from '../oauth/errors.js'
import type { DpopProofs } from '../tokens/dpop-proofs.js'
import type { GateContext } from './context.js'
import { refusalFor, reportRefusal } from './refuse.js'
import { type VerifiedToken, verifiedFacts } from './verified-token.js'
import {
  challengeParams,
  checkResource,
  type Gate,
  judgeScopes,
  proofAlgorithmList,
  type Verdict,
} from './verify-bearer.js'

/** What a proof is checked against. */
export interface BoundRequest {
  readonly authorization: string
  /** The `DPoP` header. */
  readonly proof: string | undefined
  readonly method: string
  /** Path and query, as they came. */
  readonly url: string
}

/** Whether credentials are of the scheme DPoP. */
export function isBoundToken(authorization: string | undefined): authorization is string {
  return authorization !== undefined && /^dpop(?: |$)/i.test(authorization)
}

/**
 * With a bad token or proof: 401. Without a required scope: 403. When nobody can tell: 503.
 *
 * @throws (rejects with) whatever is not an OAuthError: a fault of ours
 * @see RFC 9449 sections 4.3, 7 and 9
 */
export async function verifyBound(
  gate: Gate,
  dpop: DpopProofs,
  request: BoundRequest,
): Promise<Verdict> {
  const dpopNonce = dpop.nonce()
  let verified: VerifiedToken | undefined
  try {
    const token = request.authorization.slice(5).trim()
    verified = await gate.context.verify(token)
    checkResource(gate, verified)
    await checkProof(gate.context, dpop, { token, verified, request })
    const verdict = await judgeScopes(gate, token, verified)
    return 'refusal' in verdict
      ? { refusal: { ...verdict.refusal, dpopNonce } }
      : { ...verdict, dpopNonce }
  } catch (error) {
    return refuse(gate, error, { held: verified?.scopes, dpopNonce })
  }
}

interface BoundToken {
  readonly token: string
  readonly verified: VerifiedToken
  readonly request: BoundRequest
}

async function checkProof(
  { baseUrl }: GateContext,
  dpop: DpopProofs,
  { token, verified, request }: BoundToken,
): Promise<void> {
  const { cnf } = verified
  const { proof, method } = request
  try {
    if (!isThumbprint(cnf?.jkt)) throw notBound(cnf !== undefined)
    if (proof === undefined) throw new OAuthError('invalid_dpop_proof', 'There is no DPoP proof.')
    const url = targetUri(baseUrl, request.url)
    const good = await dpop.verify(proof, { method, url, accessToken: token, jkt: cnf.jkt })
    // Last, because whoever cannot sign for the token must not be able to write to the store.
    await dpop.useOnce(good)
  } catch (error) {
    throw attribute(error, verifiedFacts(verified))
  }
}

/** @see RFC 9449 section 7.1: a token that no key is behind is not made better by a proof */
function notBound(isBoundOtherwise: boolean): OAuthError {
  return new OAuthError(
    'invalid_token',
    isBoundOtherwise
      ? 'The access token is not bound to a DPoP key, but otherwise (cnf).'
      : 'The access token is not bound to a DPoP key: send it as Bearer.',
  )
}

interface KnownOfRequest {
  /** The scopes of its token, once that was good. */
  readonly held: readonly string[] | undefined
  readonly dpopNonce: string | undefined
}

/** A bad proof is a 401 here, and a 400 at the token endpoint. @throws what is not an OAuthError */
function refuse(gate: Gate, error: unknown, { held, dpopNonce }: KnownOfRequest): Verdict {
  if (!(error instanceof OAuthError)) throw error
  reportRefusal(gate.context.report, error)
  const isProof = error.code === 'invalid_dpop_proof' || error.code === 'use_dpop_nonce'
  const status = isProof ? 401 : error.status
  const params = { ...challengeParams(gate, error, error.scopes ?? held), algs: proofAlgorithmList }
  const header = status === 401 ? challenge('DPoP', params) : undefined
  return { refusal: { ...refusalFor(error, header), status, dpopNonce } }
}
