/** A token request, as each grant gets it. */
import type { EventFacts } from '../http/event-facts.js'
import type { Params } from '../oauth/params.js'
import type { Client } from '../tokens/clients.js'
import type { TokenAnswer } from '../tokens/records.js'

/** A token request of an authenticated client. */
export interface TokenRequest {
  readonly params: Params
  readonly client: Client
  /** Milliseconds since the epoch. */
  readonly arrivedAt: number
}

/** What a grant answers, and what the operator may know of it. */
export interface IssuedTokens {
  readonly answer: TokenAnswer
  readonly facts: EventFacts
  /** The identity provider that has vouched for the user, where it was not Entra. */
  readonly issuer?: string
}
