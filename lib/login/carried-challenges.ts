/** Claims challenges that a login carries to Entra: which one is next, and what became of them. */
import type { Report } from '../http/report.js'
import {
  answersAtMost,
  type Challenges,
  challengedUser,
  challengeId,
  type PendingChallenge,
} from '../tokens/challenges.js'
import type { Grant, User } from '../tokens/records.js'

/** The challenge a login carries to Entra, after those that its user has answered before. */
export interface CarriedChallenges {
  readonly ids: readonly string[]
  /** Tenant and object id of the user they are for. */
  readonly tid: string
  readonly oid: string
}

/** Finds the challenge that waits for this user at this client, unless this login has just carried it to Entra. */
export async function findUnansweredChallenge(
  challenges: Challenges,
  carried: CarriedChallenges | undefined,
  grant: Grant,
): Promise<PendingChallenge | undefined> {
  const user = challengedUser(grant)
  const pending = await challenges.read(user)
  if (!pending || pending.refused) return undefined
  const ids = carried?.ids ?? []
  if (ids.length < answersAtMost && !ids.includes(challengeId(pending))) return pending
  await challenges.clear(user)
  return undefined
}

/** Adds a challenge to those that a login of this user carries. */
export function carryChallenge(
  carried: CarriedChallenges | undefined,
  user: User,
  challenge: PendingChallenge,
): CarriedChallenges {
  const before = isFor(carried, user) ? carried.ids : challenge.after
  // The cookie has room for so many: the oldest are forgotten first.
  const ids = [...before, challengeId(challenge)].slice(-answersAtMost)
  return { ids, tid: user.tid, oid: user.oid }
}

/** Notes on the grant which challenges its login has answered, if they were for the user who signed in. */
export function recordAnswers(carried: CarriedChallenges | undefined, grant: Grant): Grant {
  return isFor(carried, grant.user) ? { ...grant, answered: carried.ids } : grant
}

/**
 * Marks the carried challenge as refused: the user could not satisfy Entra, and the next login would fail in the
 * same way.
 *
 * @param client SHA-256 of the client id
 */
export async function refuseChallenge(
  { challenges, report }: { readonly challenges: Challenges; readonly report: Report },
  client: string,
  carried: CarriedChallenges | undefined,
): Promise<void> {
  if (!carried) return
  const user = { client, tid: carried.tid, oid: carried.oid }
  try {
    const pending = await challenges.read(user)
    if (pending && carried.ids.includes(challengeId(pending))) {
      await challenges.remember(user, { ...pending, refused: true })
    }
  } catch (error) {
    // The client hears Entra's refusal even when this cannot be stored.
    const event = { endpoint: 'callback', reason: 'challenge_not_recorded', error }
    report('failure', event, { user, client: { hash: client } })
  }
}

/** Somebody else may have signed in than the user the challenge was for. */
function isFor(
  carried: CarriedChallenges | undefined,
  { tid, oid }: User,
): carried is CarriedChallenges {
  return carried?.tid === tid && carried.oid === oid
}
