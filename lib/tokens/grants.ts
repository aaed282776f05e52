/** Grants: one login each, opened by the `sid` that only its access and refresh tokens carry. */
import { randomId, randomSecret } from '../crypto/hashing.js'
import { unavailable } from '../oauth/errors.js'
import type { Vault, VaultRecord } from '../storage/vault.js'
import type { Lifetimes } from './lifetimes.js'
import type { Grant } from './records.js'

/** The grants in the store. */
export interface Grants {
  /** Stores a grant that lives until its code is redeemed or runs out. @returns its `sid` */
  create(grant: Grant): Promise<string>
  /** The grant, unless there is none or it was revoked. */
  read(sid: string): Promise<VaultRecord<Grant> | undefined>
  /** Like read, but one store operation and the same object back while nobody has written the grant. */
  reread(sid: string, known: VaultRecord<Grant>): Promise<VaultRecord<Grant> | undefined>
  /** Writes a grant for the rest of its life. False when it was revoked in the meantime: then it stays gone. */
  keep(sid: string, grant: Grant): Promise<boolean>
  /** Ends a grant for good, on every replica. True when there was one. */
  revoke(sid: string): Promise<boolean>
  /** Runs `edit` while nobody else edits the grant, on any replica. @throws OAuthError 503 when it stays busy */
  exclusively<T>(sid: string, edit: () => Promise<T>): Promise<T>
  /** Ends one access token before its time; the grant goes on. @param exp seconds since the epoch */
  revokeToken(sid: string, jti: string, exp: number): Promise<void>
  /** Whether this one access token was revoked. */
  isTokenRevoked(sid: string, jti: string): Promise<boolean>
  /** Goes up with every revocation by this process, so that its own gates need not wait to notice. */
  readonly revocations: number
  /** Seconds the grant may still live. */
  remaining(grant: Grant): number
}

const lockSeconds = 30
/** Milliseconds after which a holder no longer relies on its lock being its own. */
const lockIsOurs = 20_000
/** Further tries to give a lock back, and milliseconds between them. */
const releaseTries = 5
const releasePause = 1000
/** Milliseconds to wait for another editor before answering 503. */
const patience = 15_000

/**
 * Nothing that must last depends on a lock or on the order of two writes. A revocation is a mark of its own that
 * lives as long as the grant could, and whoever reads a grant reads the mark: an edit that was under way may
 * write the grant back, and the login stays ended all the same. The lock only keeps two editors from asking
 * Entra twice.
 *
 * @param now milliseconds since the epoch
 */
export function grants(vault: Vault, lifetimes: Lifetimes, now: () => number): Grants {
  const records = vault.shelf<Grant>('grant')
  const revokedGrants = vault.shelf<true>('revoked')
  const revokedTokens = vault.shelf<true>('revoked-token')
  const locks = vault.shelf<string>('lock')

  const remaining = ({ renewedAt, createdAt }: Grant) =>
    Math.min(renewedAt + lifetimes.grant, createdAt + lifetimes.grantMaxAge) - now() / 1000

  // A mark that this server has no key to read still counts, hence `has`: when in doubt, refuse.
  const isRevoked = (sid: string) => revokedGrants.has(sid)

  const read = async (sid: string) => {
    const [record, revoked] = await Promise.all([records.get(sid), isRevoked(sid)])
    return revoked ? undefined : record
  }

  const acquire = async (sid: string, owner: string) => {
    let pause = 10
    for (let waited = 0; !(await locks.add(sid, owner, lockSeconds)); waited += pause) {
      if (waited > patience)
        throw unavailable('The session is busy. Try again shortly.', 'lock held')
      await new Promise((resolve) => setTimeout(resolve, pause))
      pause = Math.min(200, pause * 2)
    }
  }

  const keep = async (sid: string, grant: Grant) => {
    await records.set(sid, grant, remaining(grant))
    if (!(await isRevoked(sid))) return true
    await records.take(sid)
    return false
  }

  /** Gives the lock back if it is still the owner's. What was somebody else's after all is put back. */
  const giveBack = async (sid: string, owner: string, surely: boolean): Promise<void> => {
    if (!surely && (await locks.get(sid))?.value !== owner) return
    const taken = await locks.take(sid)
    if (taken !== undefined && taken !== owner) await locks.add(sid, taken, lockSeconds)
  }

  /**
   * A lock that cannot be given back now is given back soon, and runs out by itself at last. Only the first try
   * trusts that the lock is there: a try that failed may have taken effect, and then another owner has it.
   */
  const release = async (
    sid: string,
    owner: string,
    surely: boolean,
    tries = releaseTries,
  ): Promise<void> => {
    try {
      await giveBack(sid, owner, surely)
    } catch {
      if (tries === 0) return
      setTimeout(() => void release(sid, owner, false, tries - 1), releasePause).unref()
    }
  }

  const exclusively = async <T>(sid: string, edit: () => Promise<T>) => {
    const owner = randomId()
    await acquire(sid, owner)
    const since = performance.now()
    try {
      return await edit()
    } finally {
      await release(sid, owner, performance.now() - since < lockIsOurs)
    }
  }

  let revocations = 0
  return Object.freeze({
    async create(grant: Grant) {
      const sid = randomSecret()
      await records.set(sid, grant, lifetimes.code + 10)
      return sid
    },
    read,
    async reread(sid: string, known: VaultRecord<Grant>) {
      const record = await records.getAgain(sid, known)
      return record && record !== known && (await isRevoked(sid)) ? undefined : record
    },
    keep,
    exclusively,
    async revoke(sid: string) {
      // No edit under way can write the grant for longer than this.
      await revokedGrants.set(sid, true, lifetimes.grant)
      const grant = await records.take(sid)
      revocations += 1
      return grant !== undefined
    },
    async revokeToken(sid: string, jti: string, exp: number) {
      const seconds = exp - now() / 1000
      if (seconds <= 0) return
      await revokedTokens.set(tokenOf(sid, jti), true, seconds)
      // Gates look at the marks when a grant has been written, so it is written again, as it is.
      await exclusively(sid, async () => {
        const grant = (await read(sid))?.value
        if (grant) await keep(sid, grant)
      })
      revocations += 1
    },
    isTokenRevoked: (sid: string, jti: string) => revokedTokens.has(tokenOf(sid, jti)),
    get revocations() {
      return revocations
    },
    remaining,
  })
}

function tokenOf(sid: string, jti: string): string {
  return `${sid}\0${jti}`
}
