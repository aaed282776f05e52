/** Grants: one login each, opened by the `sid` that only its access and refresh tokens carry. */
import type { Clock } from '../async/clock.js'
import { keepTrying } from '../storage/keep-trying.js'
import type { Vault, VaultRecord } from '../storage/vault.js'
import { accessOf, type CutOffs } from './cut-offs.js'
import { type EditExclusively, grantLocks } from './grant-locks.js'
import type { Lifetimes } from './lifetimes.js'
import type { News } from './news.js'
import type { Grant } from './records.js'

/** The grants in the store. */
export interface Grants {
  /** Writes a new grant. @param sid a secret that nobody has had before */
  begin(sid: string, grant: Grant): Promise<void>
  /** The grant, unless there is none or it was revoked. */
  read(sid: string): Promise<VaultRecord<Grant> | undefined>
  /**
   * Like `read`, but costs one store operation, or a few more once access has been cut off, and returns `known` itself
   * while nobody has written the grant.
   */
  reread(sid: string, known: VaultRecord<Grant>): Promise<VaultRecord<Grant> | undefined>
  /** Writes a grant for the rest of its life. False when it was revoked in the meantime: then it stays gone. */
  keep(sid: string, grant: Grant): Promise<boolean>
  /** Ends a grant for good, on every replica. True when there was one. */
  revoke(sid: string): Promise<boolean>
  readonly exclusively: EditExclusively
  /**
   * Ends one access token before its time; the grant goes on.
   *
   * @param exp seconds since the epoch
   * @returns the grant, if there is one
   */
  revokeToken(sid: string, jti: string, exp: number): Promise<Grant | undefined>
  /** Whether this one access token was revoked. */
  isTokenRevoked(sid: string, jti: string): Promise<boolean>
  /** Whether the access of this user or client has been cut off since. @throws OAuthError 503 */
  isCutOff(grant: Grant): Promise<boolean>
  /** The name of the grant in the store, which is no secret. */
  nameOf(sid: string): string
  /** Whether there is a grant of this name, revoked or not. */
  hasNamed(name: string): Promise<boolean>
  /** Deletes a grant that has been cut off: nobody needs Entra's tokens any more. */
  removeNamed(name: string): Promise<boolean>
  /** What changes whenever any grant or token ends before its time. */
  readonly news: Pick<News, 'recall' | 'read' | 'readNow'>
  /** Seconds the grant may still live. */
  remaining(grant: Grant): number
}

/** What it takes to keep grants. */
export interface GrantsOptions {
  readonly vault: Vault
  readonly cutOffs: CutOffs
  readonly news: News
  readonly lifetimes: Lifetimes
  readonly now: Clock
}

/**
 * Nothing that must last depends on a lock or on the order of two writes. A revocation is a mark of its own that
 * lives as long as the grant could, and everything that reads a grant also reads the mark. So an edit that was under
 * way may write the grant back, and the login still stays ended.
 */
export function grants(options: GrantsOptions): Grants {
  const { vault, cutOffs, news, lifetimes, now } = options
  const records = vault.shelf<Grant>('grant')
  const revokedGrants = vault.shelf<true>('revoked')
  const revokedTokens = vault.shelf<true>('revoked-token')
  const exclusively = grantLocks(vault)

  const remaining = ({ renewedAt, createdAt, endsAt = Number.POSITIVE_INFINITY }: Grant) =>
    Math.min(renewedAt + lifetimes.grant, createdAt + lifetimes.grantMaxAge, endsAt) - now() / 1000

  // `has`, because a mark that this server has no key to read still counts: when in doubt, refuse.
  const isRevoked = (sid: string) => revokedGrants.has(sid)
  const isCutOff = (grant: Grant) => cutOffs.isOver(accessOf(grant))

  // The revocation itself is written by then, and nobody would come back to tell the gates of it.
  const publish = () => keepTrying(news.publish, { now })

  const read = async (sid: string) => {
    const [record, revoked] = await Promise.all([records.get(sid), isRevoked(sid)])
    return !record || revoked || (await isCutOff(record.value)) ? undefined : record
  }

  const keep = async (sid: string, grant: Grant) => {
    await records.set(sid, grant, remaining(grant))
    if (!(await isRevoked(sid)) && !(await isCutOff(grant))) return true
    await records.remove(sid)
    return false
  }

  return Object.freeze({
    begin: (sid: string, grant: Grant) => records.set(sid, grant, remaining(grant)),
    read,
    async reread(sid: string, known: VaultRecord<Grant>) {
      const record = await records.getAgain(sid, known)
      if (!record || (record !== known && (await isRevoked(sid)))) return undefined
      return (await isCutOff(record.value)) ? undefined : record
    },
    keep,
    exclusively,
    isCutOff,
    nameOf: records.nameOf,
    hasNamed: records.hasNamed,
    removeNamed: records.removeNamed,
    async revoke(sid: string) {
      // No edit under way can write the grant for longer than this.
      await revokedGrants.set(sid, true, lifetimes.grant)
      const existed = await records.remove(sid)
      await publish()
      return existed
    },
    async revokeToken(sid: string, jti: string, exp: number) {
      const seconds = exp - now() / 1000
      if (seconds <= 0) return undefined
      await revokedTokens.set(tokenSecret(sid, jti), true, seconds)
      // Gates look at the marks when a grant has been written, so it is written again, unchanged.
      const grant = await exclusively(sid, async () => {
        const current = (await read(sid))?.value
        if (current) await keep(sid, current)
        return current
      })
      await publish()
      return grant
    },
    isTokenRevoked: (sid: string, jti: string) => revokedTokens.has(tokenSecret(sid, jti)),
    news,
    remaining,
  })
}

function tokenSecret(sid: string, jti: string): string {
  return `${sid}\0${jti}`
}
