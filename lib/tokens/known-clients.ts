/** All the ways there are to be a client: set up by the operator, a document on the web, or registered here. */
import { constantTimeEqual } from '../crypto/hashing.js'
import { isClientIdUrl } from '../oauth/client-id-url.js'
import type { ClientDocuments } from './client-documents.js'
import type { Client, Clients, RegisteredClients } from './clients.js'

/** A client the operator set up, and its secret if it has one. */
export interface OperatorClient {
  readonly client: Client
  readonly secret?: string
}

/** The sources of clients. */
export interface KnownClientsOptions {
  readonly registered: RegisteredClients
  /** Whether clients may register themselves. If not, those that did are clients no longer. */
  readonly registration: boolean
  readonly documents: ClientDocuments | undefined
  readonly operators: ReadonlyMap<string, OperatorClient>
}

/** One look at an id tells where its client is. */
export function knownClients(options: KnownClientsOptions): Clients {
  const { registered, registration, documents, operators } = options
  const secretOf = (client: Client) =>
    client.identity?.by === 'operator'
      ? operators.get(client.id)?.secret
      : registered.secretOf(client)
  return Object.freeze({
    register: registered.register,
    find(id: string, sender?: string) {
      const operator = operators.get(id)
      if (operator) return operator.client
      if (documents && isClientIdUrl(id)) return documents.find(id, sender)
      return registration ? registered.find(id) : undefined
    },
    secretOf,
    isSecretOf(client: Client, secret: string) {
      const right = secretOf(client)
      return right !== undefined && constantTimeEqual(secret, right)
    },
  })
}
