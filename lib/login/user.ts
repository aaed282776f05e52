/** Entra's claims as a user, and the other way round. */
import type { EntraClaims } from '../entra/verify.js'
import type { Grant, User } from '../tokens/records.js'

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

/**
 * What would be in Entra's token, as far as it is known of a user for whom another issuer has vouched: only what the
 * operator's `mapUser` says. The issuer's own claims are not Entra's, whatever they are called.
 */
export function assertedClaims({
  user,
  assertedBy = '',
  resource,
  endsAt = 0,
}: Grant): EntraClaims {
  const { name, username, ...ids } = user
  return {
    ...ids,
    ...(name !== undefined && { name }),
    ...(username !== undefined && { preferred_username: username }),
    ver: '',
    iss: assertedBy,
    aud: resource,
    exp: endsAt,
  }
}
