/** What the endpoints share: configuration, directory, and the state that sign-ins create. */
import type { EmulatorClock } from './clock.js'
import type { Consents } from './consents.js'
import type { Directory, EntraUser } from './directory.js'
import type { GraphChallenges } from './graph-challenges.js'
import type { Mfa } from './mfa.js'
import type { EntraManagedIdentityOptions } from './options.js'
import type { ScopeRequest } from './scopes.js'
import type { SigningKeys } from './signing-keys.js'

/** An authorization code, and what it was issued for. */
export interface CodeRecord {
  readonly user: EntraUser
  readonly clientId: string
  /** The tenant or name in the path of /authorize: a code must be redeemed at the same one. */
  readonly authorityId: string
  readonly redirectUri: string
  readonly spa: boolean
  readonly scopes: ScopeRequest
  readonly nonce: string | undefined
  readonly challenge: string | undefined
  readonly challengeMethod: 'S256' | 'plain'
  /** Seconds since 1970. */
  readonly expiresAt: number
  redeemed: boolean
}

/** A refresh token. It is bound to a user and a client, but not to a resource. */
export interface RefreshRecord {
  readonly user: EntraUser
  readonly clientId: string
  readonly spa: boolean
  /** The scopes of the sign-in, used when a refresh names none. */
  readonly scopes: ScopeRequest
  /** Seconds since 1970. */
  readonly expiresAt: number
  revoked: boolean
}

/** One running emulator. */
export interface Emulation {
  /** Scheme, host and port: the authority host. */
  readonly url: string
  readonly clock: EmulatorClock
  readonly directory: Directory
  readonly consents: Consents
  readonly mfa: Mfa
  readonly graphChallenges: GraphChallenges
  readonly keys: SigningKeys
  readonly keyIssuer: string
  /** Seconds. */
  readonly accessTokenLifetime: number
  readonly managedIdentities: readonly EntraManagedIdentityOptions[]
  /** The secret of the App Service identity endpoint. */
  readonly identityHeader: string
  readonly codes: Map<string, CodeRecord>
  readonly refreshTokens: Map<string, RefreshRecord>
  /** Signed-in browsers, by session cookie. */
  readonly sessions: Map<string, EntraUser>
}
