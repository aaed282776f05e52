/** `WWW-Authenticate` challenges. */

/** Parameters in the order in which they appear; undefined ones are left out. */
export type ChallengeParams = Readonly<Record<string, string | undefined>>

/**
 * Makes a Bearer challenge. Values become quoted strings, in which control and non-ASCII characters are replaced by
 * spaces, so no value can break out of its quotes.
 *
 * @see RFC 6750 section 3, RFC 9110 section 11.6.1
 */
export function bearerChallenge(params: ChallengeParams): string {
  return challenge('Bearer', params)
}

/** A scheme in which access tokens are sent. */
export type TokenScheme = 'Bearer' | 'DPoP'

/** {@link bearerChallenge} for either scheme. @see RFC 9449 section 7.1 */
export function challenge(scheme: TokenScheme, params: ChallengeParams): string {
  const list = Object.entries(params)
    .filter((entry): entry is [string, string] => entry[1] !== undefined)
    .map(([name, value]) => `${name}="${escapeQuoted(value)}"`)
  return list.length === 0 ? scheme : `${scheme} ${list.join(', ')}`
}

function escapeQuoted(value: string): string {
  return value.replace(/[^\x20-\x7e]/g, ' ').replace(/["\\]/g, '\\$&')
}
