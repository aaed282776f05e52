/** The options of `entraAuth` about clients: who may be one, and how their documents are fetched. */
import type { Clock } from '../async/clock.js'
import type { Report } from '../http/report.js'
import { type SafeFetchOptions, safeFetch } from '../http/safe-fetch.js'
import { type ClientKeySet, readKeySet } from '../oauth/client-keys.js'
import {
  allGrantTypes,
  type ClientMetadata,
  readClientMetadata,
  type TokenEndpointAuthMethod,
} from '../oauth/client-metadata.js'
import { OAuthError } from '../oauth/errors.js'
import type { Vault } from '../storage/vault.js'
import { clientAssertions } from '../tokens/client-assertions.js'
import { clientDocuments, clientKeySets } from '../tokens/client-documents.js'
import type { RegisteredClients } from '../tokens/clients.js'
import { knownClients, type OperatorClient } from '../tokens/known-clients.js'

/**
 * Client ID Metadata Documents: which are accepted, and how they are fetched.
 *
 * @see draft-ietf-oauth-client-id-metadata-document-00
 */
export interface ClientMetadataOptions extends SafeFetchOptions {
  /** Hosts whose documents are accepted (default: every public one): `['claude.ai', '*.contoso.com']`. */
  readonly allowedHosts?: readonly string[]
}

/** A client that is set up here and need not register. @see RFC 7591 section 2 */
export interface PreRegisteredClient {
  /** Any name but a URL. */
  readonly client_id: string
  readonly client_name: string
  /** Needed for `authorization_code`. */
  readonly redirect_uris?: readonly string[]
  /** Default `none`: public, protected by PKCE. */
  readonly token_endpoint_auth_method?: TokenEndpointAuthMethod
  /** For `client_secret_basic` and `client_secret_post`: 16 characters or more. */
  readonly client_secret?: string
  /** For `private_key_jwt`: the public keys. */
  readonly jwks?: { readonly keys: readonly object[] }
  /**
   * Default both: `authorization_code` and `refresh_token`. A client that only identity providers let in (see
   * `identityAssertions`) has `urn:ietf:params:oauth:grant-type:jwt-bearer` alone.
   */
  readonly grant_types?: readonly string[]
  /** Whether its tokens are bound to a key in any case, and it is refused without a DPoP proof (default false). */
  readonly dpop_bound_access_tokens?: boolean
  /** Default `native`. A `web` client has no redirect URI but https ones, and none on loopback. */
  readonly application_type?: 'native' | 'web'
}

/** Options about clients. */
export interface ClientOptions {
  /**
   * Clients may be Client ID Metadata Documents (default: yes, from every public host). `false` turns it
   * off; an object says which hosts, and how to reach them.
   */
  readonly clientMetadata?: boolean | ClientMetadataOptions
  /** Whether clients may register themselves (default true). With false, those that did are refused as well. */
  readonly registration?: boolean
  /** Clients that are set up here. */
  readonly clients?: readonly PreRegisteredClient[]
}

/** What clients are made of besides their options. */
export interface ClientFloor {
  readonly registered: RegisteredClients
  readonly records: Vault
  readonly baseUrl: string
  readonly customSchemes: readonly string[]
  readonly report: Report
  readonly now: Clock
  /** Milliseconds on a clock that only goes forward. */
  readonly monotonic: () => number
}

/** @throws TypeError that names the option and the remedy */
export function readClientOptions(options: ClientOptions, customSchemes: readonly string[]) {
  const { registration = true } = options
  if (typeof registration !== 'boolean') {
    throw new TypeError('entraAuth: registration must be true or false')
  }
  const documents = readDocumentOptions(options.clientMetadata)
  const operators = readOperatorClients(options.clients, customSchemes)
  const features = Object.freeze({
    registration,
    documents: documents !== undefined,
    assertions:
      documents !== undefined ||
      [...operators.values()].some(
        ({ client }) => client.metadata.token_endpoint_auth_method === 'private_key_jwt',
      ),
  })
  return {
    features,
    /** How the documents of clients are fetched: by the same way, everything else from outside. */
    fetching: documents ?? {},
    /** A client that the operator has set up. */
    operatorClient: (id: string) => operators.get(id)?.client,
    /** The clients themselves, and how they prove themselves by signature. */
    build({ registered, records, baseUrl, report, now, monotonic }: ClientFloor) {
      const fetched = {
        ...documents,
        fetch: safeFetch(documents, monotonic),
        customSchemes,
        onStale: (cause: unknown) =>
          report('failure', {
            endpoint: 'client document',
            reason: 'last_good_copy_used',
            cause,
            origin: 'stranger',
          }),
        now,
        monotonic,
      }
      return {
        clients: knownClients({
          registered,
          registration,
          operators,
          documents: documents && clientDocuments(fetched),
        }),
        clientAssertions: clientAssertions({
          audiences: [baseUrl, `${baseUrl}/token`],
          keySets: clientKeySets(fetched),
          records,
          now,
        }),
      }
    },
  }
}

function readDocumentOptions(
  given: ClientOptions['clientMetadata'] = true,
): ClientMetadataOptions | undefined {
  if (given === false) return undefined
  if (given === true) return {}
  if (typeof given !== 'object' || given === null) {
    throw new TypeError('entraAuth: clientMetadata must be true, false or an object')
  }
  const { allowedHosts = [], ports = [], proxy, resolve } = given
  for (const host of allowedHosts) checkHost(host)
  for (const port of ports) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new TypeError(`entraAuth: clientMetadata.ports: not a port: ${JSON.stringify(port)}`)
    }
  }
  if (proxy !== undefined && !(/^https?:\/\/[^/]/.test(proxy) && URL.canParse(proxy))) {
    throw new TypeError(
      "entraAuth: clientMetadata.proxy must be a URL: 'http://proxy.contoso.com:8080'",
    )
  }
  if (resolve !== undefined && typeof resolve !== 'function') {
    throw new TypeError('entraAuth: clientMetadata.resolve must be a function of a host name')
  }
  return given
}

function checkHost(host: unknown): void {
  if (typeof host === 'string' && /^(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*$/.test(host)) return
  throw new TypeError(
    `entraAuth: clientMetadata.allowedHosts: not a host such as 'claude.ai' or '*.contoso.com': ${JSON.stringify(host)}`,
  )
}

function readOperatorClients(
  given: readonly PreRegisteredClient[] = [],
  customSchemes: readonly string[],
): ReadonlyMap<string, OperatorClient> {
  if (!Array.isArray(given) || !given.every((each) => typeof each === 'object' && each !== null)) {
    throw new TypeError(
      "entraAuth: clients must be a list: [{ client_id: 'notes-app', client_name: 'Notes app', redirect_uris: ['https://app.contoso.com/callback'] }]",
    )
  }
  const clients = new Map<string, OperatorClient>()
  for (const each of given as readonly PreRegisteredClient[]) {
    const read = readOperatorClient(each, customSchemes)
    if (clients.has(read.client.id)) throw wrongClient(each, 'is there twice')
    clients.set(read.client.id, read)
  }
  return clients
}

function readOperatorClient(
  given: PreRegisteredClient,
  customSchemes: readonly string[],
): OperatorClient {
  const { client_id: id, client_name, client_secret: secret, token_endpoint_auth_method } = given
  if (typeof id !== 'string' || !/^[\x21-\x7e]{1,256}$/.test(id) || /^https?:/i.test(id)) {
    throw wrongClient(given, 'needs a client_id: printable ASCII, not a URL')
  }
  if (typeof client_name !== 'string' || client_name === '') {
    throw wrongClient(given, 'needs a client_name: users see it when they are asked')
  }
  const method = token_endpoint_auth_method ?? 'none'
  const withSecret = method === 'client_secret_basic' || method === 'client_secret_post'
  if (withSecret && (typeof secret !== 'string' || secret.length < 16)) {
    throw wrongClient(given, `needs a client_secret of 16 characters or more for ${method}`)
  }
  if (!withSecret && secret !== undefined) {
    throw wrongClient(given, `has a client_secret, which ${method} does not use`)
  }
  const client = {
    id,
    metadata: readMetadata(given, method, customSchemes),
    issuedAt: 0,
    identity: { by: 'operator' } as const,
  }
  return { client, ...(secret !== undefined && { secret }) }
}

function readMetadata(
  given: PreRegisteredClient,
  method: TokenEndpointAuthMethod,
  customSchemes: readonly string[],
): ClientMetadata {
  try {
    const named = method === 'private_key_jwt' ? 'none' : method
    const metadata = readClientMetadata(
      { ...given, token_endpoint_auth_method: named },
      customSchemes,
      allGrantTypes,
    )
    if (method !== 'private_key_jwt') return metadata
    return { ...metadata, token_endpoint_auth_method: method, jwks: readOperatorKeys(given) }
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    throw wrongClient(given, `is refused: ${error.description}`)
  }
}

/** The operator can mend a key that nobody could use; a stranger's is passed over. */
function readOperatorKeys(given: PreRegisteredClient): ClientKeySet {
  const jwks = readKeySet(given.jwks)
  if (jwks.keys.length > 0) return jwks
  throw wrongClient(
    given,
    'needs a public key in its jwks: P-256, Ed25519, or RSA of 2048 to 4096 bits with the exponent 65537',
  )
}

function wrongClient({ client_id }: PreRegisteredClient, why: string): TypeError {
  return new TypeError(`entraAuth: clients: ${JSON.stringify(client_id)} ${why}`)
}
