/**
 * Interactions: what Entra wants of a user while the MCP session goes on. All calls of one login that want the same
 * downstream share one, so a client that repeats its call gets the same URL and writes nothing more. In which words Entra
 * refuses plays no part, because they may be others each time.
 */
import type { Clock } from '../async/clock.js'
import { constantTimeEqual, randomId, sha256 } from '../crypto/hashing.js'
import { unavailable } from '../oauth/errors.js'
import type { Vault } from '../storage/vault.js'
import { type Challenge, kindOf } from './challenges.js'

/** Whose login an interaction is for, and what Entra wants. */
export interface Interaction extends Challenge {
  /** The secret of the grant that is renewed. */
  readonly sid: string
  /** The client's own id: the grant has only its hash. */
  readonly clientId: string
  /** Tenant and object id of the only user who can finish it. */
  readonly tid: string
  readonly oid: string
  /** What the calls that share it want downstream. */
  readonly wanted: string
}

/** The interactions in the store. */
export interface Interactions {
  /**
   * Joins the open interaction of this login for what is wanted, or begins one, for 10 minutes.
   *
   * @returns its id, a secret: all that its URL shows
   * @throws OAuthError 503, also when one after the other was begun and never came to its end
   */
  begin(interaction: Interaction): Promise<string>
  /** The interaction, unless it has been claimed or has expired. */
  read(id: string): Promise<Interaction | undefined>
  /** Whether it was begun for this login, and has not expired. */
  isOf(id: string, sid: string): Promise<boolean>
  /** Claims the right to finish it: true for exactly one of any number of callers. Its URL is no good any more. */
  claim(id: string): Promise<boolean>
  /** Notes that the login has what was wanted: calls that wait for it go on. By its claimant alone. */
  end(id: string): Promise<void>
  isEnded(id: string): Promise<boolean>
}

/** Where the user goes, below the path of `baseUrl`. */
export const interactionPath = '/auth/interaction'

/** Seconds for which the URL can be used. */
export const interactionSeconds = 600

/** Milliseconds after which nobody joins it any more, so that every URL is good for five minutes when it is given. */
const joinedFor = 300_000

/** How many places there are for what one login wants: an interaction that is claimed or old keeps its own. */
const places = 5

/** What an id looks like. */
export const interactionId = /^[\w-]{43}$/

interface Kept {
  readonly interaction: Interaction
  /** Another one each time, so that nobody who knows the login alone knows the id, and no id comes twice. */
  readonly nonce: string
  /** Milliseconds since the epoch. */
  readonly begunAt: number
}

/**
 * Nothing here is written twice or deleted. A record stays in its place until it expires, and what becomes of it is a
 * mark of its own: so no order of two callers on two replicas can bring back what was finished.
 *
 * @see MCP, Elicitation, URL mode (SEP-1036)
 */
export function interactions(vault: Vault, now: Clock): Interactions {
  const shelf = vault.shelf<Kept>('interaction')
  const claims = vault.shelf<true>('interaction-claim')
  const ends = vault.shelf<true>('interaction-end')

  const find = async (id: string) => {
    const kept = (await shelf.get(placeIn(id)))?.value
    return kept && constantTimeEqual(idOf(placeIn(id), kept), id) ? kept : undefined
  }

  /** What is in a place, where something is or this can be put. Undefined: something that this server cannot read. */
  const occupy = async (place: string, fresh: Kept) => {
    const kept = await shelf.get(place)
    if (kept) return kept.value
    if (await shelf.add(place, fresh, interactionSeconds)) return fresh
    return (await shelf.get(place))?.value
  }

  return Object.freeze({
    async begin(interaction: Interaction) {
      const fresh = { interaction, nonce: randomId(), begunAt: now() }
      for (let number = 0; number < places; number++) {
        const place = placeOf(interaction, number)
        const kept = await occupy(place, fresh)
        if (!kept || fresh.begunAt - kept.begunAt >= joinedFor) continue
        const id = idOf(place, kept)
        if (!(await claims.has(id))) return id
      }
      throw unavailable(
        'The user cannot be asked right now. Try again shortly.',
        'all places taken',
      )
    },
    async read(id: string) {
      const kept = await find(id)
      return kept && !(await claims.has(id)) ? kept.interaction : undefined
    },
    async isOf(id: string, sid: string) {
      const kept = await find(id)
      return kept !== undefined && constantTimeEqual(kept.interaction.sid, sid)
    },
    // The marks outlive the record, which was there before them.
    claim: (id: string) => claims.add(id, true, interactionSeconds),
    end: (id: string) => ends.set(id, true, interactionSeconds),
    isEnded: (id: string) => ends.has(id),
  })
}

/** 126 bits of a hash of the grant's secret. */
const placeLength = 21

/** Where the store has it: the same for all calls of a login that want this, on every replica. */
function placeOf(interaction: Interaction, number: number): string {
  const { sid, wanted } = interaction
  const kind = kindOf(interaction)
  return sha256(`interaction\0${sid}\0${kind}\0${wanted}\0${number}`).slice(0, placeLength)
}

/** 43 characters: its place and its nonce. */
function idOf(place: string, { nonce }: Kept): string {
  return place + nonce
}

function placeIn(id: string): string {
  return id.slice(0, placeLength)
}
