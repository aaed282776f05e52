/** A token request, as each grant gets it. */
import type { EventFacts } from '../http/event-facts.js'
import type { Params } from '../oauth/params.js'
import type { Client } from '../tokens/clients.js'
import type { VerifiedProof } from '../tokens/dpop-proofs.js'
import type { TokenAnswer } from '../tokens/records.js'

/** A token request of an authenticated client. */
export interface TokenRequest {
  readonly params: Params
  readonly client: Client
  /** The DPoP proof that came along. The grant says that it was used, once all else is good: see `token-proof.ts`. */
  readonly proof: VerifiedProof | undefined
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
