/** What the store holds, before it is sealed. Every record has a lifetime; none is edited in two places. */

/** Who signed in, as Entra's verified tokens say. Key users on `tid` and `oid` together. */
export interface User {
  /** Object id: the same for every app of the tenant. */
  readonly oid: string
  /** Tenant id. */
  readonly tid: string
  /** Pairwise: the user as this app registration alone knows them. */
  readonly sub: string
  /** Display name. Mutable: never an identifier. */
  readonly name?: string
  /** Sign-in name (`preferred_username`). Mutable: never an identifier. */
  readonly username?: string
  /** App roles. */
  readonly roles: readonly string[]
}

/** Entra's tokens behind a grant. They never leave the server. */
export interface UpstreamGrant {
  readonly accessToken: string
  /** Seconds since the epoch. */
  readonly expiresAt: number
  readonly refreshToken?: string
}

/** One login: a user let a client in. */
export interface Grant {
  readonly user: User
  /** SHA-256 of the client id. */
  readonly client: string
  /** What the client asked for and Entra granted: short names. */
  readonly scopes: readonly string[]
  /** What was requested of Entra, to be requested again on refresh; not what was granted. */
  readonly requested: readonly string[]
  /** The MCP resource the tokens are for. */
  readonly resource: string
  /** Absent where another issuer than Entra has vouched for the user: then Entra has not been asked. */
  readonly upstream?: UpstreamGrant
  /** That issuer. @see draft-ietf-oauth-identity-assertion-authz-grant */
  readonly assertedBy?: string
  /** When such a grant ends, together with its only access token: seconds since the epoch. */
  readonly endsAt?: number
  /** Seconds since the epoch, with fractions. */
  readonly createdAt: number
  /** When its refresh token was last rotated; at first, when it was created. Seconds since the epoch. */
  readonly renewedAt: number
  /** How often its refresh token has been rotated. Tokens of an earlier generation have been used. */
  readonly generation: number
  /** The claims challenges that this login, and those just before it, passed on to Entra. */
  readonly answered?: readonly string[]
  /** When the last of them was answered, if that was after the login. Seconds since the epoch. */
  readonly answeredAt?: number
  /** The DPoP key that the refresh token is bound to. Clients with a secret or keys of their own need none. */
  readonly jkt?: string
}

/** An authorization code that nobody has redeemed, and the grant that its redemption begins. */
export interface CodeRecord {
  /** The secret of that grant. It is chosen at login, so that what is told of the login names the grant. */
  readonly sid: string
  readonly redirectUri: string
  readonly codeChallenge: string
  /** The DPoP key that the client named at `/authorize`, if it did. @see RFC 9449 section 10 */
  readonly dpopJkt?: string
  readonly grant: Grant
}

/** A redeemed code, remembered so that a replay is recognised. */
export interface SpentCode {
  readonly sid: string
  /** SHA-256 of the client id. */
  readonly client: string
  readonly codeChallenge: string
  /** Milliseconds since the epoch. */
  readonly redeemedAt: number
}

/** A token answer. @see RFC 6749 section 5.1 */
export interface TokenAnswer {
  readonly access_token: string
  readonly token_type: 'Bearer' | 'DPoP'
  /** Seconds. */
  readonly expires_in: number
  readonly scope: string
  readonly refresh_token?: string
}
