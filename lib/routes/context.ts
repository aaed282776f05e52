/** What the endpoints work with: made once by `entraAuth`, shared by all of them, never changed. */
import type { IncomingMessage } from 'node:http'
import type { KeyRing } from '../crypto/key-ring.js'
import type { EntraAuthority } from '../entra/authority.js'
import type { ScopeStrategy } from '../entra/scopes.js'
import type { TokenEndpoint } from '../entra/token-endpoint.js'
import type { EntraClaims, EntraVerifier } from '../entra/verify.js'
import type { CookieFamily } from '../http/cookies.js'
import type { AccessTokens } from '../tokens/access-token.js'
import type { AuthorizationCodes } from '../tokens/authorization-code.js'
import type { Challenges } from '../tokens/challenges.js'
import type { ClientAssertions } from '../tokens/client-assertions.js'
import type { Clients } from '../tokens/clients.js'
import type { Grants } from '../tokens/grants.js'
import type { Lifetimes } from '../tokens/lifetimes.js'
import type { User } from '../tokens/records.js'
import type { RefreshTokens } from '../tokens/refresh-token.js'
import type { StepUps } from '../tokens/step-ups.js'

/** One protected MCP endpoint. */
export interface Resource {
  /** As configured: `/mcp`. */
  readonly path: string
  /** The audience of its tokens. @see RFC 8707 */
  readonly url: string
  /** Where its metadata document is. @see RFC 9728 section 3.1 */
  readonly metadataUrl: string
}

/** Tells the operator what happened: reason codes, durations and correlation ids, never a secret. */
export type Report = (name: EventName, event: ReportedEvent) => void

/** What happened, in fields. */
export interface ReportedEvent {
  /**
   * Anybody can bring this about without having logged in. Such a failure is a warning in the log, and there
   * are so many and no more; the operator's own failures are errors, and each one is there.
   */
  readonly origin?: 'stranger' | undefined
  readonly [field: string]: unknown
}

/** Names of the `diagnostics_channel` events, after `mcp-entra:`. */
export type EventName = 'login' | 'token' | 'refusal' | 'exchange' | 'revocation' | 'failure'

/**
 * Which users may come in: asked at login before a code is issued, at every refresh, and once for a user's own
 * Entra token. Apps without a user are not asked about: an administrator gave them the roles they have.
 */
export interface LoginPolicy {
  readonly requiredRoles: readonly string[]
  readonly allow: (user: User, claims: EntraClaims) => boolean | Promise<boolean>
}

/** The ways of being a client that are open here: what the metadata document tells. */
export interface ClientFeatures {
  /** RFC 7591 at `/register`. */
  readonly registration: boolean
  /** Client ids that are the URL of a document. */
  readonly documents: boolean
  /** `private_key_jwt` at `/token` and `/revoke`. */
  readonly assertions: boolean
}

/** See the file's own comment. */
export interface ProxyContext {
  /** Our issuer: never with a trailing slash. */
  readonly baseUrl: string
  /** The path of `baseUrl`: empty at the root of the host. */
  readonly basePath: string
  readonly resourceName: string | undefined
  readonly clientId: string
  readonly callbackPath: string
  readonly resources: readonly [Resource, ...Resource[]]
  readonly customSchemes: readonly string[]
  readonly allowRedirect: (redirectUri: URL) => boolean
  readonly scopes: ScopeStrategy
  readonly lifetimes: Lifetimes
  readonly stepUpByLogin: boolean
  readonly policy: LoginPolicy
  readonly ring: KeyRing
  readonly clients: Clients
  readonly clientAssertions: ClientAssertions
  readonly features: ClientFeatures
  readonly grants: Grants
  readonly challenges: Challenges
  readonly stepUps: StepUps
  readonly codes: AuthorizationCodes
  readonly refreshTokens: RefreshTokens
  readonly accessTokens: AccessTokens
  readonly consentCookies: CookieFamily
  readonly loginCookies: CookieFamily
  readonly authority: EntraAuthority
  readonly verifier: EntraVerifier
  readonly tokenEndpoint: TokenEndpoint
  readonly report: Report
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** A request as an endpoint sees it. */
export interface EndpointRequest {
  readonly req: IncomingMessage & { body?: unknown }
  readonly query: URLSearchParams
  /** Milliseconds since the epoch. */
  readonly arrivedAt: number
}
