/** The way to Entra and back: the pending login in its cookie, and where the browser is sent. */
import { randomSecret, sha256 } from '../crypto/hashing.js'
import { openJson, sealedLength, sealJson } from '../crypto/sealing.js'
import { combineScopes } from '../entra/scopes.js'
import type { Browser } from '../http/browser.js'
import type { EventFacts } from '../http/event-facts.js'
import { type CarriedChallenges, carryChallenge } from '../login/carried-challenges.js'
import { OAuthError } from '../oauth/errors.js'
import { codeChallenge as challengeOf } from '../oauth/pkce.js'
import {
  answersAtMost,
  type Challenge,
  challengeId,
  kindOf,
  type PendingChallenge,
} from '../tokens/challenges.js'
import type { UserId } from '../tokens/connected-apps.js'
import type { User } from '../tokens/records.js'
import type { ProxyContext } from './context.js'

/** What a client asked for, remembered while its user signs in at Entra. */
export interface ClientRequest {
  readonly redirectUri: string
  readonly state?: string
  readonly codeChallenge: string
  readonly dpopJkt?: string
  readonly scopes: readonly string[]
  readonly resource: string
  /** SHA-256 of the client id. */
  readonly client: string
  /** Host of the client's metadata document, if it has one: for the operator. */
  readonly host?: string | undefined
  /** The language of pages that the client asked for (BCP 47). Entra documents no parameter for it. */
  readonly language?: string
}

/** A trip of the browser to Entra, sealed in a cookie of its own and bound to its `state`. */
export interface PendingTrip {
  /** Our own PKCE verifier and nonce for Entra. */
  readonly verifier: string
  readonly nonce: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** How the user has allowed a request. At most one of the two is there. */
export interface GivenConsent {
  /** When the user approved the page, if that is to be remembered: seconds since the epoch. */
  readonly approvedAt?: number
  readonly remembered?: RememberedConsent
}

/** Whose remembered consent took the place of the page. Anybody else who comes back from Entra is asked first. */
export interface RememberedConsent extends UserId {
  readonly clientId: string
}

/** What goes along to Entra and back. */
export type CarriedRequest = ClientRequest & GivenConsent

/** The login of a client under way. */
export interface PendingLogin extends CarriedRequest, PendingTrip {
  readonly carries?: CarriedChallenges
}

/** What a login under way says about an event. */
export function loginFacts(login: ClientRequest): EventFacts {
  const { client: hash, host, redirectUri, scopes, resource } = login
  return { client: { hash, host, redirectUri }, scopes, resource }
}

/** A sign-in under way that is for no client, but for the pages of the account. */
export interface PendingSignIn extends PendingTrip {
  readonly account: true
  /** The language that the link to those pages named (BCP 47). */
  readonly language?: string
}

/** How a sign-in to the pages of the account begins. */
export interface SignInWish {
  readonly language?: string | undefined
  /** Further parameters for Entra. */
  readonly hints: Readonly<Record<string, string>>
}

/** An interaction under way: a user gives Entra what a tool needs, while the session of their client goes on. */
export interface PendingInteraction extends PendingTrip {
  /** Its id. */
  readonly interaction: string
  /** Whether Entra has been asked for what is wanted. The trip before that only shows who the user is. */
  readonly asked: boolean
}

/** What goes to Entra beside the client's request. */
export interface LoginExtras {
  readonly hints?: Readonly<Record<string, string>>
  readonly challenge?: Challenge
  readonly carries?: CarriedChallenges
}

/** The most that a challenge may add to a login: as many challenges as one login carries, all for one user. */
const longestCarries: CarriedChallenges = {
  ids: Array.from({ length: answersAtMost }, () => challengeId({ scopes: [] })),
  tid: '0'.repeat(36),
  oid: '0'.repeat(36),
}

/** A time with as many digits as one ever has. */
const longestTime = 9_999_999_999.999

const loginSeal = (state: string) => ({ purpose: 'pending login', boundTo: state })
const cookieId = (state: string) => sha256(`login\0${state}`).slice(0, 16)

/** What starting and ending a login needs. */
type LoginContext = Pick<ProxyContext, 'loginCookies' | 'ring' | 'lifetimes' | 'now'>
/** What sending the browser to Entra needs. */
type UpstreamContext = Pick<
  ProxyContext,
  'authority' | 'clientId' | 'baseUrl' | 'callbackPath' | 'scopes'
>

/** Whether the cookie has room for this request and for every challenge that may be added to it later. */
export function loginFits(context: LoginContext, request: CarriedRequest): boolean {
  const longest = pendingLogin(context, request, longestCarries)
  return context.loginCookies.fits(cookieId(''), sealedLength(longest))
}

/**
 * Checks that the login will fit once its user has approved it. The client has to hear it before that.
 *
 * @throws OAuthError `invalid_request`
 */
export function checkLoginFits(context: LoginContext, request: ClientRequest): void {
  if (loginFits(context, { ...request, approvedAt: longestTime })) return
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
  context: LoginContext & UpstreamContext,
  browser: Browser,
  request: CarriedRequest,
  extras: LoginExtras = {},
): string {
  const login = pendingLogin(context, request, extras.carries)
  const state = rememberTrip(context, browser, login)
  const scopes = context.scopes.toUpstreamAuthorize(request.scopes)
  return upstreamUrl(context, login, state, {
    scope: combineScopes(scopes, extras.challenge?.scopes).join(' '),
    ...extras.hints,
    ...(extras.challenge && challengeParams(extras.challenge)),
  })
}

/** OpenID Connect alone: the pages of the account need to know who the user is, and no API. */
export const signInScopes: readonly string[] = ['openid', 'profile']

/**
 * Sets the login cookie for a sign-in to the pages of the account.
 *
 * @returns where to send the browser
 */
export function beginSignIn(
  context: LoginContext & UpstreamContext,
  browser: Browser,
  { language, hints }: SignInWish,
): string {
  const purpose = { account: true, ...(language !== undefined && { language }) }
  return beginTrip(context, browser, purpose, { scope: signInScopes.join(' '), ...hints })
}

/**
 * Sets the login cookie for a trip to Entra that is for no client.
 *
 * @param purpose what distinguishes it when it comes back
 * @param params further parameters for Entra
 * @returns where to send the browser
 */
export function beginTrip(
  context: LoginContext & UpstreamContext,
  browser: Browser,
  purpose: Omit<PendingSignIn | PendingInteraction, keyof PendingTrip>,
  params: Readonly<Record<string, string>>,
): string {
  const trip = { ...purpose, ...pendingTrip(context) }
  const state = rememberTrip(context, browser, trip)
  return upstreamUrl(context, trip, state, params)
}

/** @returns the `state` for Entra */
function rememberTrip(
  { ring, loginCookies }: LoginContext,
  { req, res }: Browser,
  trip: PendingTrip,
): string {
  const state = randomSecret()
  loginCookies.write(req, res, cookieId(state), sealJson(ring, loginSeal(state), trip))
  return state
}

/**
 * Sends the browser to Entra a second time. A challenge is for one user, and only the first trip shows who signs in.
 *
 * @returns where to send the browser
 */
export function beginChallengedLogin(
  context: LoginContext & UpstreamContext,
  browser: Browser,
  login: PendingLogin,
  user: User,
  challenge: PendingChallenge,
): string {
  return beginLogin(context, browser, login, {
    challenge,
    carries: carryChallenge(login.carries, user, challenge),
    ...(user.username !== undefined && { hints: { login_hint: user.username } }),
  })
}

function pendingLogin(
  context: LoginContext,
  request: CarriedRequest,
  carries: PendingLogin['carries'],
): PendingLogin {
  const { redirectUri, state, codeChallenge, dpopJkt, scopes, resource, client, host } = request
  const { language, approvedAt, remembered } = request
  return {
    redirectUri,
    ...(state !== undefined && { state }),
    codeChallenge,
    ...(dpopJkt !== undefined && { dpopJkt }),
    scopes,
    resource,
    client,
    ...(host !== undefined && { host }),
    ...(language !== undefined && { language }),
    ...pendingTrip(context),
    ...(carries && { carries }),
    ...(approvedAt !== undefined && { approvedAt }),
    ...(remembered && { remembered }),
  }
}

function pendingTrip({ now, lifetimes }: LoginContext): PendingTrip {
  return {
    verifier: randomSecret(),
    nonce: randomSecret(),
    expiresAt: now() + lifetimes.login * 1000,
  }
}

/**
 * Reads the trip that a callback belongs to, and clears its cookie.
 *
 * @throws OAuthError `access_denied` when this browser has no login with that state
 * @see RFC 9700 section 4.7
 */
export function endLogin(
  context: LoginContext,
  { req, res }: Browser,
  state: string,
): PendingLogin | PendingSignIn | PendingInteraction {
  const cookie = context.loginCookies.read(req, cookieId(state))
  const login =
    cookie &&
    (openJson(context.ring, loginSeal(state), cookie) as ReturnType<typeof endLogin> | undefined)
  if (!login || login.expiresAt <= context.now()) {
    throw new OAuthError(
      'access_denied',
      'This sign-in was started in another browser, is finished, or has expired. Start again from the application.',
      { situation: 'signInNotOpen' },
    )
  }
  context.loginCookies.clear(res, cookieId(state))
  return login
}

function upstreamUrl(
  context: UpstreamContext,
  { verifier, nonce }: PendingTrip,
  state: string,
  more: Readonly<Record<string, string>>,
): string {
  const url = new URL(context.authority.authorizationEndpoint())
  const params = {
    client_id: context.clientId,
    response_type: 'code',
    response_mode: 'query',
    redirect_uri: context.baseUrl + context.callbackPath,
    state,
    nonce,
    code_challenge: challengeOf(verifier),
    code_challenge_method: 'S256',
    ...more,
  }
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value)
  return url.href
}

/** Entra shows its consent page only when asked to with `prompt=consent`. */
export function challengeParams(challenge: Challenge): Readonly<Record<string, string>> {
  const { claims } = challenge
  if (claims !== undefined) return { claims }
  const kind = kindOf(challenge)
  if (kind === 'sign-in') return {}
  return { prompt: kind === 'claims' ? 'login' : 'consent' }
}
