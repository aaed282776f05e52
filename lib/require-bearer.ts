/** The gate: a good token becomes `req.auth`, everything else a challenge that tells a client how to get one. */

import type { ServerResponse } from 'node:http'
import { advertisedScopes } from './entra/scopes.js'
import type { EntraAuth } from './entra-auth.js'
import {
  type AuthInfo,
  type AuthInternals,
  type RefuseScopes,
  withInternals,
} from './gate/caller.js'
import type { GateContext } from './gate/context.js'
import type { VerifiedToken } from './gate/verified-tokens.js'
import { allowAnyOrigin, exposeChallenge } from './http/cors.js'
import type { Middleware, MiddlewareRequest } from './http/middleware.js'
import { noStore, sendOAuthError } from './http/respond.js'
import { asError, isAnswered, runAsync } from './http/run-async.js'
import { bearerChallenge } from './oauth/challenge.js'
import { OAuthError } from './oauth/errors.js'
import type { Resource } from './oauth/resource.js'

/** Options of {@link requireBearer}. */
export interface RequireBearerOptions {
  /** Which of `entraAuth`'s `resources` this route belongs to (default: the first). */
  readonly resource?: string
}

/** A request that came through the gate. */
export type AuthenticatedRequest = MiddlewareRequest & { auth?: AuthInfo }

interface Gate {
  readonly context: GateContext
  readonly resource: Resource
  readonly resourceUrl: URL
}

/**
 * Lets requests with a good access token pass, with `req.auth` set: tokens of the proxy and Entra's own alike.
 * No token is a 401 with a bare challenge, a bad one a 401 `invalid_token`, a missing required scope a 403,
 * an outage a 503: never a 401.
 *
 * @throws TypeError for a resource `entraAuth` does not know
 * @see RFC 6750 section 3, RFC 9728 section 5, MCP Authorization "Token Handling"
 * @example
 * app.all('/mcp', requireBearer(auth), handler)
 */
export function requireBearer(auth: EntraAuth, options: RequireBearerOptions = {}): Middleware {
  const context = auth.gate('requireBearer')
  const resource = findResource(context, options.resource)
  const gate: Gate = { context, resource, resourceUrl: new URL(resource.url) }
  return function requireBearerMiddleware(req, res, next) {
    if (isAnswered(res)) return
    exposeChallenge(res)
    const token = bearerToken(req.headers.authorization)
    if (token === undefined) return challengeBare(gate, res)
    let verified: VerifiedToken | Promise<VerifiedToken>
    try {
      verified = context.verify(token)
    } catch (error) {
      return refuse(gate, res, next, error)
    }
    if (!(verified instanceof Promise)) return pass(gate, req, res, next, token, verified)
    const verifying = verified
    runAsync(req, res, next, async (goOn) => {
      try {
        verified = await verifying
      } catch (error) {
        return refuse(gate, res, goOn, error)
      }
      pass(gate, req, res, goOn, token, verified)
    })
  }
}

function findResource({ resources }: GateContext, path: string | undefined): Resource {
  if (path === undefined) return resources[0]
  const found = resources.find((resource) => resource.path === path)
  if (found) return found
  const known = resources.map((resource) => `"${resource.path}"`).join(', ')
  throw new TypeError(
    `requireBearer: no such resource: "${path}": entraAuth's resources are ${known}`,
  )
}

/** undefined: no Bearer credentials at all. An empty string: some that cannot be a token. */
function bearerToken(header: string | undefined): string | undefined {
  if (header === undefined || !/^bearer(?: |$)/i.test(header)) return undefined
  return header.slice(7).trim()
}

function pass(
  gate: Gate,
  req: AuthenticatedRequest,
  res: ServerResponse,
  next: (error?: unknown) => void,
  token: string,
  verified: VerifiedToken,
): void {
  const { context, resource } = gate
  if (verified.resource !== undefined && verified.resource !== resource.url) {
    const error = new OAuthError('invalid_token', 'The access token is not for this resource.')
    return refuse(gate, res, next, error)
  }
  // An app calling on its own behalf has no scopes: an admin gave it roles, and guards ask for those. One
  // without roles was given nothing: Entra issues such tokens to any app of the tenant.
  if (!verified.user && (verified.claims.roles ?? []).length === 0) {
    return refuse(gate, res, next, new OAuthError('access_denied', 'The app has no role here.'))
  }
  if (verified.user && lacks(context, verified)) {
    const description = 'The access token lacks a scope that this server requires.'
    return runAsync(req, res, next, () =>
      refuseScopes(gate, verified, res, context.scopes.required, description),
    )
  }
  req.auth = authInfo(gate, token, verified)
  next()
}

/** Most tokens name what is required; only for the others does it matter what a scope implies. */
function lacks({ scopes }: GateContext, verified: VerifiedToken): boolean {
  if (scopes.required.every((scope) => verified.scopes.includes(scope))) return false
  return scopes.missing(verified.scopes, scopes.required).length > 0
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
  const refusal: RefuseScopes = (res, needed, description) =>
    refuseScopes(gate, verified, res, needed, description)
  return {
    claims: verified.claims,
    missingScopes: (needed) => gate.context.scopes.missing(verified.scopes, needed),
    exchange: (request) => gate.context.exchange(verified, request),
    refuseScopes: refusal,
    report: (error) => report(gate.context, error),
    downstream: {},
  }
}

/** @see RFC 6750 section 3.1: a request without authentication gets no error code */
function challengeBare({ context, resource }: Gate, res: ServerResponse): void {
  const challenge = bearerChallenge({
    resource_metadata: resource.metadataUrl,
    scope: context.challengeScopes(advertisedScopes(context.scopes)),
  })
  allowAnyOrigin(res)
  noStore(res)
  res.statusCode = 401
  res.setHeader('WWW-Authenticate', challenge)
  res.setHeader('Content-Length', '0')
  res.end()
}

function refuse(
  { context, resource }: Gate,
  res: ServerResponse,
  next: (error?: unknown) => void,
  error: unknown,
): void {
  if (!(error instanceof OAuthError)) return fail(context, res, next, error)
  report(context, error)
  if (isAnswered(res)) return
  if (error.status === 401) {
    // For a token that was good once these are its own: a new login is not to bring less than was lost.
    const told = error.scopes
      ? new Set([...context.scopes.required, ...error.scopes])
      : advertisedScopes(context.scopes)
    const { error: code, error_description } = error.toBody()
    res.setHeader(
      'WWW-Authenticate',
      bearerChallenge({
        error: code,
        error_description,
        scope: context.challengeScopes([...told]),
        resource_metadata: resource.metadataUrl,
      }),
    )
  }
  send(res, error)
}

/** Nothing we foresaw. `next` does not hear of it when the request has been answered: the operator has to. */
function fail(
  { report }: GateContext,
  res: ServerResponse,
  next: (error?: unknown) => void,
  cause: unknown,
): void {
  if (isAnswered(res)) report('failure', { endpoint: 'gate', reason: 'server_error', cause })
  next(asError(cause))
}

async function refuseScopes(
  { context, resource }: Gate,
  verified: VerifiedToken,
  res: ServerResponse,
  needed: readonly string[],
  description: string,
): Promise<void> {
  const error = new OAuthError('insufficient_scope', description)
  report(context, error)
  await context.askForStepUp(verified, needed)
  if (isAnswered(res)) return
  // Everything the operation needs, and what the caller holds already: SDK v1 asks for this and no more.
  const scopes = [...new Set([...verified.scopes, ...needed])]
  res.setHeader(
    'WWW-Authenticate',
    bearerChallenge({
      error: 'insufficient_scope',
      error_description: error.description,
      scope: context.challengeScopes(scopes),
      resource_metadata: resource.metadataUrl,
    }),
  )
  send(res, error)
}

function send(res: ServerResponse, error: OAuthError): void {
  allowAnyOrigin(res)
  sendOAuthError(res, error)
}

function report({ report }: GateContext, { code, description, status, cause }: OAuthError): void {
  const failed = status >= 500
  report(failed ? 'failure' : 'refusal', {
    endpoint: 'gate',
    reason: code,
    detail: description,
    ...(failed && { cause }),
  })
}
