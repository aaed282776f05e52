/** Claims challenges on their way through a login: carried to Entra by a second trip of the browser, and back. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import {
  answersAtMost,
  challengedUser,
  challengeId,
  type PendingChallenge,
} from '../tokens/challenges.js'
import type { Grant, User } from '../tokens/records.js'
import type { ProxyContext } from './context.js'
import { beginLogin, type PendingLogin } from './upstream-login.js'

/** A challenge that waits for this user at this client, unless this login has just carried it to Entra. */
export async function unansweredChallenge(
  { challenges }: ProxyContext,
  { carries }: PendingLogin,
  grant: Grant,
): Promise<PendingChallenge | undefined> {
  const user = challengedUser(grant)
  const pending = await challenges.read(user)
  if (!pending || pending.refused) return undefined
  const carried = carries?.ids ?? []
  if (carried.length < answersAtMost && !carried.includes(challengeId(pending))) return pending
  await challenges.clear(user)
  return undefined
}

/** Only now is it known who is signing in: the browser goes to Entra again, with what Entra wanted of them. */
export function carryToEntra(
  context: ProxyContext,
  req: IncomingMessage,
  res: ServerResponse,
  login: PendingLogin,
  { user }: Grant,
  challenge: PendingChallenge,
): string {
  const { tid, oid, username } = user
  const before = isFor(login.carries, user) ? login.carries?.ids : challenge.after
  context.report('login', { outcome: 'challenged' })
  return beginLogin(context, req, res, login, {
    challenge,
    carries: { ids: [...(before ?? []), challengeId(challenge)], tid, oid },
    ...(username !== undefined && { hints: { login_hint: username } }),
  })
}

/** The user could not satisfy Entra: asking again would go round in circles. */
export async function refuseChallenge(
  { challenges, report }: ProxyContext,
  { client, carries }: PendingLogin,
): Promise<void> {
  if (!carries) return
  const user = { client, tid: carries.tid, oid: carries.oid }
  try {
    const pending = await challenges.read(user)
    if (pending && carries.ids.includes(challengeId(pending))) {
      await challenges.remember(user, { ...pending, refused: true })
    }
  } catch (error) {
    // The client is to hear what Entra said all the same.
    report('failure', { endpoint: 'callback', reason: 'challenge_not_recorded', error })
  }
}

/** The grant remembers the challenges that its login carried, if they were this user's. */
export function withAnswers({ carries }: PendingLogin, grant: Grant): Grant {
  return isFor(carries, grant.user) ? { ...grant, answered: carries?.ids ?? [] } : grant
}

/** Whoever signs in may be somebody else than the user the challenge was for. */
function isFor(carries: PendingLogin['carries'], { tid, oid }: User): boolean {
  return carries?.tid === tid && carries.oid === oid
}
