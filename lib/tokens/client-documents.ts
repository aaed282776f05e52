/** Client ID Metadata Documents, and the key sets of clients that sign: fetched, checked and cached. */
import { jsonBytes } from '../async/bounded-map.js'
import type { Clock } from '../async/clock.js'
import { cachedDocuments, type DocumentRequest } from '../http/cached-documents.js'
import { FetchFailure, type SafeFetch } from '../http/safe-fetch.js'
import { readClientDocument } from '../oauth/client-document.js'
import { readClientIdUrl } from '../oauth/client-id-url.js'
import { type ClientKeySet, readKeySet } from '../oauth/client-keys.js'
import type { ClientMetadata } from '../oauth/client-metadata.js'
import { OAuthError, unavailable } from '../oauth/errors.js'
import type { Client } from './clients.js'

/** Clients by the URL of their document. */
export interface ClientDocuments {
  /**
   * @param sender who asks, as an opaque key
   * @throws OAuthError `invalid_client` for a bad document, 503 when it cannot be fetched now
   */
  find(id: string, sender?: string): Promise<Client>
}

/** Key sets by their URL. */
export interface ClientKeySets {
  /** @throws OAuthError `invalid_client`, or 503 */
  find(uri: string, request?: DocumentRequest): Promise<ClientKeySet>
}

/** Options of {@link clientDocuments} and {@link clientKeySets}. */
export interface ClientDocumentsOptions {
  readonly fetch: SafeFetch
  readonly customSchemes: readonly string[]
  /** Hosts whose documents are accepted, `*.contoso.com` for all its subdomains. Default: every host. */
  readonly allowedHosts?: readonly string[] | undefined
  /** Called when a cached copy is used because the document cannot be fetched. The cause is for the operator. */
  readonly onStale?: ((cause: FetchFailure) => void) | undefined
  readonly now: Clock
  /** Milliseconds on a clock that only goes forward. */
  readonly monotonic: () => number
}

/** Seconds for one fetch: a user waits for a page. */
const timeout = 5
/** Seconds after which a fetch that gave way to others may be tried again. */
const busySeconds = 1
const longestDocument = 10 * 1024
const longestKeySet = 64 * 1024
/** Bytes of all cached documents, and of all cached key sets: room for thousands of ordinary ones. */
const mostKeptBytes = 8 * 1024 * 1024
/** About how many bytes a key takes in memory once it has been imported. */
const importedKeyBytes = 4096

/** @see draft-ietf-oauth-client-id-metadata-document-00, MCP authorization "Client ID Metadata Documents" */
export function clientDocuments(options: ClientDocumentsOptions): ClientDocuments {
  const { customSchemes, allowedHosts } = options
  const documents = cachedDocuments<ClientMetadata>({
    ...cacheOptions(options),
    maxBytes: longestDocument,
    read: (json, url) => readClientDocument(url, json, customSchemes),
    sizeOf: (metadata) => jsonBytes(metadata) + keyBytes(metadata.jwks),
  })
  return Object.freeze({
    async find(id: string, sender?: string) {
      const url = readClientIdUrl(id)
      if (allowedHosts && !allowedHosts.some((allowed) => covers(allowed, url.hostname))) {
        throw new OAuthError(
          'invalid_client',
          `This server does not accept applications of ${url.hostname}.`,
        )
      }
      const metadata = await explainFailure(
        url,
        "The client's document",
        documents.get(id, { sender }),
      )
      const listed = allowedHosts !== undefined
      const identity = { by: 'document', host: url.host, listed } as const
      return { id, metadata, issuedAt: 0, identity }
    },
  })
}

/** @see RFC 7517 section 5 */
export function clientKeySets(options: ClientDocumentsOptions): ClientKeySets {
  const sets = cachedDocuments<ClientKeySet>({
    ...cacheOptions(options),
    maxBytes: longestKeySet,
    read: readKeySet,
    sizeOf: (set) => jsonBytes(set) + keyBytes(set),
  })
  return Object.freeze({
    find: (uri: string, request?: DocumentRequest) =>
      explainFailure(new URL(uri), "The client's 'jwks_uri'", sets.get(uri, request)),
  })
}

/** What documents and key sets have in common. */
function cacheOptions({ fetch, onStale, now, monotonic }: ClientDocumentsOptions) {
  return {
    fetch,
    now,
    monotonic,
    timeout,
    maxKeptBytes: mostKeptBytes,
    onStale: (url: string, failure: FetchFailure) =>
      onStale?.(describeToOperator(new URL(url).host, failure)),
  }
}

function keyBytes(set: ClientKeySet | undefined): number {
  return importedKeyBytes * (set?.keys.length ?? 0)
}

function covers(allowed: string, host: string): boolean {
  return allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed
}

/** Turns a failed fetch into an error for the client: an outage, unless the document itself is bad or gone. */
async function explainFailure<T>({ host }: URL, what: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (failure) {
    if (!(failure instanceof FetchFailure)) throw failure
    const description = `${what} cannot be fetched: ${failure.message}.`
    const cause = describeToOperator(host, failure)
    if (failure.kind === 'busy') throw unavailable(description, cause, busySeconds)
    if (failure.kind === 'denied') throw unavailable(description, cause)
    if (failure.kind === 'outage') throw unavailable(`${description} ${adviceFor(host)}`, cause)
    throw new OAuthError('invalid_client', description, { cause })
  }
}

/** What a user who reads this in a browser or a terminal can do. */
function adviceFor(host: string): string {
  return (
    `Try again in a minute. If that does not help, tell the operator of this server that it cannot reach ${host}:` +
    ' it needs DNS and HTTPS to the internet, or a proxy, or Client ID Metadata Documents turned off (the option' +
    ' clientMetadata). After they have been turned off, remove this server from the application and add it again.'
  )
}

function describeToOperator(host: string, { kind, message, cause }: FetchFailure): FetchFailure {
  return new FetchFailure(kind, `${host}: ${message}${cause === undefined ? '' : ` (${cause})`}`)
}
