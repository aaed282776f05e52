/** `requireBearerAuth` of the MCP SDK v1, with jose as its verifier. */
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js'
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js'
import { tokenVerifier } from '../../token-verifier.js'

export function makeGate(settings) {
  const verify = tokenVerifier(settings)
  const verifier = {
    async verifyAccessToken(token) {
      try {
        return await verify(token)
      } catch {
        throw new InvalidTokenError('The access token is not valid')
      }
    },
  }
  const gate = requireBearerAuth({
    verifier,
    requiredScopes: [settings.scope],
    resourceMetadataUrl: `${settings.baseUrl}/.well-known/oauth-protected-resource/r`,
  })
  return { middlewares: [gate] }
}
