/** jose by hand. */
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { gateByHand } from './by-hand.js'

export function makeGate(settings) {
  const { jwksUri, issuer, audience, algorithm = 'RS256' } = settings
  const keys = createRemoteJWKSet(new URL(jwksUri))
  const options = { issuer, audience, algorithms: [algorithm] }
  const verify = async (token) => (await jwtVerify(token, keys, options)).payload
  return { middlewares: [gateByHand(settings, verify)] }
}
