/** Tokens for downstream APIs, exchanged on behalf of the user before a route or a tool runs. */
import { EntraError } from './entra/errors.js'
import { checkOptionNames } from './entra/option-names.js'
import type { EntraAuth } from './entra-auth.js'
import { type AuthInfo, type AuthInternals, internalsOf, withInternals } from './gate/caller.js'
import type { GateContext } from './gate/context.js'
import { ChallengeError } from './gate/downstream-exchange.js'
import { calledTools, McpRequestError, refuseMcpRequest } from './gate/mcp-request.js'
import { type Refusal, refusalFor, sendRefusal } from './gate/refuse.js'
import {
  type Asking,
  askingOf,
  declinedMessage,
  hearAnswer,
  noteDeclaration,
  questionMessage,
  type SessionRequest,
} from './gate/session-question.js'
import type { Middleware } from './http/middleware.js'
import { isAnswered, runAsync } from './http/run-async.js'
import { OAuthError } from './oauth/errors.js'
import type { AuthenticatedRequest } from './require-bearer.js'
import { checkAuth } from './setup/check-auth.js'

/** One downstream API. */
export interface Downstream {
  /** Full names, all of one API: `https://graph.microsoft.com/User.Read`. */
  readonly scopes: readonly string[]
  /** MCP tools that need it: exchanged before one of them runs. Without it: before every request. */
  readonly tools?: readonly string[]
}

/** Downstream APIs, by the name under which tools ask for a token. */
type Apis = Readonly<Record<string, Downstream>>

/**
 * Exchanges the caller's token for tokens of other APIs, so that `downstreamToken(auth, name)` has them at
 * hand. Failures are answered here, in HTTP, where an MCP client can act on them: 401 `insufficient_claims` when
 * Entra wants more of the user, 401 for a consent that the user can give, 403 for one that only an administrator can
 * and for apps, 503 for an outage.
 *
 * Where an API names `tools`, and the client has declared that it can show its user a URL (elicitation, mode `url`), the
 * user is asked in the session instead of a 401: the tool call wants input, with a URL that goes through Entra. Once the
 * user has been there, the same call works. In a tool, {@link askUser} does the same.
 *
 * @throws TypeError for scopes without an API in front, of two APIs, or without a `credential` in `entraAuth`
 * @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow
 * @example
 * oboToken(auth, { graph: { scopes: ['https://graph.microsoft.com/User.Read'], tools: ['my_profile'] } })
 */
export function oboToken(auth: EntraAuth, apis: Apis): Middleware {
  checkAuth('oboToken', auth, `, ${example}`)
  const context = auth.gate('oboToken')
  context.checkExchange('oboToken')
  const all = Object.entries(apis ?? {})
  if (all.length === 0) {
    throw new TypeError(`oboToken: name at least one downstream API: oboToken(auth, ${example})`)
  }
  for (const [name, api] of all) checkDownstream(name, api)
  const byName = Object.freeze(Object.fromEntries(all.map(([name, { scopes }]) => [name, scopes])))
  return function oboTokenMiddleware(req: AuthenticatedRequest, res, next) {
    if (isAnswered(res)) return
    runAsync({ req, res, next, report: context.report }, async (goOn) => {
      const outcome = await exchangeNow(context, apis, req, () => res.closed)
      if (isAnswered(res)) return
      if ('refusal' in outcome) return sendRefusal(res, outcome.refusal)
      req.auth = withDownstream(req, byName, outcome)
      goOn()
    })
  }
}

const example = "{ graph: { scopes: ['https://graph.microsoft.com/User.Read'] } }"

const oidcScopes = ['openid', 'profile', 'email', 'offline_access']

/** Entra issues a token for one API (AADSTS28000), and reads a name without an API as one of Graph's. */
function checkDownstream(name: string, api: Downstream): void {
  checkOptionNames(`oboToken: ${name}`, api, ['scopes', 'tools'])
  const { scopes } = api
  const where = `oboToken: ${name}.scopes`
  if (!Array.isArray(scopes) || scopes.length === 0)
    throw new TypeError(`${where} must name a scope`)
  const apis = scopes.map((scope) => {
    const slash = typeof scope === 'string' ? scope.lastIndexOf('/') : -1
    if (slash < 1 || oidcScopes.includes(scope)) {
      throw new TypeError(
        `${where}: "${scope}" names no API: write "https://graph.microsoft.com/${scope}"`,
      )
    }
    if (/^[a-z][a-z0-9+.-]*:\/\/[^/]*\/?$/i.test(scope)) {
      throw new TypeError(
        `${where}: "${scope}" names an API and no scope: write "${scope.replace(/\/$/, '')}/.default", or one of its scopes`,
      )
    }
    return scope.slice(0, slash)
  })
  if (new Set(apis).size > 1) {
    throw new TypeError(`${where} are of two APIs: give each its own name in oboToken`)
  }
  if (scopes.length > 1 && scopes.some((scope) => scope.endsWith('/.default'))) {
    throw new TypeError(`${where} mixes .default with named scopes: AADSTS70011`)
  }
}

/** A request that may go on. */
interface Admitted {
  /** The tools that are called, as far as an API names them. */
  readonly tools: readonly string[]
  /** How its user can be asked in the session. */
  readonly asking: Asking | undefined
}

/** What to answer, or that the request may go on. */
type Outcome = { readonly refusal: Refusal } | Admitted

/** Exchanges what this request needs. @param isGone whether the client has left */
async function exchangeNow(
  context: GateContext,
  apis: Apis,
  req: AuthenticatedRequest,
  isGone: () => boolean,
): Promise<Outcome> {
  const caller = internalsOf(req.auth, 'oboToken')
  let tools: readonly string[] = []
  try {
    tools = await namedTools(apis, req)
    const request = sessionRequest(caller, apis, req, tools)
    if (!request) return await exchangeOrAsk(caller, apis, tools, undefined)
    await noteDeclaration(request)
    if (await hearAnswer(request, isGone)) return answerWith(declinedMessage(request))
    return await exchangeOrAsk(caller, apis, tools, request)
  } catch (error) {
    if (error instanceof McpRequestError) return { refusal: refuseMcpRequest(caller, error) }
    if (!(error instanceof OAuthError)) throw error
    // What Entra has answered is an event already.
    if (!(error.cause instanceof EntraError)) caller.report(error, tools)
    const auth = req.auth as AuthInfo
    const header = error.status === 401 ? challenge(context, caller, auth, error) : undefined
    return { refusal: refusalFor(error, header) }
  }
}

async function exchangeOrAsk(
  caller: AuthInternals,
  apis: Apis,
  tools: readonly string[],
  request: SessionRequest | undefined,
): Promise<Outcome> {
  const needed = Object.values(apis).filter((api) => isNeeded(api, tools))
  const exchange = exchangeFor(caller, tools)
  const asking = request && askingOf(request)
  try {
    const asks = asking && { asksInSession: asking.can }
    await Promise.all(needed.map(({ scopes }) => exchange({ scopes, ...asks })))
    return { tools, asking }
  } catch (error) {
    if (!request || !asking || !(error instanceof ChallengeError)) throw error
    const question = await asking.ask(error)
    if (!question) throw error
    return answerWith(questionMessage(request, question))
  }
}

/** The message whose user can be asked: of a login of ours, and none of a batch. */
function sessionRequest(
  caller: AuthInternals,
  apis: Apis,
  { body }: AuthenticatedRequest,
  tools: readonly string[],
): SessionRequest | undefined {
  if (!readsTools(apis)) return undefined
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined
  const session = caller.session(tools)
  return session && { session, message: body }
}

/** The HTTP of it is a success: what is wrong stands in the message. */
function answerWith(message: object): Outcome {
  return { refusal: { status: 200, body: message } }
}

/** `req.auth` that knows these APIs by name, for the operator which tools exchange tokens, and how the user is asked. */
function withDownstream(
  { auth }: AuthenticatedRequest,
  byName: AuthInternals['downstream'],
  { tools, asking }: Admitted,
): AuthInfo {
  const caller = internalsOf(auth, 'oboToken')
  const downstream = { ...caller.downstream, ...byName }
  const exchange = exchangeFor(caller, tools)
  const extra = withInternals({ ...(auth as AuthInfo).extra }, () => ({
    ...caller,
    downstream,
    exchange,
    ...(asking && { ask: asking.ask }),
  }))
  return { ...(auth as AuthInfo), extra }
}

/** Exchanges for these tools; without any, for those that another `oboToken` in front may have named. */
function exchangeFor({ exchange }: AuthInternals, tools: readonly string[]) {
  if (tools.length === 0) return exchange
  const forTools: AuthInternals['exchange'] = (request) => exchange({ tools, ...request })
  return forTools
}

/** The tools that the request calls and an API names. The body is not read when no API names any. */
async function namedTools(apis: Apis, req: AuthenticatedRequest): Promise<readonly string[]> {
  const named = new Set(Object.values(apis).flatMap(({ tools = [] }) => tools))
  const called = readsTools(apis) ? await calledTools(req) : []
  return [...new Set(called.filter((tool) => named.has(tool)))]
}

function readsTools(apis: Apis): boolean {
  return Object.values(apis).some(({ tools }) => tools !== undefined)
}

function isNeeded({ tools }: Downstream, called: readonly string[]): boolean {
  return tools === undefined || tools.some((tool) => called.includes(tool))
}

/** @see https://learn.microsoft.com/entra/identity-platform/claims-challenge (`claims` in standard base64) */
function challenge(
  context: GateContext,
  caller: AuthInternals,
  auth: AuthInfo,
  error: OAuthError,
): string {
  const claims = error.cause instanceof EntraError ? error.cause.claims : undefined
  return caller.challenge({
    error: error.code,
    error_description: error.description,
    claims: claims && Buffer.from(claims).toString('base64'),
    authorization_uri: claims && auth.extra.user && context.authorizationUri(auth.extra.user.tid),
    // A client of the proxy should log in again for all it has, and not for the required scopes alone.
    scope: auth.extra.tokenKind === 'proxy' ? context.challengeScopes(auth.scopes) : undefined,
    resource_metadata: auth.resourceMetadataUrl,
  })
}
