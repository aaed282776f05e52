/** The server's keys: there, long enough, and not made up by a person. */
import { keyRing } from '../../crypto/key-ring.js'
import { type Finding, failure, ok } from './finding.js'

const remedy = 'make one with `openssl rand -base64 32`'

/** @param given `MCP_ENTRA_KEYS` */
export function checkKeys(given: string | undefined): Finding {
  if (!given)
    return failure('keys', 'MCP_ENTRA_KEYS is missing: there is no proxy without keys', remedy)
  const keys = given.split(',').map((key) => key.trim())
  try {
    keyRing(keys)
  } catch (error) {
    return failure(
      'keys',
      (error as Error).message
        .replace('entraAuth: keys', 'MCP_ENTRA_KEYS')
        .replace(`: ${remedy}`, ': who guesses it can issue tokens of this server'),
      remedy,
    )
  }
  return ok('keys', `${keys.length} of them; the first one seals and signs`)
}
