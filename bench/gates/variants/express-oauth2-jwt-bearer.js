/** Auth0's gate. Entra calls the claim `scp`, so the scope is asked for by its claim. */
import { auth, claimIncludes } from 'express-oauth2-jwt-bearer'

export function makeGate({ issuer, jwksUri, audience, scope }) {
  return {
    middlewares: [
      auth({ issuer, jwksUri, audience, tokenSigningAlg: 'RS256' }),
      claimIncludes('scp', scope),
    ],
  }
}
