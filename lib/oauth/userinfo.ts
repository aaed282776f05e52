/** Userinfo in a URL: a user name or a password, which no address of this library may have. */

/** @see RFC 3986 section 3.2.1 */
export function hasUserinfo({ username, password }: URL): boolean {
  return username !== '' || password !== ''
}
