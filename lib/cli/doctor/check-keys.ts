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
      (error as Error).message.replace('entraAuth: keys', 'MCP_ENTRA_KEYS'),
      remedy,
    )
  }
  const weak = keys.findIndex(isGuessable)
  if (weak >= 0) {
    return failure(
      'keys',
      `MCP_ENTRA_KEYS: key ${weak + 1} can be guessed: who guesses it can issue tokens of this server`,
      remedy,
    )
  }
  return ok('keys', `${keys.length} of them; the first one seals and signs`)
}

/** 128 random bits in base64 or hex have at least this many different characters, but for one in a million. */
const fewestCharacters = 8

/** Repeated, counted up, or made of words that examples use. */
function isGuessable(key: string): boolean {
  if (/change.?me|secret|password|example|your.?key|test.?key|0123456789|abcdefgh/i.test(key))
    return true
  if (new Set(key).size < fewestCharacters) return true
  return /^(.{1,12})\1+.{0,12}$/.test(key)
}
