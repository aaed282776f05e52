/** Entra's claims as a user. */
import type { EntraClaims } from '../entra/verify.js'
import type { User } from '../tokens/records.js'

/**
 * Makes a user of Entra's claims.
 *
 * @param claims of a verified token that has a user
 */
export function userFromClaims(claims: EntraClaims): User {
  const { oid, tid, sub, name, preferred_username, roles = [] } = claims
  return {
    oid,
    tid,
    sub,
    ...(name !== undefined && { name }),
    ...(preferred_username !== undefined && { username: preferred_username }),
    roles,
  }
}
