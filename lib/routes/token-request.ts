/** A token request as each grant sees it. */
import type { Params } from '../oauth/params.js'
import type { Client } from '../tokens/clients.js'

/** A request of a client we know. */
export interface TokenRequest {
  readonly params: Params
  readonly client: Client
  /** Milliseconds since the epoch. */
  readonly arrivedAt: number
}
