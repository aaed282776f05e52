import { randomSecret } from '../../lib/crypto/hashing.js'
import { keyRing } from '../../lib/crypto/key-ring.js'
import { memoryStorage } from '../../lib/storage/memory.js'
import type { Storage } from '../../lib/storage/storage.js'
import { vault } from '../../lib/storage/vault.js'
import { authorizationCodes } from '../../lib/tokens/authorization-code.js'
import { cutOffs } from '../../lib/tokens/cut-offs.js'
import { grants } from '../../lib/tokens/grants.js'
import { type Lifetimes, lifetimes } from '../../lib/tokens/lifetimes.js'
import { news } from '../../lib/tokens/news.js'
import type { Grant, UpstreamGrant } from '../../lib/tokens/records.js'
import { type Renewal, refreshTokens } from '../../lib/tokens/refresh-token.js'

/** Milliseconds since the epoch at which every test begins. */
export const start = 1_800_000_000_000
export const ring = keyRing(['operator-secret-of-these-tests-01'])
export const clientHash = 'hash-of-the-client-id'

export const loginGrant: Grant & { readonly upstream: UpstreamGrant } = {
  user: { oid: 'oid-alice', tid: 'tid-contoso', sub: 'pairwise-alice', roles: [] },
  client: clientHash,
  scopes: ['notes.read'],
  requested: ['notes.read', 'notes.write'],
  resource: 'https://mcp.contoso.com/mcp',
  upstream: { accessToken: 'at-0', expiresAt: start / 1000 + 3600, refreshToken: 'rt-0' },
  createdAt: start / 1000,
  renewedAt: start / 1000,
  generation: 0,
}

/** One clock and one store. */
export interface World {
  readonly clock: { now: number }
  readonly storage: ReturnType<typeof memoryStorage>
  /** A process over the store, or over the store as it sees it. */
  replica(given?: Partial<Lifetimes>, seen?: Storage): Replica
}

export type Replica = ReturnType<typeof processOver>

export function world(): World {
  const clock = { now: start }
  const now = () => clock.now
  const storage = memoryStorage({ now })
  return {
    clock,
    storage,
    replica: (given = {}, seen = storage) => processOver(seen, lifetimes(given), now),
  }
}

/** A process with these keys. */
export function processOver(storage: Storage, life: Lifetimes, now: () => number, keys = ring) {
  const records = vault(storage, keys)
  const lifetime = life.grant
  const endings = news({ vault: records, lifetime, monotonic: now })
  const ended = cutOffs({ vault: records, lifetime, news: endings, now })
  const all = grants({ vault: records, cutOffs: ended, news: endings, lifetimes: life, now })
  return {
    grants: all,
    cutOffs: ended,
    codes: authorizationCodes(records, all, life),
    refreshTokens: refreshTokens(keys, records, all, life, now),
  }
}

/** A login whose code has been redeemed. */
export async function login(
  { grants: all, refreshTokens: tokens }: Replica,
  grant: Grant = loginGrant,
) {
  const sid = randomSecret()
  // The first to read the news of a new store writes some.
  await all.news.read()
  await all.begin(sid, grant)
  return { sid, token: tokens.issue(sid, grant.generation) }
}

/** Presents a refresh token as the endpoint does: read it and its grant, then rotate. */
export async function present(replica: Replica, token: string, renewal: Renewal) {
  const presented = replica.refreshTokens.read(token)
  const known = presented && (await replica.grants.read(presented.sid))
  return known
    ? replica.refreshTokens.rotate(presented, known, renewal)
    : ({ outcome: 'gone' } as const)
}

/**
 * An Entra that counts. Every renewal gives new upstream tokens and every answer is one of a kind, so that
 * two equal answers are one answer.
 */
export function fakeEntra(before: () => Promise<void> = async () => undefined) {
  const entra = {
    renewals: 0,
    answers: 0,
    async renew(grant: Grant): Promise<Grant> {
      entra.renewals += 1
      const count = entra.renewals
      await before()
      const upstream = {
        ...loginGrant.upstream,
        ...grant.upstream,
        accessToken: `at-${count}`,
        refreshToken: `rt-${count}`,
      }
      return { ...grant, upstream }
    },
    async answer(sid: string, grant: Grant, refreshToken: string) {
      entra.answers += 1
      return {
        access_token: `${sid}.${grant.upstream?.accessToken}.${entra.answers}`,
        token_type: 'Bearer' as const,
        expires_in: 3600,
        scope: grant.scopes.join(' '),
        refresh_token: refreshToken,
      }
    },
  }
  return entra
}

/** A storage that runs something around each of its operations. */
export function around(
  storage: Storage,
  run: <T>(name: keyof Storage, operation: () => Promise<T>, key: string) => Promise<T>,
): Storage {
  return {
    get: (key) => run('get', () => storage.get(key), key),
    set: (key, value, ttl) => run('set', () => storage.set(key, value, ttl), key),
    add: (key, value, ttl) => run('add', () => storage.add(key, value, ttl), key),
    take: (key) => run('take', () => storage.take(key), key),
  }
}

/** Lets everything that can go on without timers go on. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
