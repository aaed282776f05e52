/** What every grant of the token endpoint is given, and what it returns. */
import type { Authority } from '../authority.js'
import type { AuthenticatedClient } from '../client-authentication.js'
import type { Emulation } from '../emulation.js'
import type { Params } from '../messages.js'

/** A token request whose client is known. */
export interface TokenRequest {
  readonly authority: Authority
  readonly client: AuthenticatedClient
  readonly params: Params
  /** The `Origin` header. Browsers send it, and only SPA redirect URIs allow it. */
  readonly origin: string | undefined
}

/** Returns the members of the answer, or throws the refusal. */
export type Grant = (emulation: Emulation, request: TokenRequest) => Record<string, unknown>
