/**
 * Whether a request with a bearer token, or without any, may pass the gate: a function of its `Authorization` header,
 * which touches no response. Tokens that are bound to a key are for `verify-bound.ts`.
 */
import { advertisedScopes } from '../entra/scopes.js'
import { attribute, type EventFacts } from '../http/event-facts.js'
import {
  bearerChallenge,
  type ChallengeParams,
  challenge as challengeIn,
  type TokenScheme,
} from '../oauth/challenge.js'
import { proofAlgorithms } from '../oauth/dpop.js'
import { OAuthError } from '../oauth/errors.js'
import type { Resource } from '../oauth/resource.js'
import { type AuthInfo, type AuthInternals, withInternals } from './caller.js'
import type { GateContext } from './context.js'
import { type Refusal, refusalFor, reportRefusal } from './refuse.js'
import { type VerifiedToken, verifiedFacts } from './verified-token.js'

/** A gate in front of one resource. */
export interface Gate {
  readonly context: GateContext
  readonly resource: Resource
  readonly resourceUrl: URL
  /** What a request without a token gets. */
  readonly bareChallenge: Refusal
}

/** What becomes of the request. */
export type Verdict =
  | {
      readonly auth: AuthInfo
      readonly verified: VerifiedToken
      readonly dpopNonce?: string | undefined
    }
  | { readonly refusal: Refusal }

/** For the challenges of DPoP: lists are in one string there. @see RFC 9449 section 7.1 */
export const proofAlgorithmList = proofAlgorithms.join(' ')
const dpopChallenge = challengeIn('DPoP', { algs: proofAlgorithmList })

/** Makes a gate. */
export function makeGate(context: GateContext, resource: Resource): Gate {
  const resourceUrl = new URL(resource.url)
  return { context, resource, resourceUrl, bareChallenge: bareChallenge(context, resource) }
}

/**
 * Without a token: 401 with a bare challenge. With a bad one: 401 `invalid_token`. Without a required scope: 403.
 * When nobody can tell: 503. The verdict on a token that was seen before is there at once: a promise, which every
 * request would wait for, costs more than all the rest of the gate.
 *
 * @throws (or rejects with) whatever is not an OAuthError: a fault of ours
 * @see RFC 6750 section 3.1
 */
export function verifyBearer(gate: Gate, header: string | undefined): Verdict | Promise<Verdict> {
  const token = bearerToken(header)
  if (token === undefined) return { refusal: gate.bareChallenge }
  try {
    const verified = gate.context.verify(token)
    return verified instanceof Promise
      ? awaitVerdict(gate, token, verified)
      : judgeBearer(gate, token, verified)
  } catch (error) {
    return refuse(gate, error)
  }
}

async function awaitVerdict(
  gate: Gate,
  token: string,
  verifying: Promise<VerifiedToken>,
): Promise<Verdict> {
  try {
    return await judgeBearer(gate, token, await verifying)
  } catch (error) {
    return refuse(gate, error)
  }
}

function judgeBearer(
  gate: Gate,
  token: string,
  verified: VerifiedToken,
): Verdict | Promise<Verdict> {
  if (verified.cnf !== undefined || gate.context.dpop?.required) throw notAsBearer(gate, verified)
  checkResource(gate, verified)
  return judgeScopes(gate, token, verified)
}

/** A token that was bound is worth nothing to a thief only if nobody takes it as a bearer token. @see RFC 9449 section 7.1 */
function notAsBearer({ context }: Pick<Gate, 'context'>, verified: VerifiedToken): unknown {
  const { cnf, kind, scopes } = verified
  const ours = context.dpop
    ? 'The access token is bound to a key: send it as DPoP, with a proof.'
    : 'The access token is bound to a key: this server no longer takes such tokens (DPoP is off).'
  const bound =
    kind === 'proxy'
      ? ours
      : 'Microsoft Entra has bound the access token to a key or a device (token protection, cnf), so it is not taken as Bearer. Ask Entra for one that is not bound.'
  const unbound = 'This server takes no access tokens but those bound to a key (DPoP).'
  const error = new OAuthError('invalid_token', cnf === undefined ? unbound : bound, {
    scopes: kind === 'proxy' ? scopes : undefined,
  })
  return attribute(error, verifiedFacts(verified))
}

/** Lets the request pass, if its token has the scopes that every request needs. */
export function judgeScopes(
  gate: Gate,
  token: string,
  verified: VerifiedToken,
): Verdict | Promise<Verdict> {
  return lacksRequired(gate.context, verified)
    ? refuseRequired(gate, verified)
    : { auth: authInfo(gate, token, verified), verified }
}

/** @throws what is not an OAuthError */
function refuse(gate: Gate, error: unknown): Verdict {
  if (!(error instanceof OAuthError)) throw error
  reportRefusal(gate.context.report, error)
  const challenge =
    error.status === 401 ? challengesOf(gate, challengeParams(gate, error)) : undefined
  return { refusal: refusalFor(error, challenge) }
}

/** Bearer first: it is all that most clients know. @see RFC 9449 section 7.1 */
function challengesOf({ context }: Pick<Gate, 'context'>, params: ChallengeParams) {
  const bearer = bearerChallenge(params)
  return context.dpop ? [bearer, dpopChallenge] : bearer
}

/** undefined: no Bearer credentials at all. An empty string: some that cannot be a token. */
function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined || !/^bearer(?: |$)/i.test(header)) return undefined
  return header.slice(7).trim()
}

/** @see RFC 6750 section 3.1: a request without authentication gets no error code */
function bareChallenge(context: GateContext, resource: Resource): Refusal {
  const params = {
    resource_metadata: resource.metadataUrl,
    scope: context.challengeScopes(advertisedScopes(context.scopes)),
  }
  return { status: 401, challenge: challengesOf({ context }, params) }
}

/** @throws OAuthError `invalid_token` */
export function checkResource({ resource }: Gate, verified: VerifiedToken): void {
  if (verified.resource === undefined || verified.resource === resource.url) return
  const error = new OAuthError('invalid_token', 'The access token is not for this resource.')
  throw attribute(error, verifiedFacts(verified))
}

/** What is known of a request whose token is for this gate. */
function callFacts(
  { resource }: Gate,
  verified: VerifiedToken,
  tools?: readonly string[],
): EventFacts {
  return { ...verifiedFacts(verified), resource: resource.url, tools }
}

/** Most tokens name what is required; only for the others does it matter what a scope implies. */
function lacksRequired({ scopes }: GateContext, verified: VerifiedToken): boolean {
  if (!verified.account || scopes.required.every((scope) => verified.scopes.includes(scope))) {
    return false
  }
  return scopes.missing(verified.scopes, scopes.required).length > 0
}

async function refuseRequired(gate: Gate, verified: VerifiedToken): Promise<Verdict> {
  const description = 'The access token lacks a scope that this server requires.'
  const { required } = gate.context.scopes
  return { refusal: await refuseScopes(gate, verified, required, description) }
}

/** 403 `insufficient_scope`, and a mark for the client's next refresh. */
async function refuseScopes(
  gate: Gate,
  verified: VerifiedToken,
  needed: readonly string[],
  description: string,
  tools?: readonly string[],
): Promise<Refusal> {
  const { context, resource } = gate
  const error = new OAuthError('insufficient_scope', description)
  const missing = context.scopes.missing(verified.scopes, needed)
  reportRefusal(context.report, error, callFacts(gate, verified, tools), missing)
  await context.askForStepUp(verified, needed)
  // Everything the operation needs, and what the caller holds already: SDK v1 asks for this and no more.
  const scopes = [...new Set([...verified.scopes, ...needed])]
  const challenge = challengeIn(schemeOf(verified), {
    error: 'insufficient_scope',
    error_description: error.description,
    scope: context.challengeScopes(scopes),
    resource_metadata: resource.metadataUrl,
  })
  return refusalFor(error, challenge)
}

/** Of a 401. A token that was good once names its own scopes, so that a new login brings no less. */
export function challengeParams(
  { context, resource }: Gate,
  error: OAuthError,
  held = error.scopes,
): ChallengeParams {
  const scopes = held
    ? [...new Set([...context.scopes.required, ...held])]
    : advertisedScopes(context.scopes)
  return {
    error: error.code,
    error_description: error.description,
    scope: context.challengeScopes(scopes),
    resource_metadata: resource.metadataUrl,
  }
}

/** How the token of a caller came. */
function schemeOf({ cnf }: VerifiedToken): TokenScheme {
  return cnf === undefined ? 'Bearer' : 'DPoP'
}

function authInfo(gate: Gate, token: string, verified: VerifiedToken): AuthInfo {
  const { resource, resourceUrl } = gate
  return {
    token,
    clientId: verified.clientId,
    scopes: [...verified.scopes],
    expiresAt: verified.expiresAt,
    resource: resourceUrl,
    resourceMetadataUrl: resource.metadataUrl,
    extra: withInternals(shownExtra(verified), () => internals(gate, verified)),
  }
}

function shownExtra({ kind, user }: VerifiedToken): AuthInfo['extra'] {
  return user ? { tokenKind: kind, user } : { tokenKind: kind }
}

function internals(gate: Gate, verified: VerifiedToken): AuthInternals {
  const { scopes, exchange, sessionOf, report } = gate.context
  return {
    claims: () => verified.claims(),
    caller: () => verified.caller(),
    scopes,
    canStepUp: verified.user !== undefined,
    missingScopes: (needed) => scopes.missing(verified.scopes, needed),
    exchange: ({ tools, ...request }) =>
      exchange(verified, request, { ...callFacts(gate, verified, tools), scopes: request.scopes }),
    session: (tools) => sessionOf(verified, callFacts(gate, verified, tools)),
    refuseScopes: (needed, description, tools) =>
      refuseScopes(gate, verified, needed, description, tools),
    challenge: (params) => challengeIn(schemeOf(verified), params),
    report: (error, tools) => reportRefusal(report, error, callFacts(gate, verified, tools)),
    warn: (warning) => report('warning', warning),
    downstream: {},
  }
}
