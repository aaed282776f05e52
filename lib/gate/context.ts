/** What the gates work with: made once by `entraAuth`, shared by all of them, never changed. */
import type { ScopeStrategy } from '../entra/scopes.js'
import type { Mounts } from '../http/mounts.js'
import type { Report } from '../http/report.js'
import type { Resource } from '../oauth/resource.js'
import type { DpopProofs } from '../tokens/dpop-proofs.js'
import type { SessionOf } from './caller-session.js'
import type { Exchange } from './downstream-exchange.js'
import type { OpenResponses } from './open-responses.js'
import type { VerifiedToken } from './verified-token.js'
import type { VerifyToken } from './verified-tokens.js'
/** See the file's own comment. */
export interface GateContext {
  readonly resources: readonly [Resource, ...Resource[]]
  readonly resourceName: string | undefined
  readonly scopes: ScopeStrategy
  readonly verify: VerifyToken
  /** Undefined when no token is ours. */
  readonly openResponses: OpenResponses | undefined
  readonly report: Report
  readonly mode: 'proxy' | 'direct'
  readonly mounts: Mounts
  readonly baseUrl: string
  /** Undefined when DPoP is off. */
  readonly dpop: DpopProofs | undefined
  /** Scopes as a client has to ask for them: our names, or in direct mode Entra's. Scopes that no longer exist are left out. */
  challengeScopes(scopes: readonly string[]): string
  /** Makes the client log in for those of `needed` that its login lacks, if there are any. */
  askForStepUp(verified: VerifiedToken, needed: readonly string[]): Promise<void>
  readonly exchange: Exchange
  readonly sessionOf: SessionOf
  /** Where a client that understands claims challenges takes them. */
  authorizationUri(tid: string): string
  /** @throws TypeError when tokens cannot be exchanged for want of a credential */
  checkExchange(caller: string): void
  /** @throws TypeError when clients get their tokens from the proxy */
  directMode(caller: string): DirectMode
}

/** What clients that get their tokens from Entra need to know. */
export interface DirectMode {
  /** Entra, as an authorization server. */
  readonly issuer: string
  /** The scopes to ask for, as Entra wants them. */
  readonly upstreamScopes: readonly string[]
}
