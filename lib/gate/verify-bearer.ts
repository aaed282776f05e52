/** Whether a request may pass the gate: a function of its `Authorization` header, which touches no response. */
import { advertisedScopes } from '../entra/scopes.js'
import { attribute, type EventFacts } from '../http/event-facts.js'
import { bearerChallenge } from '../oauth/challenge.js'
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
export type Verdict = { readonly auth: AuthInfo } | { readonly refusal: Refusal }

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
      : judge(gate, token, verified)
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
    return await judge(gate, token, await verifying)
  } catch (error) {
    return refuse(gate, error)
  }
}

function judge(gate: Gate, token: string, verified: VerifiedToken): Verdict | Promise<Verdict> {
  checkResource(gate, verified)
  return lacksRequired(gate.context, verified)
    ? refuseRequired(gate, verified)
    : { auth: authInfo(gate, token, verified) }
}

/** @throws what is not an OAuthError */
function refuse(gate: Gate, error: unknown): Verdict {
  if (!(error instanceof OAuthError)) throw error
  reportRefusal(gate.context.report, error)
  return { refusal: refusalFor(error, challengeFor(gate, error)) }
}

/** undefined: no Bearer credentials at all. An empty string: some that cannot be a token. */
function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined || !/^bearer(?: |$)/i.test(header)) return undefined
  return header.slice(7).trim()
}

/** @see RFC 6750 section 3.1: a request without authentication gets no error code */
function bareChallenge(context: GateContext, resource: Resource): Refusal {
  const challenge = bearerChallenge({
    resource_metadata: resource.metadataUrl,
    scope: context.challengeScopes(advertisedScopes(context.scopes)),
  })
  return { status: 401, challenge }
}

function checkResource({ resource }: Gate, verified: VerifiedToken): void {
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
  const challenge = bearerChallenge({
    error: 'insufficient_scope',
    error_description: error.description,
    scope: context.challengeScopes(scopes),
    resource_metadata: resource.metadataUrl,
  })
  return refusalFor(error, challenge)
}

/** Only a 401 challenges. A token that was good once names its own scopes, so that a new login brings no less. */
function challengeFor({ context, resource }: Gate, error: OAuthError): string | undefined {
  if (error.status !== 401) return undefined
  const scopes = error.scopes
    ? [...new Set([...context.scopes.required, ...error.scopes])]
    : advertisedScopes(context.scopes)
  return bearerChallenge({
    error: error.code,
    error_description: error.description,
    scope: context.challengeScopes(scopes),
    resource_metadata: resource.metadataUrl,
  })
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
  const { scopes, exchange, report } = gate.context
  return {
    claims: () => verified.claims(),
    caller: () => verified.caller(),
    scopes,
    canStepUp: verified.user !== undefined,
    missingScopes: (needed) => scopes.missing(verified.scopes, needed),
    exchange: ({ tools, ...request }) =>
      exchange(verified, request, { ...callFacts(gate, verified, tools), scopes: request.scopes }),
    refuseScopes: (needed, description, tools) =>
      refuseScopes(gate, verified, needed, description, tools),
    report: (error, tools) => reportRefusal(report, error, callFacts(gate, verified, tools)),
    warn: (warning) => report('warning', warning),
    downstream: {},
  }
}
