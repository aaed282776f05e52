/** Finds a client wherever it comes from: set up by the operator, a document on the web, or registered here. */
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
  /** Whether clients may register themselves. If not, those that did before are no longer clients. */
  readonly registration: boolean
  readonly documents: ClientDocuments | undefined
  readonly operators: ReadonlyMap<string, OperatorClient>
}

/** The sources never overlap: the form of an id tells where its client comes from. */
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
      const expected = secretOf(client)
      return expected !== undefined && constantTimeEqual(secret, expected)
    },
  })
}
