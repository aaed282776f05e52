/** aws-jwt-verify by hand. */
import { JwtVerifier } from 'aws-jwt-verify'
import { fetchKeys, gateByHand } from './by-hand.js'

export async function makeGate(settings) {
  const { issuer, audience, jwksUri } = settings
  const verifier = JwtVerifier.create({ issuer, audience, jwksUri })
  // It fetches over https only.
  verifier.cacheJwks(await fetchKeys(jwksUri))
  return { middlewares: [gateByHand(settings, (token) => verifier.verifySync(token))] }
}
