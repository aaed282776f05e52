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
  /** What was asked of Entra, to be asked again on refresh: requested, never granted. */
  readonly requested: readonly string[]
  /** The MCP resource the tokens are for. */
  readonly resource: string
  readonly upstream: UpstreamGrant
  /** Seconds since the epoch. */
  readonly createdAt: number
  /** The claims challenges that this login, and those just before it, carried to Entra. */
  readonly answered?: readonly string[]
  /** Access tokens revoked before their time: `jti` and expiry in seconds since the epoch. */
  readonly revoked?: Readonly<Record<string, number>>
}

/** An authorization code that nobody has redeemed. */
export interface CodeRecord {
  /** The secret of the grant it stands for. */
  readonly sid: string
  /** SHA-256 of the client id. */
  readonly client: string
  readonly redirectUri: string
  readonly codeChallenge: string
  readonly resource: string
}

/** What is left of a redeemed code, to know its replay by. */
export interface SpentCode {
  readonly sid: string
  /** Milliseconds since the epoch at which the redemption was answered. */
  readonly answeredAt: number
}

/** A refresh token: metadata only, and afterwards its tombstone. */
export interface RefreshRecord {
  readonly sid: string
  /** SHA-256 of the client id. */
  readonly client: string
  /** Seconds since the epoch. */
  readonly createdAt: number
  /** A token that has been used. */
  readonly used?: true
}

/** A token answer. @see RFC 6749 section 5.1 */
export interface TokenAnswer {
  readonly access_token: string
  readonly token_type: 'Bearer'
  /** Seconds. */
  readonly expires_in: number
  readonly scope: string
  readonly refresh_token?: string
}
