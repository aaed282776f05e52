/** Grants: one login each, opened by the `sid` that only its access and refresh tokens carry. */
import { randomSecret } from '../crypto/hashing.js'
import { unavailable } from '../oauth/errors.js'
import type { Vault, VaultRecord } from '../storage/vault.js'
import type { Lifetimes } from './lifetimes.js'
import type { Grant } from './records.js'

/** The grants in the store. */
export interface Grants {
  /** Stores a grant that lives until its code is redeemed or runs out. @returns its `sid` */
  create(grant: Grant): Promise<string>
  read(sid: string): Promise<VaultRecord<Grant> | undefined>
  reread(sid: string, known: VaultRecord<Grant>): Promise<VaultRecord<Grant> | undefined>
  /** Writes a grant with its full life. False when it was revoked in the meantime: then it stays gone. */
  keep(sid: string, grant: Grant): Promise<boolean>
  /** Ends a grant for good, on every replica. True when there was one. */
  revoke(sid: string): Promise<boolean>
  /** Runs `edit` while nobody else edits the grant, on any replica. @throws OAuthError 503 when it stays busy */
  exclusively<T>(sid: string, edit: () => Promise<T>): Promise<T>
  /** Ends one access token before its time; the grant goes on. @param exp seconds since the epoch */
  revokeToken(sid: string, jti: string, exp: number): Promise<void>
  /** Goes up with every revocation by this process, so that its own gates need not wait to notice. */
  readonly revocations: number
  /** Seconds the grant may still live. */
  remaining(grant: Grant): number
}

const lockSeconds = 30
/** Further tries to give a lock back, and milliseconds between them. */
const releaseTries = 5
const releasePause = 1000
/** Far longer than any edit of a grant can be under way. */
const revocationSeconds = 600
/** Milliseconds to wait for another editor before answering 503. */
const patience = 15_000

/** @param now milliseconds since the epoch */
export function grants(vault: Vault, lifetimes: Lifetimes, now: () => number): Grants {
  const records = vault.shelf<Grant>('grant')
  const revokedMarks = vault.shelf<true>('revoked')
  const locks = vault.shelf<true>('lock')

  const remaining = (grant: Grant) =>
    Math.min(lifetimes.grant, grant.createdAt + lifetimes.grantMaxAge - now() / 1000)

  const acquire = async (sid: string) => {
    let pause = 10
    for (let waited = 0; !(await locks.claim(sid, true, lockSeconds)); waited += pause) {
      if (waited > patience)
        throw unavailable('The session is busy. Try again shortly.', 'lock held')
      await new Promise((resolve) => setTimeout(resolve, pause))
      pause = Math.min(200, pause * 2)
    }
  }

  const keep = async (sid: string, grant: Grant) => {
    await records.write(sid, grant, remaining(grant))
    // A revocation writes its mark before it takes the record, so one of the two sees the other.
    if (!(await revokedMarks.read(sid))) return true
    await records.take(sid)
    return false
  }

  /** A lock that cannot be given back now is given back soon, and runs out by itself at last. */
  const release = async (sid: string, tries = releaseTries): Promise<void> => {
    try {
      await locks.take(sid)
    } catch {
      if (tries > 0) setTimeout(() => void release(sid, tries - 1), releasePause).unref()
    }
  }

  const exclusively = async <T>(sid: string, edit: () => Promise<T>) => {
    await acquire(sid)
    try {
      return await edit()
    } finally {
      await release(sid)
    }
  }

  let revocations = 0
  return Object.freeze({
    async create(grant: Grant) {
      const sid = randomSecret()
      await records.write(sid, grant, lifetimes.code + 10)
      return sid
    },
    read: (sid: string) => records.read(sid),
    reread: (sid: string, known: VaultRecord<Grant>) => records.reread(sid, known),
    keep,
    exclusively,
    async revoke(sid: string) {
      await revokedMarks.write(sid, true, revocationSeconds)
      const grant = await records.take(sid)
      revocations += 1
      return grant !== undefined
    },
    revokeToken: (sid: string, jti: string, exp: number) =>
      exclusively(sid, async () => {
        const grant = (await records.read(sid))?.value
        if (!grant) return
        const alive = Object.entries(grant.revoked ?? {}).filter(([, end]) => end * 1000 > now())
        await keep(sid, { ...grant, revoked: Object.fromEntries([...alive, [jti, exp]]) })
        revocations += 1
      }),
    get revocations() {
      return revocations
    },
    remaining,
  })
}
