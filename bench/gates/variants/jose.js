/** jose by hand: what a careful engineer writes in an afternoon. */
import { tokenVerifier } from '../../token-verifier.js'

export function makeGate(settings) {
  const verify = tokenVerifier(settings)
  const challenge = `Bearer scope="${settings.scope}", resource_metadata="${settings.baseUrl}/.well-known/oauth-protected-resource/r"`
  const refuse = (res, status, error) =>
    res
      .status(status)
      .set('WWW-Authenticate', error ? `${challenge}, error="${error}"` : challenge)
      .json({ error })
  async function gate(req, res, next) {
    const [type, token] = (req.headers.authorization ?? '').split(' ')
    if (type.toLowerCase() !== 'bearer' || !token) return refuse(res, 401)
    try {
      req.auth = await verify(token)
    } catch {
      return refuse(res, 401, 'invalid_token')
    }
    if (!req.auth.scopes.includes(settings.scope)) return refuse(res, 403, 'insufficient_scope')
    next()
  }
  return { middlewares: [gate] }
}
