/**
 * Cut-offs: times at which all access of a user, of a client, of a user through one client, or of a tenant was ended.
 * They also end what no index knows of. Access given later is not touched.
 */
import type { Clock } from '../async/clock.js'
import { keepTrying } from '../storage/keep-trying.js'
import type { Vault } from '../storage/vault.js'
import type { News } from './news.js'
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
}

/** What it takes to keep cut-offs. */
export interface CutOffsOptions {
  readonly vault: Vault
  /** Seconds for which access lasts that nobody renews: what was cut off cannot be renewed. */
  readonly lifetime: number
  readonly news: News
  readonly now: Clock
}

/** Seconds by which the clocks of two replicas may differ. */
const clockSkew = 300
const latestOfAll = 'latest'
/** How many times one cut-off is written at most. Each time another one, of anybody, has come between. */
const mostWrites = 5

/**
 * Only access that is older than the latest cut-off of all is looked up, and when that was is read again when there are
 * news: so being asked costs next to nothing. A cut-off is a note and not a sealed record, because it tells nothing but
 * a time, and must count even when the keys have changed since.
 */
export function cutOffs({ vault, lifetime, news, now }: CutOffsOptions): CutOffs {
  const times = vault.notes('cut-off')
  let known: { readonly news: string; readonly latest: number } | undefined

  /** Seconds since the epoch; 0 when there was none. */
  const readTime = async (name: string) => Number((await times.get(name)) ?? 0)

  /**
   * Not earlier than the time that is there, for the clock of whoever recorded that may be ahead. A note that is no number
   * ends what is given later, too: a new cut-off takes its place.
   */
  const later = async (name: string, time: number) => Math.max(time, await readTime(name)) || time

  /**
   * Writes a cut-off. An earlier one that is slow on its way must not take the place of a later one: so whoever has
   * written looks whether another was recorded meanwhile, and if so writes again.
   *
   * @returns whether it was the only one
   */
  const write = async (name: string) => {
    const time = now() / 1000
    const mark = String(await later(latestOfAll, time))
    await times.set(latestOfAll, mark, lifetime)
    await times.set(name, String(await later(name, time)), lifetime)
    return (await times.get(latestOfAll)) === mark
  }

  const latest = async () => {
    const text = news.recall() ?? (await news.read())
    if (known?.news !== text) known = { news: text, latest: await readTime(latestOfAll) }
    return known.latest
  }

  return Object.freeze({
    async record(cutOff: CutOff) {
      for (let left = mostWrites; left > 0 && !(await write(nameOf(cutOff))); left--);
      // Again where it fails: the page of apps leaves out what has ended, so nobody could end it there a second time, and
      // a gate that has heard no news would go on letting it in.
      await keepTrying(news.publish, { now })
    },
    async isOver({ tid, oid, client, at }: GivenAccess) {
      if (at > (await latest()) + clockSkew) return false
      const scopes = [{ tid }, { tid, oid }, { tid, oid, client }, { client }]
      const cuts = await Promise.all(scopes.map((scope) => times.get(nameOf(scope))))
      // A note that is no number compares as false, here and above, and so it counts as a cut-off.
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
