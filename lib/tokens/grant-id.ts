/** A name for a login that may be shown: in events, and wherever else a person tells logins apart. */
import { sha256 } from '../crypto/hashing.js'

/**
 * The id of a grant: 16 base64url characters. It is made of the grant's secret and stays the same over all refreshes.
 * Neither the secret nor the name of any record in the store can be found from it.
 */
export function grantId(sid: string): string {
  return sha256(`grant id\0${sid}`).slice(0, 16)
}
