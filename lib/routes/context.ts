/** What the endpoints share: made once by `entraAuth`, and never changed. */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../async/clock.js'
import type { KeyRing } from '../crypto/key-ring.js'
import type { EntraAuthority } from '../entra/authority.js'
import type { ScopeStrategy } from '../entra/scopes.js'
import type { TokenEndpoint } from '../entra/token-endpoint.js'
import type { EntraVerifier } from '../entra/verify.js'
import type { CookieFamily } from '../http/cookies.js'
import type { Mounts } from '../http/mounts.js'
import type { Report } from '../http/report.js'
import type { AccountSlot } from '../login/browser-sessions.js'
import type { LoginPolicy } from '../login/policy.js'
import type { Resources } from '../oauth/resource.js'
import type { Looks } from '../pages/look.js'
import type { Vault } from '../storage/vault.js'
import type { AccessTokens } from '../tokens/access-token.js'
import type { AuthorizationCodes } from '../tokens/authorization-code.js'
import type { Challenges } from '../tokens/challenges.js'
import type { ClientAssertions } from '../tokens/client-assertions.js'
import type { Clients } from '../tokens/clients.js'
import type { ConnectedApps } from '../tokens/connected-apps.js'
import type { Consents } from '../tokens/consents.js'
import type { CutOffs } from '../tokens/cut-offs.js'
import type { Grants } from '../tokens/grants.js'
import type { Lifetimes } from '../tokens/lifetimes.js'
import type { RefreshTokens } from '../tokens/refresh-token.js'
import type { StepUps } from '../tokens/step-ups.js'

/** How clients may identify themselves here, as the metadata document says. */
export interface ClientFeatures {
  /** RFC 7591 at `/register`. */
  readonly registration: boolean
  /** Client ids that are the URL of a document. */
  readonly documents: boolean
  /** `private_key_jwt` at `/token` and `/revoke`. */
  readonly assertions: boolean
}

/** Which consents are remembered, where browsers can be signed in. */
export interface ConsentPolicy {
  /** False: every login asks. */
  readonly remember: boolean
  /** Also those for clients for whose name nobody vouches. */
  readonly unverified: boolean
}

/** Everything an endpoint may use; each function names the part it takes. */
export interface ProxyContext {
  /** Our issuer: never with a trailing slash. */
  readonly baseUrl: string
  /** The path of `baseUrl`: empty at the root of the host. */
  readonly basePath: string
  readonly resourceName: string | undefined
  /** What pages call this server. */
  readonly serverName: string
  readonly looks: Looks
  readonly clientId: string
  readonly callbackPath: string
  readonly resources: Resources
  readonly customSchemes: readonly string[]
  readonly allowRedirect: (redirectUri: URL) => boolean
  readonly scopes: ScopeStrategy
  readonly lifetimes: Lifetimes
  readonly stepUpByLogin: boolean
  readonly policy: LoginPolicy
  readonly consentPolicy: ConsentPolicy
  readonly ring: KeyRing
  readonly vault: Vault
  readonly clients: Clients
  readonly clientAssertions: ClientAssertions
  readonly features: ClientFeatures
  readonly grants: Grants
  readonly cutOffs: CutOffs
  readonly connectedApps: ConnectedApps
  readonly challenges: Challenges
  readonly stepUps: StepUps
  readonly codes: AuthorizationCodes
  readonly consents: Consents
  readonly refreshTokens: RefreshTokens
  readonly accessTokens: AccessTokens
  readonly account: AccountSlot
  readonly consentCookies: CookieFamily
  readonly loginCookies: CookieFamily
  readonly authority: EntraAuthority
  readonly verifier: EntraVerifier
  readonly tokenEndpoint: TokenEndpoint
  readonly report: Report
  readonly mounts: Mounts
  readonly now: Clock
}

/** A request as an endpoint sees it. */
export interface EndpointRequest {
  readonly req: IncomingMessage & { body?: unknown }
  readonly query: URLSearchParams
  /** Milliseconds since the epoch. */
  readonly arrivedAt: number
}
