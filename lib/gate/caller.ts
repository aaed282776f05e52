/** The caller behind a request: what `req.auth` shows, and what the middlewares know beyond it. */
import type { Caller } from '../entra/caller-claims.js'
import type { ScopeStrategy } from '../entra/scopes.js'
import type { EntraClaims } from '../entra/verify.js'
import type { ReportedEvent } from '../http/report.js'
import type { ChallengeParams } from '../oauth/challenge.js'
import type { OAuthError } from '../oauth/errors.js'
import type { User } from '../tokens/records.js'
import type { CallerSession } from './caller-session.js'
import type { Refusal } from './refuse.js'
import type { MetChallenge, Question } from './session-question.js'

/** What {@link requireBearer} puts on `req.auth`. Own enumerable properties only: SDK v2 copies it. */
export interface AuthInfo {
  /** The access token as it came in. */
  token: string
  /** The MCP client: its registered `client_id`, or for Entra's own tokens the app's (`azp`). */
  clientId: string
  /** Short names. */
  scopes: string[]
  /** Seconds since the epoch. */
  expiresAt: number
  /** The MCP endpoint the token is for. */
  resource: URL
  /** Where that endpoint's metadata document is. */
  resourceMetadataUrl: string
  /** What Entra says about the caller. Read it with {@link userOf}, {@link tokenClaim} and their neighbours. */
  extra: Record<string, unknown> & {
    /** `proxy`: a token of ours. `entra`: one that Entra issued to the caller directly. */
    tokenKind: 'proxy' | 'entra'
    /** The person who calls. Undefined when an app or an agent calls on its own, or with a user account of the agent. */
    user?: User
  }
}

/** Any object that carries our `extra`: our own type, and `AuthInfo` of both SDK generations. */
export interface AuthInfoLike {
  readonly extra?: Record<string, unknown> | undefined
}

/** A token for a downstream API. */
export interface DownstreamAccessToken {
  readonly token: string
  /** Seconds since the epoch. */
  readonly expiresAt: number
}

/** What the middlewares know beyond what they show. Behind a function, so that no log ever prints it. */
export interface AuthInternals {
  /** Reads the claims of Entra's access token, which costs some microseconds. */
  claims(): EntraClaims
  /** Who calls: read from the claims. */
  caller(): Caller
  /** The scopes of the `entraAuth` whose gate this was. */
  readonly scopes: ScopeStrategy
  /** Whether a login can bring the caller scopes: a user's can, an app has none to make. */
  readonly canStepUp: boolean
  /** Which of these scopes the caller lacks, hierarchy considered. */
  missingScopes(needed: readonly string[]): readonly string[]
  /** Exchanges the caller's token on behalf of the user. @throws OAuthError */
  exchange(request: {
    scopes: readonly string[]
    claims?: string
    tenantId?: string
    /** For the operator: the tools that it is for. */
    tools?: readonly string[] | undefined
    /** Whether the user will be asked in the session, when Entra wants more of them. */
    asksInSession?: () => Promise<boolean>
  }): Promise<DownstreamAccessToken>
  /**
   * The login of the proxy behind the token, where its user can be asked. Tokens of Entra's have none.
   *
   * @param tools for the operator: those that the request calls, as far as an API names them
   */
  session(tools?: readonly string[]): CallerSession | undefined
  /** Asks the user in the session, if the client of this request can show them a URL: what {@link oboToken} adds. */
  ask?(met: MetChallenge): Promise<Question | undefined>
  /**
   * 403 `insufficient_scope` for these scopes. The client's next refresh hears that it has to log in for them.
   *
   * @param tools for the operator: those that the request calls, as far as a guard names them
   */
  refuseScopes(
    needed: readonly string[],
    description: string,
    tools?: readonly string[],
  ): Promise<Refusal>
  /** Makes a challenge of the scheme in which the token came. */
  challenge(params: ChallengeParams): string
  /** Tells the operator of a refusal that a middleware answers itself. */
  report(error: OAuthError, tools?: readonly string[]): void
  /** Tells the operator what looks wrong in the set-up. */
  warn(warning: ReportedEvent<'warning'>): void
  /** Downstream APIs by the names that {@link oboToken} was given. */
  readonly downstream: Readonly<Record<string, readonly string[]>>
}

/** A symbol, so that JSON and structured clones leave it out. */
const internalsKey = Symbol.for('mcp-entra.internals')

/** Puts the internals into an `extra`. They are made when they are read, which most requests never do. */
export function withInternals<T extends Record<string, unknown>>(
  extra: T,
  internals: () => AuthInternals,
): T {
  return Object.assign(extra, { [internalsKey]: internals })
}

/** @throws TypeError, naming `caller`, when the object did not come from {@link requireBearer} */
export function internalsOf(auth: AuthInfoLike | undefined, caller: string): AuthInternals {
  const read = (auth?.extra as Record<symbol, unknown> | undefined)?.[internalsKey]
  if (typeof read === 'function') return read() as AuthInternals
  throw new TypeError(
    `${caller}: no auth of requireBearer here: mount requireBearer before, and pass req.auth, extra.authInfo (SDK v1) or ctx.http.authInfo (SDK v2)`,
  )
}
