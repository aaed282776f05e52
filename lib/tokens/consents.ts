/** Consents that are remembered: what a user has allowed a client, so that nobody is asked the same thing twice. */
import type { Clock } from '../async/clock.js'
import type { Vault } from '../storage/vault.js'
import type { UserId } from './connected-apps.js'
import type { CutOffs } from './cut-offs.js'

/** A user, and a client that asks them. */
export interface ConsentParties extends UserId {
  /** SHA-256 of the client id. */
  readonly client: string
}

/** What a client asks for, as the consent page shows it. */
export interface AskedAccess {
  /** Where the sign-in goes: `redirectOrigin` of the redirect URI. */
  readonly origin: string
  /** Short names. */
  readonly scopes: readonly string[]
  /** Scopes of downstream APIs. */
  readonly downstream: readonly string[]
}

/** What a user has approved on one page. */
export interface Approval extends AskedAccess {
  /** Seconds since the epoch. */
  readonly approvedAt: number
}

/** The consents in the store: one record for each user and client. */
export interface Consents {
  /** The approvals that still count: younger than the lifetime, and not ended since. @throws OAuthError 503 */
  read(parties: ConsentParties): Promise<readonly Approval[]>
  /**
   * Adds an approval, which counts for nothing if its user has said no since. When two are added at once, one of them
   * may be lost: then its user is asked again.
   *
   * @throws OAuthError 503
   */
  record(parties: ConsentParties, approval: Approval): Promise<void>
  /** Forgets all approvals up to now, those of logins that are still at Entra too. @throws OAuthError 503 */
  forget(parties: ConsentParties): Promise<void>
}

/** Options of {@link consents}. */
export interface ConsentsOptions {
  readonly vault: Vault
  readonly cutOffs: Pick<CutOffs, 'isOver'>
  /** Seconds. An approval does not live longer because it was used. */
  readonly lifetime: number
  readonly now: Clock
}

/** The latest approvals that are kept of one user for one client. */
const mostApprovals = 8

/** See the file's own comment. */
export function consents({ vault, cutOffs, lifetime, now }: ConsentsOptions): Consents {
  const shelf = vault.shelf<readonly Approval[]>('consent')
  // A note of its own: an approval that is added at the same time cannot take its place.
  const denials = vault.notes('consent-denial')
  const name = ({ client, tid, oid }: ConsentParties) => `${client}\n${tid}\n${oid}`

  /** The newest first. */
  const readFresh = async (parties: ConsentParties) => {
    const [record, deniedAt = '0'] = await Promise.all([
      shelf.get(name(parties)),
      denials.get(name(parties)),
    ])
    // A note that is no number compares as false, and so nothing counts that was approved.
    const isFresh = ({ approvedAt }: Approval) =>
      approvedAt > Number(deniedAt) && approvedAt + lifetime > now() / 1000
    return (record?.value ?? []).filter(isFresh)
  }

  return Object.freeze({
    async read(parties: ConsentParties) {
      const newestFirst = await readFresh(parties)
      // What has ended an approval has ended all before it: so the oldest is usually the only one to ask about.
      for (const [index, { approvedAt: at }] of [...newestFirst.entries()].reverse()) {
        if (!(await cutOffs.isOver({ ...parties, at }))) return newestFirst.slice(0, index + 1)
      }
      return []
    },
    async record(parties: ConsentParties, approval: Approval) {
      const before = await readFresh(parties)
      const others = before.filter((earlier) => !isWithin(earlier, approval))
      const newestFirst = [approval, ...others].sort((a, b) => b.approvedAt - a.approvedAt)
      await shelf.set(name(parties), newestFirst.slice(0, mostApprovals), lifetime)
    },
    // An approval from before would not count for longer than the note is kept.
    forget: (parties: ConsentParties) => denials.set(name(parties), String(now() / 1000), lifetime),
  })
}

/** What of an access is new to a user who has approved something before. */
export interface NewAccess {
  readonly origin: boolean
  readonly scopes: readonly string[]
  readonly downstream: readonly string[]
}

/**
 * Finds what a user has not approved yet: for this redirect origin, or when the origin itself is new, for any. Scopes
 * are compared by name: one that another includes was not on the page.
 *
 * @returns undefined when the user has approved nothing at all
 */
export function findNewAccess(
  approvals: readonly Approval[],
  asked: AskedAccess,
): NewAccess | undefined {
  if (approvals.length === 0) return undefined
  const here = approvals.filter(({ origin }) => origin === asked.origin)
  const known = here.length > 0 ? here : approvals
  const lacking = (wanted: readonly string[], approved: readonly string[]) =>
    wanted.filter((scope) => !approved.includes(scope))
  return {
    origin: here.length === 0,
    scopes: lacking(
      asked.scopes,
      known.flatMap(({ scopes }) => scopes),
    ),
    downstream: lacking(
      asked.downstream,
      known.flatMap(({ downstream }) => downstream),
    ),
  }
}

/** Whether a user has approved all of it before. */
export function isNothingNew(found: NewAccess | undefined): boolean {
  if (!found || found.origin) return false
  return found.scopes.length === 0 && found.downstream.length === 0
}

function isWithin(earlier: Approval, later: Approval): boolean {
  return isNothingNew(findNewAccess([later], earlier))
}
