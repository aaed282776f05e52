/**
 * Claims challenges: what Entra wants of a user before it exchanges their token (MFA, Conditional Access,
 * consent). Remembered for one client and one user, until a login has carried it to Entra: so the loop closes
 * without the client knowing the extension.
 */
import { sha256 } from '../crypto/hashing.js'
import type { Vault } from '../storage/vault.js'
import type { Grant } from './records.js'

/** What the next login has to carry to Entra. */
export interface Challenge {
  /** JSON, for the `claims` parameter. */
  readonly claims?: string
  /** Downstream scopes nobody has consented to yet. */
  readonly scopes?: readonly string[]
}

/** Whom a challenge concerns. */
export interface ChallengedUser {
  /** SHA-256 of the client id. */
  readonly client: string
  readonly tid: string
  readonly oid: string
}

/** A challenge in the store. */
export interface PendingChallenge extends Challenge {
  /** SHA-256 of the `sid` of the grant that ran into it: the one whose client has to log in again. */
  readonly raisedBy: string
  /** The challenges that grant has answered already: see {@link answersAtMost}. */
  readonly after: readonly string[]
  /** A login carried it, and Entra did not let the user satisfy it. */
  readonly refused?: true
}

/** The challenges in the store. */
export interface Challenges {
  remember(user: ChallengedUser, challenge: PendingChallenge): Promise<void>
  read(user: ChallengedUser): Promise<PendingChallenge | undefined>
  clear(user: ChallengedUser): Promise<void>
}

/**
 * Challenges one login after the other may answer. Several are in order when several APIs want different
 * things; but Entra may word the same one differently each time, and then nothing else would end it.
 */
export const answersAtMost = 3

/** A challenge nobody answers is forgotten after this: the next exchange brings it anew. */
const challengeSeconds = 900

/** @see https://learn.microsoft.com/entra/identity-platform/claims-challenge */
export function challenges(vault: Vault): Challenges {
  const shelf = vault.shelf<PendingChallenge>('challenge')
  const name = ({ client, tid, oid }: ChallengedUser) => `${client}\n${tid}\n${oid}`
  return Object.freeze({
    remember: (user: ChallengedUser, challenge: PendingChallenge) =>
      shelf.set(name(user), challenge, challengeSeconds),
    read: async (user: ChallengedUser) => (await shelf.get(name(user)))?.value,
    clear: async (user: ChallengedUser) => void (await shelf.take(name(user))),
  })
}

/** Whom a grant's challenges concern. */
export function challengedUser({ client, user }: Grant): ChallengedUser {
  return { client, tid: user.tid, oid: user.oid }
}

/** Whether a grant gets no new tokens until its user has logged in again, with the challenge. */
export function blocks(challenge: PendingChallenge | undefined, sid: string): boolean {
  return challenge !== undefined && !challenge.refused && challenge.raisedBy === sha256(sid)
}

/** Tells challenges apart. */
export function challengeId({ claims = '', scopes = [] }: Challenge): string {
  return sha256(`${claims}\n${scopes.join(' ')}`)
}
