/**
 * Cut-offs: times at which all access of a user, of a client, of a user through one client, or of a tenant was ended.
 * They also end what no index knows of. Access given later is not touched.
 */
import type { Clock } from '../async/clock.js'
import type { Vault } from '../storage/vault.js'
import { type News, news } from './news.js'
import type { Grant } from './records.js'

/** Whose access ends; where several members are named, all of them must match. The client by the SHA-256 of its id. */
export type CutOff =
  | { readonly tid: string; readonly oid?: never; readonly client?: never }
  | { readonly tid: string; readonly oid: string; readonly client?: string }
  | { readonly client: string; readonly tid?: never; readonly oid?: never }

/** Access that a user gave a client. */
export interface GivenAccess {
  readonly tid: string
  readonly oid: string
  /** SHA-256 of the client id. */
  readonly client: string
  /** When it was given: seconds since the epoch, with fractions. */
  readonly at: number
}

/** The cut-offs in the store. */
export interface CutOffs {
  /** Ends all access given so far; on every replica within a second. @throws OAuthError 503: then do it again */
  record(cutOff: CutOff): Promise<void>
  /** Whether access was cut off after it was given. @throws OAuthError 503 */
  isOver(access: GivenAccess): Promise<boolean>
  /** Changes with every cut-off. */
  readonly news: Pick<News, 'recall' | 'read'>
}

/** What it takes to keep cut-offs. */
export interface CutOffsOptions {
  readonly vault: Vault
  /** Seconds for which access lasts that nobody renews: what was cut off cannot be renewed. */
  readonly lifetime: number
  readonly now: Clock
  /** Milliseconds on a clock that only goes forward. */
  readonly monotonic: Clock
}

/** Seconds by which the clocks of two replicas may differ. */
const clockSkew = 300

/**
 * Only access that is older than the latest cut-off of all is looked up: while there is none, being asked costs one
 * store operation a second in each process. A cut-off is a note and not a sealed record, because it tells nothing but
 * a time, and must count even when the keys have changed since.
 */
export function cutOffs({ vault, lifetime, now, monotonic }: CutOffsOptions): CutOffs {
  const times = vault.notes('cut-off')
  const all = news({ vault, subject: 'cut-offs', lifetime, now, monotonic })
  return Object.freeze({
    news: all,
    async record(cutOff: CutOff) {
      await times.set(nameOf(cutOff), String(now() / 1000), lifetime)
      await all.publish(await all.latest())
    },
    async isOver({ tid, oid, client, at }: GivenAccess) {
      if (at > (await all.latest()) + clockSkew) return false
      const scopes = [{ tid }, { tid, oid }, { tid, oid, client }, { client }]
      const cuts = await Promise.all(scopes.map((scope) => times.get(nameOf(scope))))
      // The other way round would let pass what is no number.
      return cuts.some((cut) => cut !== undefined && !(at > Number(cut)))
    },
  })
}

/** The access that a grant is. */
export function accessOf({ user, client, createdAt }: Grant): GivenAccess {
  return { tid: user.tid, oid: user.oid, client, at: createdAt }
}

/** JSON, so that no two cut-offs share a name, whatever their ids look like. */
function nameOf({ tid = '', oid = '', client = '' }: CutOff): string {
  return JSON.stringify([tid, oid, client])
}
