/** Continuous access evaluation: Graph refuses a user's tokens until one has been issued for its challenge. */
import { createHash } from 'node:crypto'
import { type EntraUser, userKey } from './directory.js'

/** Whose tokens Graph refuses, and with which claims. */
export interface GraphChallenges {
  /** Starts a challenge. @param claims JSON; undefined ends the challenge */
  challenge(user: EntraUser, claims: string | undefined): void
  /** Records that a token was issued to a request with these claims. */
  recordToken(user: EntraUser, claims: string | undefined, token: string): void
  /** The claims that Graph demands when it gets this token of the user; undefined when it accepts the token. */
  of(user: EntraUser, token: string): string | undefined
}

/** Starts without any challenge. */
export function createGraphChallenges(): GraphChallenges {
  const challenges = new Map<string, { readonly claims: string; readonly good: Set<string> }>()
  return {
    challenge(user, claims) {
      if (claims === undefined) challenges.delete(userKey(user))
      else challenges.set(userKey(user), { claims, good: new Set() })
    },
    recordToken(user, claims, token) {
      const challenge = challenges.get(userKey(user))
      if (challenge && claims !== undefined && meets(claims, challenge.claims)) {
        challenge.good.add(digest(token))
      }
    },
    of(user, token) {
      const challenge = challenges.get(userKey(user))
      return challenge && !challenge.good.has(digest(token)) ? challenge.claims : undefined
    },
  }
}

/** Clients may ask for further claims, as MSAL does. */
function meets(claims: string, challenge: string): boolean {
  const asked = wantedOf(claims)
  return Object.entries(wantedOf(challenge)).every(
    ([name, value]) => JSON.stringify(asked[name]) === JSON.stringify(value),
  )
}

function wantedOf(claims: string): Record<string, unknown> {
  const { access_token: wanted } = JSON.parse(claims) as { access_token?: Record<string, unknown> }
  return wanted ?? {}
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}
