/** A token request, as each grant gets it. */
import type { Params } from '../oauth/params.js'
import type { Client } from '../tokens/clients.js'

/** A token request of an authenticated client. */
export interface TokenRequest {
  readonly params: Params
  readonly client: Client
  /** Milliseconds since the epoch. */
  readonly arrivedAt: number
}
