/** The target of an HTTP request: RFC 9112 section 3.2. */

/** Path and query, also of a target that is a whole URL: routers look at its path alone. @see RFC 9112 section 3.2.2 */
export function originForm(target: string): string {
  const [origin] = /^https?:\/\/[^/?#]*/i.exec(target) ?? ['']
  const rest = target.slice(origin.length)
  return origin === '' || rest.startsWith('/') ? rest : `/${rest}`
}
