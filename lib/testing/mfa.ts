/** Whether a user's sign-in is strong enough for the downstream request. */
import { type EntraUser, userKey } from './directory.js'
import { refuse } from './errors.js'

/** Who has to pass MFA, and who has passed it. */
export interface Mfa {
  /** Starts or stops demanding MFA of the user, and forgets that they have passed it. */
  require(user: EntraUser, on: boolean): void
  /** Records that the user has signed in with a claims challenge and passed it. */
  pass(user: EntraUser): void
  hasPassed(user: EntraUser): boolean
  /** AADSTS50076 with a challenge, when the user or the request's `claims` demand MFA. */
  check(user: EntraUser, claims: string | undefined): void
}

/** MFA demands, beginning with the users who have `mfa` set. */
export function createMfa(users: readonly EntraUser[]): Mfa {
  const required = new Set(users.filter(({ mfa }) => mfa).map(userKey))
  const passed = new Set<string>()
  return {
    require(user, on) {
      passed.delete(userKey(user))
      if (on) required.add(userKey(user))
      else required.delete(userKey(user))
    },
    pass: (user) => void passed.add(userKey(user)),
    hasPassed: (user) => passed.has(userKey(user)),
    check(user, claims) {
      const demanded = required.has(userKey(user)) || demandsStrength(parseClaims(claims))
      if (!demanded || passed.has(userKey(user))) return
      refuse(
        50076,
        'Due to a configuration change made by your administrator, or because you moved to a new ' +
          'location, you must use multi-factor authentication to access the resource.',
      )
    },
  }
}

/** Reads a `claims` parameter; AADSTS90013 when it is not a JSON object. */
export function parseClaims(claims: string | undefined): Readonly<Record<string, unknown>> {
  if (!claims) return {}
  try {
    const value: unknown = JSON.parse(claims)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  } catch {
    // Refused below, like any other value that is not an object.
  }
  return refuse(90013, "Invalid input received from the user: 'claims' is not a JSON object.")
}

function demandsStrength(claims: Readonly<Record<string, unknown>>): boolean {
  const token = claims.access_token
  if (typeof token !== 'object' || token === null) return false
  return ['acrs', 'amr', 'capolids'].some((name) => name in token)
}
