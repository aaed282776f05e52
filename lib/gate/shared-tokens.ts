/**
 * Downstream tokens that replicas share. They are sealed under the user's own access token, so that a stolen store
 * is useless, and end when they expire. A store that fails costs one more exchange and nothing else.
 */
import type { SharedToken, SharedTokens } from '../entra/on-behalf-of.js'
import type { Vault } from '../storage/vault.js'

/** @param failed hears of a store that fails, for the operator */
export function sharedTokens(vault: Vault, failed: (error: unknown) => void): SharedTokens {
  const shelf = vault.shelf<SharedToken>('downstream')
  return Object.freeze({
    async read(secret: string) {
      try {
        return (await shelf.get(secret))?.value
      } catch (error) {
        failed(error)
        return undefined
      }
    },
    async write(secret: string, token: SharedToken, ttlSeconds: number) {
      await shelf.set(secret, token, ttlSeconds).catch(failed)
    },
  })
}
