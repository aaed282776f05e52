/** Clients that are documents on the web, and the key sets of clients that sign: fetched, checked and kept. */
import { cachedDocuments } from '../http/cached-documents.js'
import { FetchFailure, type SafeFetch } from '../http/safe-fetch.js'
import { readClientDocument, readKeySet } from '../oauth/client-document.js'
import { readClientIdUrl } from '../oauth/client-id-url.js'
import type { ClientMetadata } from '../oauth/client-metadata.js'
import { OAuthError, unavailable } from '../oauth/errors.js'
import type { Client } from './clients.js'

/** A set of keys as it was read. */
export type ClientKeySet = NonNullable<ClientMetadata['jwks']>

/** Clients by the URL of their document. */
export interface ClientDocuments {
  /** @throws OAuthError `invalid_client` for what is no good document, 503 when there is no telling */
  find(id: string): Promise<Client>
}

/** Key sets by their URL. */
export interface ClientKeySets {
  /**
   * @param olderThan milliseconds: a set fetched longer ago than this is fetched anew
   * @throws OAuthError `invalid_client`, or 503
   */
  find(uri: string, olderThan?: number): Promise<ClientKeySet>
}

/** What they are made of. */
export interface ClientDocumentsOptions {
  readonly fetch: SafeFetch
  readonly customSchemes: readonly string[]
  /** Hosts whose documents are accepted, `*.contoso.com` for all below; undefined is every host. */
  readonly allowedHosts?: readonly string[] | undefined
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Seconds for one fetch: somebody waits for a page. */
const timeout = 5
const longestDocument = 10 * 1024
const longestKeySet = 64 * 1024
const mostDocuments = 1000

/** @see draft-ietf-oauth-client-id-metadata-document-00, MCP authorization "Client ID Metadata Documents" */
export function clientDocuments(options: ClientDocumentsOptions): ClientDocuments {
  const { fetch, customSchemes, allowedHosts, now } = options
  const documents = cachedDocuments<ClientMetadata>({
    fetch,
    now,
    timeout,
    maxBytes: longestDocument,
    maxEntries: mostDocuments,
    read: (json, url) => readClientDocument(url, json, customSchemes),
  })
  return Object.freeze({
    async find(id: string) {
      const url = readClientIdUrl(id)
      if (allowedHosts && !allowedHosts.some((allowed) => covers(allowed, url.hostname))) {
        throw new OAuthError(
          'invalid_client',
          `This server does not accept applications of ${url.hostname}.`,
        )
      }
      const metadata = await told("The client's document", documents.get(id))
      const listed = allowedHosts !== undefined
      const identity = { by: 'document', host: url.host, listed } as const
      return { id, metadata, issuedAt: 0, identity }
    },
  })
}

/** @see RFC 7517 section 5 */
export function clientKeySets({ fetch, now }: ClientDocumentsOptions): ClientKeySets {
  const sets = cachedDocuments<ClientKeySet>({
    fetch,
    now,
    timeout,
    maxBytes: longestKeySet,
    maxEntries: mostDocuments,
    read: readKeySet,
  })
  return Object.freeze({
    find: (uri: string, olderThan?: number) =>
      told("The client's 'jwks_uri'", sets.get(uri, olderThan)),
  })
}

function covers(allowed: string, host: string): boolean {
  return allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed
}

/** A failed fetch in the client's terms: what cannot be known now is an outage, never a refusal. */
async function told<T>(what: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer
  } catch (cause) {
    if (!(cause instanceof FetchFailure)) throw cause
    const description = `${what} cannot be fetched: ${cause.message}.`
    if (cause.kind === 'outage') throw unavailable(description, cause)
    throw new OAuthError('invalid_client', description, { cause })
  }
}
