/** `WWW-Authenticate` challenges. */

/** Parameters in the order they are to appear; undefined ones are left out. */
export type ChallengeParams = Readonly<Record<string, string | undefined>>

/**
 * One Bearer challenge. Values become quoted strings; what no header may carry (control characters,
 * non-ASCII) becomes a space, so nothing put in can break out.
 *
 * @see RFC 6750 section 3, RFC 9110 section 11.6.1
 */
export function bearerChallenge(params: ChallengeParams): string {
  const list = Object.entries(params)
    .filter((entry): entry is [string, string] => entry[1] !== undefined)
    .map(([name, value]) => `${name}="${quotable(value)}"`)
  return list.length === 0 ? 'Bearer' : `Bearer ${list.join(', ')}`
}

function quotable(value: string): string {
  return value.replace(/[^\x20-\x7e]/g, ' ').replace(/["\\]/g, '\\$&')
}
