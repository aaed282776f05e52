/** `/authorize`: errors are a page until client and redirect URI have been checked, and a redirect afterwards. */
import { randomBytes, randomUUID } from 'node:crypto'
import { type Authority, findAuthority, findClient, isUserOf } from './authority.js'
import { refuseConsent } from './consents.js'
import type { EntraApp, EntraUser } from './directory.js'
import type { Emulation } from './emulation.js'
import { AadstsError, describe, newTrace, refuse, required } from './errors.js'
import {
  type EntraRequest,
  html,
  type Params,
  type Reply,
  redirect,
  withHeaders,
} from './messages.js'
import { parseClaims } from './mfa.js'
import { errorPage, formPostPage, formPostScript } from './pages.js'
import { findPlatform, type Platform } from './redirect-uri.js'
import { checkResource, parseScope, type ResourceScopes, type ScopeRequest } from './scopes.js'
import { signInPage } from './sign-in-page.js'

const codeLifetime = 600
const sessionCookie = 'ESTSAUTHPERSISTENT'

/**
 * Answers an authorization request, or the form of the sign-in page that follows it.
 *
 * @param fault an error that a test has ordered. It is sent as soon as it can be sent by redirect
 */
export function authorize(
  emulation: Emulation,
  request: EntraRequest,
  segment: string,
  fault?: AadstsError,
): Reply {
  const params = { ...request.query, ...request.form }
  const trace = newTrace(emulation.clock.now(), params['client-request-id'])
  return replyOr(
    () => {
      const target = findTarget(emulation, segment, params)
      return replyOr(
        () => {
          if (fault) throw fault
          return answer(emulation, request, readRequest(emulation, target, params))
        },
        (error) => errorReply(target, error, describe(error, trace)),
      )
    },
    (error) => ({ ...html(error.status, errorPage(error, trace)), error: error.code }),
  )
}

/** Where an answer goes. All of it has been checked. */
interface Target {
  readonly authority: Authority
  readonly client: EntraApp
  readonly redirectUri: string
  readonly platform: Platform
  readonly mode: string
  readonly state: string | undefined
}

interface AuthorizationRequest extends Target {
  readonly params: Params
  readonly scopes: ScopeRequest
  readonly prompt: string | undefined
  readonly challengeMethod: 'S256' | 'plain'
}

function findTarget({ directory }: Emulation, segment: string, params: Params): Target {
  const authority = findAuthority(directory, segment)
  const client = findClient(directory, authority, required(params, 'client_id'))
  if (directory.isAgentic(client)) {
    refuse(82014, `The agent or agent blueprint '${client.clientId}' cannot sign users in.`)
  }
  const redirectUri = required(params, 'redirect_uri')
  const platform = findPlatform(client, redirectUri)
  const { response_mode: mode = 'query', state } = params
  if (!['query', 'fragment', 'form_post'].includes(mode)) {
    refuse(70007, `'${mode}' is not a supported value of 'response_mode' when requesting a token.`)
  }
  return { authority, client, redirectUri, platform, mode, state }
}

function readRequest(emulation: Emulation, target: Target, params: Params): AuthorizationRequest {
  checkResponseType(required(params, 'response_type'))
  const scopes = parseScope(emulation.directory, required(params, 'scope'), target.client)
  checkResource(emulation.directory, params.resource, scopes)
  parseClaims(params.claims)
  const prompt = params.prompt || undefined
  if (prompt && !['none', 'login', 'consent', 'select_account'].includes(prompt)) {
    refuse(90023, "Unsupported 'prompt' value.")
  }
  return { ...target, params, scopes, prompt, challengeMethod: challengeMethodOf(params) }
}

function checkResponseType(type: string): void {
  if (type === 'code') return
  const known = type.split(' ').every((word) => ['code', 'id_token', 'token'].includes(word))
  if (known) refuse(700054, `response_type '${type}' is not enabled for the application.`)
  refuse(70005, `response_type '${type}' is not supported.`)
}

/** RFC 7636 section 4.3: without a method, the challenge is the verifier itself. */
function challengeMethodOf(params: Params): 'S256' | 'plain' {
  const { code_challenge: challenge, code_challenge_method: method = 'plain' } = params
  if (method !== 'S256' && method !== 'plain') {
    return refuse(50149, 'Invalid Code_Challenge_method parameter.')
  }
  if (challenge !== undefined && !/^[A-Za-z0-9._~-]{43,128}$/.test(challenge)) {
    return refuse(501491, 'Invalid size of Code_Challenge parameter.')
  }
  return method
}

function answer(emulation: Emulation, http: EntraRequest, request: AuthorizationRequest): Reply {
  if (request.params.cancel !== undefined) return refuseDeclined()
  const user = findSignedIn(emulation, http, request)
  if (!user) return showAccounts(emulation, http, request)
  if (!user.assigned) refuseUnassigned(user, request.client)
  recordConsent(emulation, user, request)
  if (request.params.claims) emulation.mfa.pass(user)
  const reply = deliver(request, {
    code: issueCode(emulation, user, request),
    ...(request.params.client_info === '1' ? { client_info: clientInfo(user) } : {}),
    session_state: randomUUID(),
  })
  return withHeaders(reply, { 'Set-Cookie': startSession(emulation, user) })
}

/** Finds who signs in: by the page's button, by `login_hint`, or by the session of an earlier sign-in. */
function findSignedIn(
  emulation: Emulation,
  http: EntraRequest,
  { params, prompt, authority }: AuthorizationRequest,
): EntraUser | undefined {
  const chosen = params.sign_in_as ?? (prompt === 'none' ? undefined : params.login_hint)
  const session = emulation.sessions.get(cookie(http, sessionCookie) ?? '')
  const fresh = prompt === 'login' || prompt === 'select_account'
  const user = chosen ? emulation.directory.user(chosen) : fresh ? undefined : session
  if (user && canSignIn(authority, user) && isHinted(user, params)) return user
  if (prompt !== 'none') return undefined
  return refuse(50058, 'A silent sign-in request was sent but no user is signed in.')
}

/** The user account of an agent has no password, and nobody to type one. */
function canSignIn(authority: Authority, user: EntraUser): boolean {
  return user.agent === undefined && isUserOf(authority, user)
}

/** A session of someone else than the hint names does not count. */
function isHinted(user: EntraUser, { sign_in_as, login_hint }: Params): boolean {
  const hint = login_hint?.toLowerCase()
  return Boolean(sign_in_as) || !hint || hint === user.username.toLowerCase() || hint === user.oid
}

function showAccounts(
  emulation: Emulation,
  http: EntraRequest,
  request: AuthorizationRequest,
): Reply {
  const { directory } = emulation
  const users = directory.tenants
    .flatMap((tenant) => tenant.users)
    .filter((user) => canSignIn(request.authority, user))
  const unknown = request.params.sign_in_as ?? request.params.login_hint
  return html(200, signInPage({ request, users, unknown, action: action(http, request.params) }))
}

function action({ path }: EntraRequest, params: Params): string {
  const { sign_in_as, ...rest } = params
  return `${path}?${new URLSearchParams(rest)}`
}

function refuseDeclined(): never {
  refuse(65004, 'User declined to consent to access the app.')
}

function refuseUnassigned(user: EntraUser, client: EntraApp): never {
  return refuse(
    50105,
    `Your administrator has configured the application ${client.name} ('${client.clientId}') to block users ` +
      `unless they are specifically granted ('assigned') access. The signed in user '${user.username}' is blocked.`,
  )
}

/** A user who signs in consents to all requested scopes. A silent request cannot give consent. */
function recordConsent(
  { consents }: Emulation,
  user: EntraUser,
  request: AuthorizationRequest,
): void {
  const { client, scopes, prompt } = request
  const isMissing = ({ app, names }: ResourceScopes) =>
    names.some((name) => !consents.of(user, client, app).includes(name))
  if (prompt !== 'none') consents.record(user, client, scopes.resources)
  else if (scopes.resources.some(isMissing)) refuseConsent(client, 'interaction_required')
}

function issueCode(emulation: Emulation, user: EntraUser, request: AuthorizationRequest): string {
  const code = `1.${randomBytes(96).toString('base64url')}`
  emulation.codes.set(code, {
    user,
    clientId: request.client.clientId,
    authorityId: request.authority.id,
    redirectUri: request.redirectUri,
    spa: request.platform === 'spa',
    scopes: request.scopes,
    nonce: request.params.nonce,
    challenge: request.params.code_challenge,
    challengeMethod: request.challengeMethod,
    expiresAt: emulation.clock.now() + codeLifetime,
    redeemed: false,
  })
  return code
}

function startSession(emulation: Emulation, user: EntraUser): string {
  const id = randomBytes(24).toString('base64url')
  emulation.sessions.set(id, user)
  const secure = emulation.url.startsWith('https:') ? '; Secure' : ''
  return `${sessionCookie}=${id}; Path=/; HttpOnly; SameSite=Lax${secure}`
}

/** Who signed in, in MSAL's form. */
export function clientInfo({ oid, tid }: EntraUser): string {
  return Buffer.from(JSON.stringify({ uid: oid, utid: tid })).toString('base64url')
}

function errorReply(target: Target, error: AadstsError, description: string): Reply {
  const reply = deliver(target, {
    error: error.error,
    ...(error.code === 65004 ? { error_subcode: 'cancel' } : {}),
    error_description: description,
    error_uri: `https://login.microsoftonline.com/error?code=${error.code}`,
    ...(error.claims ? { claims: error.claims } : {}),
  })
  return { ...reply, error: error.code }
}

function deliver({ redirectUri, mode, state }: Target, result: Params): Reply {
  const params = state === undefined ? result : { ...result, state }
  if (mode === 'form_post') return html(200, formPostPage(redirectUri, params), formPostScript)
  const separator = mode === 'fragment' ? '#' : redirectUri.includes('?') ? '&' : '?'
  return redirect(`${redirectUri}${separator}${new URLSearchParams(params)}`)
}

function cookie({ headers }: EntraRequest, name: string): string | undefined {
  const pairs = (headers.cookie ?? '').split(';').map((pair) => pair.trim().split('='))
  return pairs.find(([key]) => key === name)?.[1]
}

function replyOr(run: () => Reply, otherwise: (error: AadstsError) => Reply): Reply {
  try {
    return run()
  } catch (error) {
    if (error instanceof AadstsError) return otherwise(error)
    throw error
  }
}
