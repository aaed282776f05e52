/** The way to Entra and back: the pending login in its cookie, and the address the browser is sent to. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { randomSecret, sha256 } from '../crypto/hashing.js'
import { openJson, sealJson } from '../crypto/sealing.js'
import { combineScopes } from '../entra/scopes.js'
import { OAuthError } from '../oauth/errors.js'
import { codeChallenge as challengeOf } from '../oauth/pkce.js'
import { answersAtMost, type Challenge } from '../tokens/challenges.js'
import type { ProxyContext } from './context.js'

/** What a client asked for, as long as its user is away at Entra. */
export interface ClientRequest {
  readonly redirectUri: string
  readonly state?: string
  readonly codeChallenge: string
  readonly scopes: readonly string[]
  readonly resource: string
  /** SHA-256 of the client id. */
  readonly client: string
}

/** A login under way, sealed in a cookie of its own and bound to its `state`. */
export interface PendingLogin extends ClientRequest {
  /** Our own PKCE verifier and nonce towards Entra. */
  readonly verifier: string
  readonly nonce: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  /** The challenge this login carries to Entra, after those its user has answered before. */
  readonly carries?: {
    readonly ids: readonly string[]
    readonly tid: string
    readonly oid: string
  }
}

/** What goes to Entra besides. */
export interface LoginExtras {
  readonly hints?: Readonly<Record<string, string>>
  readonly challenge?: Challenge
  readonly carries?: NonNullable<PendingLogin['carries']>
}

/** What the second way to Entra adds to a login: as many challenges as one login carries, of one user. */
const longestCarries: NonNullable<PendingLogin['carries']> = {
  ids: Array.from({ length: answersAtMost }, () => sha256('')),
  tid: '0'.repeat(36),
  oid: '0'.repeat(36),
}

const loginSeal = (state: string) => ({ purpose: 'pending login', boundTo: state })
const cookieId = (state: string) => sha256(`login\0${state}`).slice(0, 16)

/**
 * Checks that a request can be remembered while its user is away, with all that may come to it on the way:
 * after Approve it would be too late to say so.
 *
 * @throws OAuthError `invalid_request`
 */
export function checkLoginFits(context: ProxyContext, request: ClientRequest): void {
  const state = randomSecret()
  const longest = pendingLogin(context, request, longestCarries)
  const sealed = sealJson(context.ring, loginSeal(state), longest)
  if (context.loginCookies.fits(cookieId(state), sealed)) return
  throw new OAuthError(
    'invalid_request',
    "The request is too long to be carried in a cookie: shorten 'state', 'redirect_uri' or 'scope'.",
  )
}

/**
 * Sets the login cookie.
 *
 * @returns where to send the browser
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
 */
export function beginLogin(
  context: ProxyContext,
  req: IncomingMessage,
  res: ServerResponse,
  request: ClientRequest,
  extras: LoginExtras = {},
): string {
  const state = randomSecret()
  const login = pendingLogin(context, request, extras.carries)
  const sealed = sealJson(context.ring, loginSeal(state), login)
  context.loginCookies.write(req, res, cookieId(state), sealed)
  return upstreamUrl(context, login, state, extras)
}

function pendingLogin(
  { now, lifetimes }: ProxyContext,
  { redirectUri, state, codeChallenge, scopes, resource, client }: ClientRequest,
  carries: PendingLogin['carries'],
): PendingLogin {
  return {
    redirectUri,
    ...(state !== undefined && { state }),
    codeChallenge,
    scopes,
    resource,
    client,
    verifier: randomSecret(),
    nonce: randomSecret(),
    expiresAt: now() + lifetimes.login * 1000,
    ...(carries && { carries }),
  }
}

/**
 * The login a callback belongs to; its cookie is spent.
 *
 * @throws OAuthError `access_denied` when this browser has none for that state
 * @see RFC 9700 section 4.7
 */
export function endLogin(
  context: ProxyContext,
  req: IncomingMessage,
  res: ServerResponse,
  state: string,
): PendingLogin {
  const cookie = context.loginCookies.read(req, cookieId(state))
  const login =
    cookie && (openJson(context.ring, loginSeal(state), cookie) as PendingLogin | undefined)
  if (!login || login.expiresAt <= context.now()) {
    throw new OAuthError(
      'access_denied',
      'This sign-in was started in another browser, is finished, or has expired. Start again from the application.',
    )
  }
  context.loginCookies.clear(res, cookieId(state))
  return login
}

function upstreamUrl(
  context: ProxyContext,
  { scopes, verifier, nonce }: PendingLogin,
  state: string,
  { hints = {}, challenge }: LoginExtras,
): string {
  const url = new URL(context.authority.authorizationEndpoint())
  const params = {
    client_id: context.clientId,
    response_type: 'code',
    response_mode: 'query',
    redirect_uri: context.baseUrl + context.callbackPath,
    scope: combineScopes(context.scopes.toUpstreamAuthorize(scopes), challenge?.scopes).join(' '),
    state,
    nonce,
    code_challenge: challengeOf(verifier),
    code_challenge_method: 'S256',
    ...hints,
    ...(challenge && challengeParams(challenge)),
  }
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value)
  return url.href
}

/** Consent that is missing is given on Entra's own page, and only asking for it brings that up. */
function challengeParams({ claims, scopes }: Challenge): Readonly<Record<string, string>> {
  if (claims !== undefined) return { claims }
  return { prompt: scopes === undefined ? 'login' : 'consent' }
}
