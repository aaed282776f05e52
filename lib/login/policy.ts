/** Who may use this server: one question, asked at login, at every refresh and for a user's own Entra token. */
import type { EntraClaims } from '../entra/verify.js'
import { OAuthError, unavailable } from '../oauth/errors.js'
import type { User } from '../tokens/records.js'

/**
 * Which users may come in: asked at login before a code is issued, at every refresh, and once for a user's own
 * Entra token. Apps without a user are not asked about: an administrator gave them the roles they have.
 */
export interface LoginPolicy {
  readonly requiredRoles: readonly string[]
  readonly allow: (user: User, claims: EntraClaims) => boolean | Promise<boolean>
}

/** Longest wait for `allow`, in milliseconds: less than the lock under which a login is renewed. */
const patience = 10_000

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
  if (!(await inTime(async () => allow(user, claims)))) {
    throw new OAuthError('access_denied', 'The user may not use this server.')
  }
}

/**
 * {@link checkPolicy} for a user who has tokens already: when `allow` fails nobody knows, and nothing is lost.
 *
 * @throws OAuthError `access_denied`, or 503
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
      'Whether the user may use this server cannot be found out right now. Try again shortly.',
      cause,
    )
  }
}

/** Whether an error is the policy's refusal, and no outage. */
export function isPolicyRefusal(error: unknown): error is OAuthError {
  return error instanceof OAuthError && error.code === 'access_denied'
}

async function inTime<T>(ask: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('allow did not answer within 10 seconds')), patience)
  })
  try {
    return await Promise.race([ask(), late])
  } finally {
    clearTimeout(timer)
  }
}
