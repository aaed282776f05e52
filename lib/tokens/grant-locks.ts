/** Locks in the store: of all replicas, one at a time edits a grant. */
import { randomId } from '../crypto/hashing.js'
import { unavailable } from '../oauth/errors.js'
import type { Vault, VaultShelf } from '../storage/vault.js'

/** Runs `edit` while nobody else edits the grant, on any replica. @throws OAuthError 503 when it stays busy */
export type EditExclusively = <T>(sid: string, edit: () => Promise<T>) => Promise<T>

/** Seconds after which a lock ends by itself. */
const lockSeconds = 30
/** Milliseconds after which a holder no longer relies on its lock being its own. */
const lockIsOurs = 20_000
/** How often a failed release is tried again, and milliseconds between the tries. */
const releaseTries = 5
const releasePause = 1000
/** Milliseconds to wait for another editor before answering 503. */
const longestWait = 15_000

/** Locks only keep two editors from asking Entra twice: nothing that must last depends on them. */
export function grantLocks(vault: Vault, { patience = longestWait } = {}): EditExclusively {
  const locks = vault.shelf<string>('lock')
  return async function exclusively(sid, edit) {
    const owner = randomId()
    await acquire({ locks, sid, owner, patience })
    const since = performance.now()
    try {
      return await edit()
    } finally {
      await release({ locks, sid, owner, isOurs: performance.now() - since < lockIsOurs })
    }
  }
}

interface WantedLock {
  readonly locks: VaultShelf<string>
  readonly sid: string
  readonly owner: string
  readonly patience: number
}

async function acquire({ locks, sid, owner, patience }: WantedLock): Promise<void> {
  let pause = 10
  for (let waited = 0; !(await locks.add(sid, owner, lockSeconds)); waited += pause) {
    if (waited > patience) throw unavailable('The session is busy. Try again shortly.', 'lock held')
    await new Promise((resolve) => setTimeout(resolve, pause))
    pause = Math.min(200, pause * 2)
  }
}

interface HeldLock {
  readonly locks: VaultShelf<string>
  readonly sid: string
  readonly owner: string
  /** Whether it is certain that the lock in the store is still the owner's. */
  readonly isOurs: boolean
}

/**
 * Removes the lock. When the store fails this is tried again in the background, and in the end the lock expires. Only
 * the first try is certain that the lock is ours: a try that failed may have taken effect, and then it may be another's.
 */
async function release(lock: HeldLock, tries = releaseTries): Promise<void> {
  try {
    await removeOwnLock(lock)
  } catch {
    if (tries === 0) return
    const tryAgain = () => void release({ ...lock, isOurs: false }, tries - 1)
    setTimeout(tryAgain, releasePause).unref()
  }
}

/** Removes the lock if it is still the owner's. A lock that turns out to be another owner's is put back. */
async function removeOwnLock({ locks, sid, owner, isOurs }: HeldLock): Promise<void> {
  if (!isOurs && (await locks.get(sid))?.value !== owner) return
  const taken = await locks.take(sid)
  if (taken !== undefined && taken !== owner) await locks.add(sid, taken, lockSeconds)
}
