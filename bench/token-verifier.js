/** Verifies with jose, for the gates that leave it to the application. */
import { createRemoteJWKSet, jwtVerify } from 'jose'

/** @returns a function from a token to the MCP SDKs' `AuthInfo` */
export function tokenVerifier({ jwksUri, issuer, audience, algorithm = 'RS256' }) {
  const keys = createRemoteJWKSet(new URL(jwksUri))
  return async function verifyAccessToken(token) {
    const { payload } = await jwtVerify(token, keys, { issuer, audience, algorithms: [algorithm] })
    return {
      token,
      clientId: payload.azp ?? payload.client_id,
      scopes: (payload.scp ?? payload.scope).split(' '),
      expiresAt: payload.exp,
      extra: { claims: payload },
    }
  }
}
