/** `@node-rs/jsonwebtoken` by hand: verified in Rust, with one key that is there from the start. */
import { createPublicKey } from 'node:crypto'
import { Algorithm, verifySync } from '@node-rs/jsonwebtoken'
import { fetchKeys, gateByHand } from './by-hand.js'

export async function makeGate(settings) {
  const [key] = (await fetchKeys(settings.jwksUri)).keys
  const pem = createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  const options = {
    algorithms: [Algorithm.RS256],
    iss: [settings.issuer],
    aud: [settings.audience],
    validateNbf: true,
  }
  return { middlewares: [gateByHand(settings, (token) => verifySync(token, pem, options))] }
}
