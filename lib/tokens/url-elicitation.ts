/**
 * Which logins have a client that can show its user a URL. Clients of 2025-11-25 say so once, when they connect, and a
 * server without sessions has forgotten it by the time a tool is called.
 */
import type { Vault } from '../storage/vault.js'

/** What clients declared when they connected. */
export interface UrlElicitation {
  /** Notes what the client of a login declares. */
  note(sid: string, declared: boolean): Promise<void>
  isDeclared(sid: string): Promise<boolean>
}

/**
 * @param lifetime seconds for which a declaration counts: a client declares it anew whenever it connects
 * @see MCP 2025-11-25, Lifecycle (capability negotiation)
 */
export function urlElicitation(vault: Vault, lifetime: number): UrlElicitation {
  const marks = vault.shelf<true>('url-elicitation')
  return Object.freeze({
    async note(sid: string, declared: boolean) {
      if (declared) await marks.set(sid, true, lifetime)
      else await marks.remove(sid)
    },
    isDeclared: async (sid: string) => (await marks.get(sid)) !== undefined,
  })
}
