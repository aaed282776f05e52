/** Continuous access evaluation: Graph no longer takes a user's tokens, until one was issued for its challenge. */
import { createHash } from 'node:crypto'
import { type EntraUser, userKey } from './directory.js'

/** Whose tokens Graph refuses, and with which claims. */
export interface GraphChallenges {
  /** @param claims JSON; undefined ends it */
  challenge(user: EntraUser, claims: string | undefined): void
  /** A token has been issued to a request with these claims. */
  issued(user: EntraUser, claims: string | undefined, token: string): void
  /** The challenge that a token of the user meets at Graph. */
  of(user: EntraUser, token: string): string | undefined
}

/** Nobody is challenged yet. */
export function createGraphChallenges(): GraphChallenges {
  const challenges = new Map<string, { readonly claims: string; readonly good: Set<string> }>()
  return {
    challenge(user, claims) {
      if (claims === undefined) challenges.delete(userKey(user))
      else challenges.set(userKey(user), { claims, good: new Set() })
    },
    issued(user, claims, token) {
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

/** Clients may ask for more besides: MSAL does. */
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
