/**
 * Interactions: what Entra wants of a user while the MCP session goes on. Each is a record that its own URL redeems,
 * written when the user's client has met the challenge, and taken when the user has satisfied Entra.
 */
import { randomSecret } from '../crypto/hashing.js'
import type { Vault } from '../storage/vault.js'
import type { Challenge } from './challenges.js'

/** Whose login an interaction is for, and what Entra wants. */
export interface Interaction extends Challenge {
  /** The secret of the grant that is renewed. */
  readonly sid: string
  /** The client's own id: the grant has only its hash. */
  readonly clientId: string
  /** Tenant and object id of the only user who can finish it. */
  readonly tid: string
  readonly oid: string
}

/** The interactions in the store. */
export interface Interactions {
  /** Writes one for 10 minutes. @returns its id, a secret: all that its URL shows */
  begin(interaction: Interaction): Promise<string>
  read(id: string): Promise<Interaction | undefined>
  /** Ends it. True for exactly one of any number of callers. */
  take(id: string): Promise<boolean>
}

/** Where the user goes, below the path of `baseUrl`. */
export const interactionPath = '/auth/interaction'

/** Seconds for which the URL can be used. */
export const interactionSeconds = 600

/** @see MCP, Elicitation, URL mode (SEP-1036) */
export function interactions(vault: Vault): Interactions {
  const shelf = vault.shelf<Interaction>('interaction')
  return Object.freeze({
    async begin(interaction: Interaction) {
      const id = randomSecret()
      await shelf.set(id, interaction, interactionSeconds)
      return id
    },
    read: async (id: string) => (await shelf.get(id))?.value,
    take: async (id: string) => (await shelf.take(id)) !== undefined,
  })
}
