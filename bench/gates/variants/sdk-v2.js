/** `requireBearerAuth` of the MCP SDK v2's Express package, with jose as its verifier. */
import { requireBearerAuth } from '@modelcontextprotocol/express'
import { OAuthError, OAuthErrorCode } from '@modelcontextprotocol/server'
import { tokenVerifier } from '../../token-verifier.js'

export function makeGate(settings) {
  const verify = tokenVerifier(settings)
  const verifier = {
    async verifyAccessToken(token) {
      try {
        return await verify(token)
      } catch {
        throw new OAuthError(OAuthErrorCode.InvalidToken, 'The access token is not valid')
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
