/**
 * Refresh tokens: opaque, rotated at each use, and idempotent. One caller wins the rotation and asks Entra;
 * everyone else with the same token, on any replica, gets the very same answer within the grace. After the grace,
 * using the same token again means that it was stolen.
 *
 * A token is its grant's `sid` and a generation, sealed, and whether it is bound to a key. The grant holds the current
 * generation, so a token of an earlier one has been used: reuse is detected for the life of the grant, and a rotation
 * leaves nothing in the store beyond the grace.
 */
import type { Clock } from '../async/clock.js'
import { singleFlight } from '../async/single-flight.js'
import type { KeyRing } from '../crypto/key-ring.js'
import { openJson, sealJson } from '../crypto/sealing.js'
import type { Vault, VaultRecord } from '../storage/vault.js'
import type { Grants } from './grants.js'
import type { Lifetimes } from './lifetimes.js'
import type { Grant, TokenAnswer } from './records.js'

/** What a rotation needs from the grant it renews. */
export interface Renewal {
  /** Gets new tokens from Entra. When it rejects, because Entra refused or did not answer, nothing has changed. */
  renew(grant: Grant): Promise<Grant>
  /** Makes the answer that every caller gets. */
  answer(sid: string, grant: Grant, refreshToken: string): Promise<TokenAnswer>
}

/** How a rotation went. */
export type Rotation =
  | { readonly outcome: 'rotated' | 'repeated'; readonly answer: TokenAnswer }
  | { readonly outcome: 'reused' | 'gone' }

/** The content of a refresh token, which only this server can have written. */
export interface RefreshToken {
  readonly token: string
  readonly sid: string
  /** How many rotations of the grant came before it. */
  readonly generation: number
  /** Whether it was issued for a DPoP key: before, whoever had it could use it. */
  readonly isBound: boolean
}

/** Issues, reads and rotates them. */
export interface RefreshTokens {
  issue(sid: string, generation: number, isBound?: boolean): string
  /** @returns undefined for anything this server did not issue under a key it still has */
  read(token: string): RefreshToken | undefined
  /** @param known the token's grant, as it was read a moment ago */
  rotate(presented: RefreshToken, known: VaultRecord<Grant>, renewal: Renewal): Promise<Rotation>
}

const seal = { purpose: 'refresh token' } as const

/** @see RFC 9700 section 4.14.2 */
export function refreshTokens(
  ring: KeyRing,
  vault: Vault,
  grants: Grants,
  lifetimes: Lifetimes,
  now: Clock,
): RefreshTokens {
  const answers = vault.shelf<TokenAnswer>('refresh-answer')
  const flights = singleFlight<Rotation>()

  const issue = (sid: string, generation: number, isBound = false) =>
    sealJson(ring, seal, isBound ? [sid, generation, 1] : [sid, generation])

  /** Repeats the answer of a used token within the grace, and revokes the grant after it. */
  const repeatOrRevoke = async ({ token, sid }: RefreshToken): Promise<Rotation> => {
    const answer = lifetimes.refreshGrace > 0 ? (await answers.get(token))?.value : undefined
    if (answer) return { outcome: 'repeated', answer }
    await grants.revoke(sid)
    return { outcome: 'reused' }
  }

  const renewOnce = async (
    presented: RefreshToken,
    known: VaultRecord<Grant>,
    renewal: Renewal,
  ): Promise<Rotation> => {
    const { token, sid, generation } = presented
    const before = (await grants.reread(sid, known))?.value
    if (!before || grants.remaining(before) < 1) return { outcome: 'gone' }
    if (isUsed(presented, before)) return repeatOrRevoke(presented)
    const renewed = await renewal.renew(before)
    // From the token, not from the grant: a store that lost its last writes may hold an earlier generation.
    const grant = { ...renewed, generation: generation + 1, renewedAt: Math.floor(now() / 1000) }
    const next = issue(sid, grant.generation, grant.jkt !== undefined)
    const answer = await renewal.answer(sid, grant, next)
    // In this order a crash at any point leaves the client with a token that works: until the grant is written the
    // old token does, and from then on the answer to it is repeated.
    if (lifetimes.refreshGrace > 0) await answers.set(token, answer, lifetimes.refreshGrace)
    return (await grants.keep(sid, grant)) ? { outcome: 'rotated', answer } : { outcome: 'gone' }
  }

  const rotateOnce = (presented: RefreshToken, known: VaultRecord<Grant>, renewal: Renewal) =>
    isUsed(presented, known.value)
      ? repeatOrRevoke(presented)
      : grants.exclusively(presented.sid, () => renewOnce(presented, known, renewal))

  return Object.freeze({
    issue,
    read(token: string) {
      const content = openJson(ring, seal, token) as [string, number, 1?] | undefined
      if (!content) return undefined
      const [sid, generation, bound] = content
      return { token, sid, generation, isBound: bound === 1 }
    },
    async rotate(presented: RefreshToken, known: VaultRecord<Grant>, renewal: Renewal) {
      const rotation = () => rotateOnce(presented, known, renewal)
      return lifetimes.refreshGrace > 0 ? flights.run(presented.token, rotation) : rotation()
    },
  })
}

function isUsed({ generation }: RefreshToken, grant: Grant): boolean {
  return generation < grant.generation
}
