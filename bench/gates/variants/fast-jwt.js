/** fast-jwt by hand, with one key that is there from the start: its quickest form. */
import { createPublicKey } from 'node:crypto'
import { createVerifier } from 'fast-jwt'
import { fetchKeys, gateByHand } from './by-hand.js'

/** @param settings of the issuer, and `cache`: how many tokens it remembers; none by default */
export async function makeGate(settings) {
  const [key] = (await fetchKeys(settings.jwksUri)).keys
  const verify = createVerifier({
    key: createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' }),
    algorithms: ['RS256'],
    allowedIss: settings.issuer,
    allowedAud: settings.audience,
    ...(settings.cache && { cache: settings.cache }),
  })
  return { middlewares: [gateByHand(settings, verify)] }
}
