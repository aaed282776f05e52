/** Ending access from the application's own code: of a user, of a client, of a tenant. */
import { sha256 } from './crypto/hashing.js'
import { isGuid } from './entra/authority.js'
import type { EntraAuth } from './entra-auth.js'
import type { ProxyContext } from './routes/context.js'
import { checkAuth } from './setup/check-auth.js'
import type { ConnectedApp, UserId } from './tokens/connected-apps.js'

/**
 * The apps that hold a user's access: those with an active login, the last used first.
 *
 * @throws TypeError when `entraAuth` keeps no such list: mount `accountRoutes`, or say `connectedApps: true`; and for
 *   ids that are no GUIDs
 * @throws OAuthError 503 when the store is out of reach
 */
export async function listGrants(auth: EntraAuth, user: UserId): Promise<readonly ConnectedApp[]> {
  const { account, connectedApps } = contextOf(auth, 'listGrants')
  if (!account.keepsApps) {
    throw new TypeError(
      'listGrants: no list of apps is kept: mount accountRoutes, or say connectedApps: true in entraAuth',
    )
  }
  return connectedApps.list(checkUser('listGrants', user))
}

/**
 * Ends all access that a user has given, to whichever client: access tokens, refresh tokens, on-behalf-of, and streams that
 * are open. Effective on every replica within a second; logins that begin later are not touched, and calling it again ends
 * those too. Entra's own tokens, which clients get in direct mode, are not ours to end: revoke the user's sessions at Entra.
 *
 * @throws TypeError for ids that are no GUIDs
 * @throws OAuthError 503 when the store is out of reach: call it again
 */
export async function revokeUser(auth: EntraAuth, user: UserId): Promise<void> {
  const { connectedApps, report } = contextOf(auth, 'revokeUser')
  const { tid, oid } = checkUser('revokeUser', user)
  await connectedApps.revokeAll({ tid, oid })
  report('revocation', { reason: 'operator' }, { user: { tid, oid } })
}

/**
 * {@link revokeUser} for all users of one client. The client stays registered, and its users may let it in again.
 *
 * @throws TypeError for a client id that is empty
 * @throws OAuthError 503 when the store is out of reach: call it again
 */
export async function revokeClient(auth: EntraAuth, clientId: string): Promise<void> {
  const { cutOffs, report } = contextOf(auth, 'revokeClient')
  if (typeof clientId !== 'string' || clientId === '') {
    throw new TypeError("revokeClient: clientId must be the client's id")
  }
  await cutOffs.record({ client: sha256(clientId) })
  report('revocation', { reason: 'operator' }, { client: { id: clientId } })
}

/**
 * {@link revokeUser} for all users of a tenant.
 *
 * @throws TypeError for an id that is no GUID
 * @throws OAuthError 503 when the store is out of reach: call it again
 */
export async function revokeTenant(auth: EntraAuth, tid: string): Promise<void> {
  const { cutOffs, report } = contextOf(auth, 'revokeTenant')
  const tenant = checkGuid('revokeTenant', 'tid', tid)
  await cutOffs.record({ tid: tenant })
  report('revocation', { reason: 'operator', tenant })
}

function contextOf(auth: EntraAuth, caller: string): ProxyContext {
  checkAuth(caller, auth, ', …')
  return auth.proxy(caller)
}

function checkUser(caller: string, user: UserId): UserId {
  return {
    tid: checkGuid(caller, 'tid', user?.tid),
    oid: checkGuid(caller, 'oid', user?.oid),
  }
}

/** In lower case, as Entra's tokens have it. */
function checkGuid(caller: string, name: string, value: unknown): string {
  if (typeof value === 'string' && isGuid(value)) return value.toLowerCase()
  throw new TypeError(`${caller}: ${name} must be a GUID`)
}
