/** A gate as a careful engineer writes it in an afternoon, around whatever verifies the token. */

/** @param verify from a token to its claims, or a promise of them; throws for a bad one */
export function gateByHand({ scope, baseUrl }, verify) {
  const challenge = `Bearer scope="${scope}", resource_metadata="${baseUrl}/.well-known/oauth-protected-resource/r"`
  const refuse = (res, status, error) =>
    res
      .status(status)
      .set('WWW-Authenticate', error ? `${challenge}, error="${error}"` : challenge)
      .json({ error })
  return async function gate(req, res, next) {
    const [type, token] = (req.headers.authorization ?? '').split(' ')
    if (type.toLowerCase() !== 'bearer' || !token) return refuse(res, 401)
    let claims
    try {
      claims = await verify(token)
    } catch {
      return refuse(res, 401, 'invalid_token')
    }
    const scopes = (claims.scp ?? claims.scope).split(' ')
    if (!scopes.includes(scope)) return refuse(res, 403, 'insufficient_scope')
    req.auth = {
      token,
      clientId: claims.azp ?? claims.client_id,
      scopes,
      expiresAt: claims.exp,
      extra: { claims },
    }
    next()
  }
}

/** The issuer's keys, fetched once, for verifiers that fetch none themselves. */
export async function fetchKeys(jwksUri) {
  const response = await fetch(jwksUri)
  return response.json()
}
