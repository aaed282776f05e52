/**
 * Clients. A dynamically registered `client_id` is the registration itself, sealed: it outlives restarts,
 * replicas and a lost store, and registering writes nothing. Dead client ids are what MCP clients never
 * recover from.
 */
import { createHmac } from 'node:crypto'
import { constantTimeEqual } from '../crypto/hashing.js'
import type { KeyRing } from '../crypto/key-ring.js'
import { openJson, sealJson } from '../crypto/sealing.js'
import type { ClientMetadata } from '../oauth/client-metadata.js'
import { OAuthError } from '../oauth/errors.js'

/** A client we know. */
export interface Client {
  readonly id: string
  readonly metadata: ClientMetadata
  /** Seconds since the epoch; 0 for a client that was never issued an id. */
  readonly issuedAt: number
  /** Who answers for its name. Absent: nobody but the client itself. */
  readonly identity?: ClientIdentity
}

/** The operator set the client up, or it is the document at this host; which the operator may have listed. */
export type ClientIdentity =
  | { readonly by: 'operator' }
  | { readonly by: 'document'; readonly host: string; readonly listed: boolean }

/** All clients there are. */
export interface Clients {
  /** @throws OAuthError `invalid_client_metadata` for a registration that is too long */
  register(metadata: ClientMetadata): Client
  /**
   * At once when nobody else has to be asked.
   *
   * @param sender who asks, as an opaque key: documents are fetched for all senders alike
   * @throws OAuthError `invalid_client`, or 503
   */
  find(id: string, sender?: string): Client | undefined | Promise<Client | undefined>
  /** The secret of a confidential client: derived from its id, so there is nothing to keep. */
  secretOf(client: Client): string | undefined
  isSecretOf(client: Client, secret: string): boolean
}

/** The registry that keeps nothing. */
export interface RegisteredClients extends Clients {
  find(id: string): Client | undefined
}

/** Members of a registration under one-letter names: the client id travels in URLs. */
interface Compact {
  readonly r: readonly string[]
  readonly m?: ClientMetadata['token_endpoint_auth_method']
  readonly g: readonly string[]
  readonly a?: 'web'
  readonly n?: string
  readonly u?: string
  readonly t: number
}

const context = { purpose: 'client id' } as const
/** Bytes of a registration before sealing; four thirds of it become the client id. */
const longestRegistration = 2400

/** @param now milliseconds since the epoch */
export function clients(ring: KeyRing, now: () => number): RegisteredClients {
  const secretOf = (client: Client) => {
    if (client.metadata.token_endpoint_auth_method === 'none') return undefined
    const key = ring.byId(Buffer.from(client.id, 'base64url').subarray(0, 6))
    if (!key) return undefined
    return createHmac('sha256', key.derive('client secret')).update(client.id).digest('base64url')
  }
  return Object.freeze({
    register(metadata: ClientMetadata) {
      const issuedAt = Math.floor(now() / 1000)
      const value = compact(metadata, issuedAt)
      if (Buffer.byteLength(JSON.stringify(value)) > longestRegistration) {
        throw new OAuthError('invalid_client_metadata', 'The registration is too long.')
      }
      return { id: sealJson(ring, context, value), metadata, issuedAt }
    },
    find(id: string) {
      const value = openJson(ring, context, id) as Compact | undefined
      return value && { id, metadata: expand(value), issuedAt: value.t }
    },
    secretOf,
    isSecretOf(client: Client, secret: string) {
      const right = secretOf(client)
      return right !== undefined && constantTimeEqual(secret, right)
    },
  })
}

function compact(metadata: ClientMetadata, issuedAt: number): Compact {
  const { token_endpoint_auth_method: method, client_name, client_uri } = metadata
  return {
    r: metadata.redirect_uris,
    ...(method !== 'none' && { m: method }),
    g: metadata.grant_types.map((type) => type.slice(0, 1)),
    ...(metadata.application_type === 'web' && { a: 'web' as const }),
    ...(client_name !== undefined && { n: client_name }),
    ...(client_uri !== undefined && { u: client_uri }),
    t: issuedAt,
  }
}

function expand({ r, m, g, a, n, u }: Compact): ClientMetadata {
  return {
    redirect_uris: r,
    token_endpoint_auth_method: m ?? 'none',
    grant_types: g.map((letter) => (letter === 'a' ? 'authorization_code' : 'refresh_token')),
    response_types: ['code'],
    application_type: a ?? 'native',
    ...(n !== undefined && { client_name: n }),
    ...(u !== undefined && { client_uri: u }),
  }
}
