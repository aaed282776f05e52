/**
 * Claims challenges: what Entra wants of a user before it exchanges their token (MFA, Conditional Access,
 * consent). Each is remembered for one client and one user until a login has passed it on to Entra, so clients need
 * not know about claims challenges to get past one.
 */
import { sha256 } from '../crypto/hashing.js'
import type { Vault } from '../storage/vault.js'
import type { Grant } from './records.js'

/** What the next login has to pass on to Entra. */
export interface Challenge {
  /** JSON, for the `claims` parameter. */
  readonly claims?: string
  /** Downstream scopes that nobody has consented to yet. */
  readonly scopes?: readonly string[]
  /** Entra has not been asked about the user so far: any sign-in will do. */
  readonly signIn?: true
}

/** The user, and their client, that a challenge is for. */
export interface ChallengedUser {
  /** SHA-256 of the client id. */
  readonly client: string
  readonly tid: string
  readonly oid: string
}

/** A challenge in the store. */
export interface PendingChallenge extends Challenge {
  /** SHA-256 of the `sid` of the grant that met it. The client of this grant has to log in again. */
  readonly raisedBy: string
  /** The challenges that this grant has answered already: see {@link answersAtMost}. */
  readonly after: readonly string[]
  /** A login passed it on, and Entra did not let the user satisfy it. */
  readonly refused?: true
}

/** The challenges in the store. */
export interface Challenges {
  remember(user: ChallengedUser, challenge: PendingChallenge): Promise<void>
  read(user: ChallengedUser): Promise<PendingChallenge | undefined>
  clear(user: ChallengedUser): Promise<void>
  /** Clears the challenge that keeps this login from refreshing, if there is one. */
  withdraw(grant: Grant, sid: string): Promise<void>
}

/**
 * How many claims challenges a user may answer in a row, and how many answers a login carries. Several are legitimate
 * when several APIs want different things. But Entra may word the same challenge differently each time, and nothing else
 * would end that loop. Consents are named by our own scopes: the same one is recognised.
 */
export const answersAtMost = 3

/** An unanswered challenge is forgotten after this. The next exchange brings it back. */
const challengeSeconds = 900

/** @see https://learn.microsoft.com/entra/identity-platform/claims-challenge */
export function challenges(vault: Vault): Challenges {
  const shelf = vault.shelf<PendingChallenge>('challenge')
  const name = ({ client, tid, oid }: ChallengedUser) => `${client}\n${tid}\n${oid}`
  const read = async (user: ChallengedUser) => (await shelf.get(name(user)))?.value
  const clear = async (user: ChallengedUser) => void (await shelf.remove(name(user)))
  return Object.freeze({
    remember: (user: ChallengedUser, challenge: PendingChallenge) =>
      shelf.set(name(user), challenge, challengeSeconds),
    read,
    clear,
    async withdraw(grant: Grant, sid: string) {
      const user = challengedUser(grant)
      if (blocks(await read(user), sid)) await clear(user)
    },
  })
}

/** The user and client that the challenges of a grant are for. */
export function challengedUser({ client, user }: Grant): ChallengedUser {
  return { client, tid: user.tid, oid: user.oid }
}

/** Seconds for which an answer counts: a challenge that comes again within this was not satisfied by it. */
const answerSeconds = 600

/** The challenges that a grant has answered of late. @param now seconds since the epoch */
export function answeredOf(grant: Grant, now: number): readonly string[] {
  const { answered = [], answeredAt = grant.createdAt } = grant
  return now - answeredAt < answerSeconds ? answered : []
}

/** Whether the user may still be asked for this, after what they have answered of late. */
export function mayBeRaised(challenge: Challenge, answered: readonly string[]): boolean {
  if (answered.includes(challengeId(challenge))) return false
  return kindOf(challenge) !== 'claims' || answered.filter(isOfClaims).length < answersAtMost
}

/** Whether a grant gets no new tokens until its user has logged in again, with the challenge. */
export function blocks(challenge: PendingChallenge | undefined, sid: string): boolean {
  return challenge !== undefined && !challenge.refused && challenge.raisedBy === sha256(sid)
}

/** What a challenge is: more proof that it is the user, a consent, or a sign-in at all. */
export function kindOf({ scopes, signIn }: Challenge): 'claims' | 'consent' | 'sign-in' {
  if (signIn) return 'sign-in'
  return scopes === undefined ? 'claims' : 'consent'
}

/** An id by which challenges are told apart. Those of claims are the shortest. */
export function challengeId(challenge: Challenge): string {
  const { claims = '', scopes = [] } = challenge
  const kind = kindOf(challenge)
  return kind === 'claims' ? sha256(claims) : `${kind}.${sha256(scopes.join(' '))}`
}

/** A hash has no dot. */
function isOfClaims(id: string): boolean {
  return !id.includes('.')
}
