/**
 * Refresh tokens: opaque, rotated at each use, and idempotent. One caller wins the rotation and asks Entra;
 * everyone else with the same token, on any replica, gets the very same answer within the grace. Afterwards
 * the same token again means that somebody stole it.
 */
import { randomSecret } from '../crypto/hashing.js'
import type { Vault } from '../storage/vault.js'
import type { Grants } from './grants.js'
import type { Lifetimes } from './lifetimes.js'
import type { Grant, RefreshRecord, TokenAnswer } from './records.js'

/** What a rotation needs from the grant it renews. */
export interface Renewal {
  /** Gets new tokens from Entra. Rejects when Entra says no or says nothing: then nothing has changed. */
  renew(grant: Grant): Promise<Grant>
  /** Makes the answer that every caller gets. */
  answer(sid: string, grant: Grant, refreshToken: string): TokenAnswer
}

/** How a rotation went. */
export type Rotation =
  | { readonly outcome: 'rotated' | 'repeated'; readonly answer: TokenAnswer }
  | { readonly outcome: 'reused' | 'gone' }

/** The refresh tokens in the store. */
export interface RefreshTokens {
  create(sid: string, client: string, lifetime: number): Promise<string>
  read(token: string): Promise<RefreshRecord | undefined>
  rotate(token: string, record: RefreshRecord, renewal: Renewal): Promise<Rotation>
}

/** @param now milliseconds since the epoch @see RFC 9700 section 4.14.2 */
export function refreshTokens(
  vault: Vault,
  grants: Grants,
  lifetimes: Lifetimes,
  now: () => number,
): RefreshTokens {
  const records = vault.shelf<RefreshRecord>('refresh')
  const answers = vault.shelf<TokenAnswer>('refresh-answer')
  const inFlight = new Map<string, Promise<Rotation>>()

  const create = async (sid: string, client: string, lifetime: number) => {
    const token = randomSecret()
    await records.write(token, { sid, client, createdAt: Math.floor(now() / 1000) }, lifetime)
    return token
  }

  /** A token that has been used: the same answer again, or the end of the grant. */
  const again = async (token: string, sid: string): Promise<Rotation> => {
    const answer = lifetimes.refreshGrace > 0 ? (await answers.read(token))?.value : undefined
    if (answer) return { outcome: 'repeated', answer }
    await grants.revoke(sid)
    return { outcome: 'reused' }
  }

  const rotateOnce = async (
    token: string,
    known: RefreshRecord,
    renewal: Renewal,
  ): Promise<Rotation> => {
    const { sid, client } = known
    if (known.used) return again(token, sid)
    return grants.exclusively(sid, async () => {
      const record = (await records.read(token))?.value
      if (record?.used) return again(token, sid)
      const before = record && (await grants.read(sid))?.value
      if (!before || grants.remaining(before) < 1) return { outcome: 'gone' }
      const grant = await renewal.renew(before)
      const life = grants.remaining(grant)
      // In this order a crash at any point leaves the client with a token that works: until the tombstone
      // stands the old one does, and from then on its repeated answer does.
      const next = await create(sid, client, life)
      if (!(await grants.keep(sid, grant))) return { outcome: 'gone' }
      const answer = renewal.answer(sid, grant, next)
      if (lifetimes.refreshGrace > 0) await answers.write(token, answer, lifetimes.refreshGrace)
      await records.write(token, { ...known, used: true }, life)
      return { outcome: 'rotated', answer }
    })
  }

  return Object.freeze({
    create,
    async read(token: string) {
      return (await records.read(token))?.value
    },
    async rotate(token: string, record: RefreshRecord, renewal: Renewal) {
      const running = lifetimes.refreshGrace > 0 ? inFlight.get(token) : undefined
      if (running) return running
      const rotation = rotateOnce(token, record, renewal).finally(() => inFlight.delete(token))
      inFlight.set(token, rotation)
      return rotation
    },
  })
}
