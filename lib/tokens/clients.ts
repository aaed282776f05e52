/**
 * Clients. A dynamically registered `client_id` is the registration itself, sealed: it outlives restarts, replicas
 * and a lost store, and registering writes nothing. MCP clients do not recover from a client id that has died.
 */
import { createHmac } from 'node:crypto'
import { boundedMap, textBytes } from '../async/bounded-map.js'
import type { Clock } from '../async/clock.js'
import { constantTimeEqual } from '../crypto/hashing.js'
import type { KeyRing } from '../crypto/key-ring.js'
import { openJson, sealJson } from '../crypto/sealing.js'
import { allGrantTypes, type ClientMetadata } from '../oauth/client-metadata.js'
import { OAuthError } from '../oauth/errors.js'

/** A client we know. */
export interface Client {
  readonly id: string
  readonly metadata: ClientMetadata
  /** Seconds since the epoch; 0 for a client that was never issued an id. */
  readonly issuedAt: number
  /** Who vouches for its name. Absent: nobody but the client itself. */
  readonly identity?: ClientIdentity
}

/** The operator, who set the client up, or the host of its document, which the operator may have listed. */
export type ClientIdentity =
  | { readonly by: 'operator' }
  | { readonly by: 'document'; readonly host: string; readonly listed: boolean }

/** The clients of this server. */
export interface Clients {
  /** @throws OAuthError `invalid_client_metadata` for a registration that is too long */
  register(metadata: ClientMetadata): Client
  /**
   * Answers at once, unless a document has to be fetched.
   *
   * @param sender who asks, as an opaque key: senders share the fetches fairly
   * @throws OAuthError `invalid_client`, or 503
   */
  find(id: string, sender?: string): Client | undefined | Promise<Client | undefined>
  /** The secret of a confidential client: derived from its id, so nothing is stored. */
  secretOf(client: Client): string | undefined
  isSecretOf(client: Client, secret: string): boolean
}

/** The clients that have registered themselves. Their ids hold all there is to know, so finding one is synchronous. */
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
  readonly d?: true
  readonly t: number
}

const context = { purpose: 'client id' } as const
/** Bytes of opened client ids to remember: some thousand. */
const openedBytes = 4 * 1024 * 1024
/** Longest registration before sealing, in bytes. The client id is a third longer. */
const longestRegistration = 2400

/** Makes the registry of clients that register themselves. @see RFC 7591 */
export function clients(ring: KeyRing, now: Clock): RegisteredClients {
  // A login names its client four times. Opening the id once makes a login 5% cheaper.
  const opened = boundedMap<Client>({ maxBytes: openedBytes, sizeOf })
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
      const known = opened.get(id)
      if (known) return known
      const value = openJson(ring, context, id) as Compact | undefined
      if (!value) return undefined
      const client = { id, metadata: expand(value), issuedAt: value.t }
      opened.set(id, client)
      return client
    },
    secretOf,
    isSecretOf(client: Client, secret: string) {
      const expected = secretOf(client)
      return expected !== undefined && constantTimeEqual(secret, expected)
    },
  })
}

/** A registration in memory takes about as much as its id, which holds all of it. */
function sizeOf({ id }: Client): number {
  return 2 * textBytes(id) + 512
}

function compact(metadata: ClientMetadata, issuedAt: number): Compact {
  const { token_endpoint_auth_method: method, client_name, client_uri } = metadata
  const { dpop_bound_access_tokens: bound } = metadata
  return {
    r: metadata.redirect_uris,
    ...(method !== 'none' && { m: method }),
    g: metadata.grant_types.map((type) => type.slice(0, 1)),
    ...(metadata.application_type === 'web' && { a: 'web' as const }),
    ...(client_name !== undefined && { n: client_name }),
    ...(client_uri !== undefined && { u: client_uri }),
    ...(bound && { d: bound }),
    t: issuedAt,
  }
}

function expand({ r, m, g, a, n, u, d }: Compact): ClientMetadata {
  return {
    redirect_uris: r,
    token_endpoint_auth_method: m ?? 'none',
    grant_types: allGrantTypes.filter((type) => g.includes(type.slice(0, 1))),
    response_types: ['code'],
    application_type: a ?? 'native',
    ...(n !== undefined && { client_name: n }),
    ...(u !== undefined && { client_uri: u }),
    ...(d && { dpop_bound_access_tokens: d }),
  }
}
