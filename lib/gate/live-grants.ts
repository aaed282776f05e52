/**
 * The grants behind the tokens that a gate has verified: one copy for all tokens of a login. Once a second a gate in
 * use reads whether anything was revoked or cut off; only then, and once a minute, is a grant in use looked at
 * again in the store. So a revocation reaches every replica within a second, and a busy token costs no store operation.
 */
import { boundedMap } from '../async/bounded-map.js'
import { singleFlight } from '../async/single-flight.js'
import type { VaultRecord } from '../storage/vault.js'
import type { Grants } from '../tokens/grants.js'
import type { Grant } from '../tokens/records.js'

/** A grant as it was last read. The same object comes again for as long as nobody has written the grant. */
export type GrantRecord = VaultRecord<Grant>

/** The grants that a gate knows. */
export interface LiveGrants {
  /** The grant, if it is certain without asking the store that it is as it was. */
  recall(sid: string): GrantRecord | undefined
  /**
   * The grant, looked at in the store if that is needed to be certain. Undefined when it is gone, revoked or cut off.
   *
   * @throws OAuthError 503
   */
  read(sid: string): Promise<GrantRecord | undefined>
  /**
   * Reads whether anything has ended up to now, and not up to a second ago.
   *
   * @returns a text that is another one whenever something has
   * @throws OAuthError 503
   */
  catchUp(): Promise<string>
  /**
   * Notes a token of a login.
   *
   * @returns the key of the one that was its newest before, which its client has replaced by refreshing
   */
  supersede(sid: string, token: IssuedToken): string | undefined
}

/** A token of ours, as the cache of tokens knows it. */
export interface IssuedToken {
  readonly key: string
  /** Seconds since the epoch. */
  readonly issuedAt: number
}

/** What it takes to keep grants. */
export interface LiveGrantsOptions {
  readonly grants: Grants
  /** Bytes of all grants that are kept. */
  readonly maxBytes: number
  /** Hears that a login is in use: at most each time its grant is read. */
  readonly onUse?: ((sid: string, grant: Grant) => void) | undefined
  /** Milliseconds on a clock that only goes forward: a revocation must not wait for one that jumped back. */
  readonly monotonic: () => number
}

interface Known {
  readonly record: GrantRecord
  /** When it was read last, on the monotonic clock. */
  checkedAt: number
  /** The news by then. */
  news: string
  newest?: IssuedToken | undefined
}

/** Milliseconds after which a grant is read again without news: others may have refreshed it, or it was lost. */
const recheckAfter = 60_000
/** Milliseconds after which a grant that no token has asked for is dropped: a quarter of an hour. */
const keptUnused = 900_000

/** Makes an empty collection. */
export function liveGrants(options: LiveGrantsOptions): LiveGrants {
  const { grants, maxBytes, onUse, monotonic } = options
  const isOver = ({ checkedAt }: Known) => monotonic() - checkedAt > keptUnused
  const known = boundedMap<Known>({ maxBytes, sizeOf, isOver, monotonic })
  const flights = singleFlight<GrantRecord | undefined>()

  const isFresh = (entry: Known, news: string | undefined) =>
    entry.news === news && monotonic() - entry.checkedAt < recheckAfter

  const recall = (sid: string) => {
    const entry = known.get(sid)
    return entry && isFresh(entry, grants.news.recall()) ? entry.record : undefined
  }

  const readStore = async (sid: string) => {
    // Before the grant: what ends while that is read is news the next time.
    const news = grants.news.recall() ?? (await grants.news.read())
    const last = known.get(sid)
    if (last && isFresh(last, news)) return last.record
    const seen = { checkedAt: monotonic(), news }
    const found = last ? await grants.reread(sid, last.record) : await grants.read(sid)
    if (found) onUse?.(sid, found.value)
    if (last && found === last.record) return Object.assign(last, seen).record
    known.delete(sid)
    const record = found && withoutRefreshToken(found)
    if (record) known.set(sid, { record, ...seen, newest: last?.newest })
    return record
  }

  return Object.freeze({
    recall,
    read(sid: string) {
      return flights.run(sid, () => readStore(sid))
    },
    catchUp: () => grants.news.readNow(),
    supersede(sid: string, token: IssuedToken) {
      const login = known.get(sid)
      const last = login?.newest
      if (!login || (last && last.issuedAt >= token.issuedAt)) return undefined
      login.newest = token
      return last?.key
    },
  })
}

/** The gate has no use for Entra's refresh token. Who renews a login reads it from the store. */
function withoutRefreshToken({ value, version }: GrantRecord): GrantRecord {
  if (!value.upstream) return { value, version }
  const { refreshToken: _unused, ...upstream } = value.upstream
  return { value: { ...value, upstream }, version }
}

/** Entra's access token is most of it, a byte for each character. */
function sizeOf({ record }: Known): number {
  return (record.value.upstream?.accessToken.length ?? 0) + objects
}

/** Bytes that the rest of a grant and the objects around it take, as measured. */
const objects = 1536
