/** Whether a request may pass the gate: a function of its `Authorization` header, which touches no response. */
import { advertisedScopes } from '../entra/scopes.js'
import { bearerChallenge } from '../oauth/challenge.js'
import { OAuthError } from '../oauth/errors.js'
import type { Resource } from '../oauth/resource.js'
import { type AuthInfo, type AuthInternals, withInternals } from './caller.js'
import type { GateContext } from './context.js'
import { type Refusal, refusalFor, reportRefusal } from './refuse.js'
import type { VerifiedToken } from './verified-token.js'

/** A gate in front of one resource. */
export interface Gate {
  readonly context: GateContext
  readonly resource: Resource
  readonly resourceUrl: URL
}

/** What becomes of the request. */
export type Verdict = { readonly auth: AuthInfo } | { readonly refusal: Refusal }

/**
 * Without a token: 401 with a bare challenge. With a bad one: 401 `invalid_token`. Without a required scope: 403.
 * When nobody can tell: 503.
 *
 * @throws whatever is not an OAuthError: a fault of ours
 * @see RFC 6750 section 3.1
 */
export async function verifyBearer(gate: Gate, header: string | undefined): Promise<Verdict> {
  const token = bearerToken(header)
  if (token === undefined) return { refusal: bareChallenge(gate) }
  try {
    const verified = await gate.context.verify(token)
    checkResource(gate, verified)
    checkRoles(verified)
    return lacksRequired(gate.context, verified)
      ? { refusal: await refuseRequired(gate, verified) }
      : { auth: authInfo(gate, token, verified) }
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    reportRefusal(gate.context.report, error)
    return { refusal: refusalFor(error, challengeFor(gate, error)) }
  }
}

/** undefined: no Bearer credentials at all. An empty string: some that cannot be a token. */
function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined || !/^bearer(?: |$)/i.test(header)) return undefined
  return header.slice(7).trim()
}

/** @see RFC 6750 section 3.1: a request without authentication gets no error code */
function bareChallenge({ context, resource }: Gate): Refusal {
  const challenge = bearerChallenge({
    resource_metadata: resource.metadataUrl,
    scope: context.challengeScopes(advertisedScopes(context.scopes)),
  })
  return { status: 401, challenge }
}

function checkResource({ resource }: Gate, verified: VerifiedToken): void {
  if (verified.resource === undefined || verified.resource === resource.url) return
  throw new OAuthError('invalid_token', 'The access token is not for this resource.')
}

/**
 * An app that calls on its own behalf has no scopes: an administrator gave it roles, and guards ask for those. Entra
 * issues tokens to any app of the tenant, so one without a role was given nothing.
 */
function checkRoles({ user, claims }: VerifiedToken): void {
  if (user || (claims.roles ?? []).length > 0) return
  throw new OAuthError('access_denied', 'The app has no role here.')
}

/** Most tokens name what is required; only for the others does it matter what a scope implies. */
function lacksRequired({ scopes }: GateContext, verified: VerifiedToken): boolean {
  if (!verified.user || scopes.required.every((scope) => verified.scopes.includes(scope))) {
    return false
  }
  return scopes.missing(verified.scopes, scopes.required).length > 0
}

function refuseRequired(gate: Gate, verified: VerifiedToken): Promise<Refusal> {
  const description = 'The access token lacks a scope that this server requires.'
  return refuseScopes(gate, verified, gate.context.scopes.required, description)
}

/** 403 `insufficient_scope`, and a mark for the client's next refresh. */
async function refuseScopes(
  { context, resource }: Gate,
  verified: VerifiedToken,
  needed: readonly string[],
  description: string,
): Promise<Refusal> {
  const error = new OAuthError('insufficient_scope', description)
  reportRefusal(context.report, error)
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
  const extra: AuthInfo['extra'] = verified.user
    ? { tokenKind: verified.kind, user: verified.user }
    : { tokenKind: verified.kind }
  return {
    token,
    clientId: verified.clientId,
    scopes: [...verified.scopes],
    expiresAt: verified.expiresAt,
    resource: resourceUrl,
    resourceMetadataUrl: resource.metadataUrl,
    extra: withInternals(extra, () => internals(gate, verified)),
  }
}

function internals(gate: Gate, verified: VerifiedToken): AuthInternals {
  const { scopes, exchange, report } = gate.context
  return {
    claims: verified.claims,
    scopes,
    missingScopes: (needed) => scopes.missing(verified.scopes, needed),
    exchange: (request) => exchange(verified, request),
    refuseScopes: (needed, description) => refuseScopes(gate, verified, needed, description),
    report: (error) => reportRefusal(report, error),
    downstream: {},
  }
}
