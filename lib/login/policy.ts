/** Who may use this server. Asked at login, at every refresh, and when a user brings an Entra token of their own. */
import { withinDeadline } from '../async/deadline.js'
import type { EntraClaims } from '../entra/verify.js'
import { OAuthError, unavailable } from '../oauth/errors.js'
import type { User } from '../tokens/records.js'

/**
 * Which users may use this server. The policy is asked at login before a code is issued, at every refresh, and once
 * for each Entra token that a user brings to a gate. It is not asked about apps without a user: an administrator gave
 * them the roles they have.
 */
export interface LoginPolicy {
  readonly requiredRoles: readonly string[]
  readonly allow: (user: User, claims: EntraClaims) => boolean | Promise<boolean>
}

/** Longest wait for a function of the operator's, in seconds: shorter than the lock under which a login is renewed. */
const longestWait = 10

/**
 * Asks the operator's policy about a user.
 *
 * @param claims verified claims: of the access token, and at login of the id token too
 * @throws OAuthError `access_denied` when the user may not use this server
 * @throws whatever `allow` throws, and an Error when it takes longer than 10 seconds
 */
export async function checkPolicy(
  { requiredRoles, allow }: LoginPolicy,
  user: User,
  claims: EntraClaims,
): Promise<void> {
  if (requiredRoles.length > 0 && !requiredRoles.some((role) => user.roles.includes(role))) {
    throw new OAuthError('access_denied', 'The user lacks a role that this server requires.')
  }
  if (!(await askInTime('allow', () => allow(user, claims)))) {
    throw new OAuthError('access_denied', 'The user may not use this server.')
  }
}

/**
 * Asks a function of the operator's. An answer that is there at once needs no timer: that saves 5 of the 50
 * microseconds that a new token costs.
 *
 * @throws whatever the function throws, and an Error when it takes longer than 10 seconds
 */
export async function askInTime<T>(name: string, ask: () => T | Promise<T>): Promise<T> {
  const answer = ask()
  if (!isThenable(answer)) return answer
  const late = () => new Error(`${name} did not answer within ${longestWait} seconds`)
  return withinDeadline(longestWait, late, async () => answer)
}

/** Not only promises of the language itself: taken for an answer, any other would count as a yes. */
function isThenable<T>(answer: T | PromiseLike<T>): answer is PromiseLike<T> {
  return typeof (answer as { then?: unknown } | undefined | null)?.then === 'function'
}

/**
 * {@link checkPolicy} for a user who already has tokens: when `allow` fails they keep them, and try again later.
 *
 * @throws OAuthError `access_denied`, or 503 when `allow` fails
 */
export async function recheckPolicy(
  policy: LoginPolicy,
  user: User,
  claims: EntraClaims,
): Promise<void> {
  try {
    await checkPolicy(policy, user, claims)
  } catch (cause) {
    if (isPolicyRefusal(cause)) throw cause
    throw unavailable(
      'This server cannot check right now whether the user may use it. Try again shortly.',
      cause,
    )
  }
}

/** Whether the policy refused the user; a policy that failed is an outage. */
export function isPolicyRefusal(error: unknown): error is OAuthError {
  return error instanceof OAuthError && error.code === 'access_denied'
}
