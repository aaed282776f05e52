/** The apps that a user has let in: an index of their logins, for people to see and to end. */
import type { Client } from './clients.js'
import type { Grant } from './records.js'

/** A user, by the two ids that never change. */
export interface UserId {
  readonly tid: string
  readonly oid: string
}

/** An app that holds a user's access. */
export interface ConnectedApp {
  /** Opaque: tells the apps of one user apart. */
  readonly id: string
  /** As the client names itself. */
  readonly name?: string
  /** The host that publishes the app, or that its sign-ins went to. Undefined for an app on the user's device. */
  readonly host?: string
  /** Who vouches for the name: the operator, or the host's metadata document. */
  readonly verified: boolean
  /** Short names: what all of its logins together may do. */
  readonly scopes: readonly string[]
  /** Scopes of downstream APIs that this server uses on the user's behalf. */
  readonly downstream: readonly string[]
  /** Seconds since the epoch. */
  readonly firstUsedAt: number
  /** To the hour: seconds since the epoch. */
  readonly lastUsedAt: number
  /** Logins of this app that are active. */
  readonly logins: number
}

/** The apps of all users. */
export interface ConnectedApps {
  /** Notes a login that has just begun, or was renewed. A failure is reported, and costs nobody a login. */
  record(sid: string, grant: Grant, client: Client): Promise<void>
  /** The apps with an active login, the last used first. @throws OAuthError 503 */
  list(user: UserId): Promise<readonly ConnectedApp[]>
  /** Ends all logins of one app of the user. @returns false when the user has no such app @throws OAuthError 503 */
  revoke(user: UserId, appId: string): Promise<boolean>
  /** Ends all logins of the user. @throws OAuthError 503 */
  revokeAll(user: UserId): Promise<void>
}
