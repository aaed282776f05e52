/**
 * The keys with which identity providers sign: from their metadata, or from where the operator says. Both documents
 * are cached. What is wrong with them is never the client's fault, so it is an outage and never a refusal.
 */
import { jsonBytes } from '../async/bounded-map.js'
import type { Clock } from '../async/clock.js'
import { cachedDocuments, type DocumentRequest } from '../http/cached-documents.js'
import { FetchFailure, type SafeFetch } from '../http/safe-fetch.js'
import { type ClientKey, readUsableKeys } from '../oauth/client-keys.js'
import { unavailable } from '../oauth/errors.js'
import { wellKnownPath } from '../oauth/resource.js'

/** An identity provider, as far as its keys go. */
export interface KeyedIssuer {
  readonly issuer: string
  /** Default: what its metadata says. */
  readonly jwksUri?: string | undefined
}

/** Keys by issuer. */
export interface IssuerKeys {
  /** @throws OAuthError 503 when they are out of reach, or cannot be used */
  find(
    issuer: KeyedIssuer,
    request?: Pick<DocumentRequest, 'againAfter'>,
  ): Promise<readonly ClientKey[]>
}

/** Options of {@link issuerKeys}. */
export interface IssuerKeysOptions {
  readonly fetch: SafeFetch
  /** Called when a cached copy is used because the document cannot be fetched. */
  readonly onStale: (cause: FetchFailure) => void
  readonly now: Clock
  /** Milliseconds on a clock that only goes forward. */
  readonly monotonic: () => number
}

/** Keys of one issuer that are kept. The largest providers publish a handful. */
const mostKeys = 64
/** Seconds for one fetch. */
const timeout = 5
const longestDocument = 256 * 1024
const mostKeptBytes = 8 * 1024 * 1024
/** About how many bytes a key takes in memory once it has been imported. */
const importedKeyBytes = 4096
/** All fetches have one origin, the operator's list. */
const sender = 'identity assertions'

interface IssuerMetadata {
  readonly issuer: unknown
  readonly jwksUri: string
}

/** @see OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3 */
export function issuerKeys({ fetch, onStale, now, monotonic }: IssuerKeysOptions): IssuerKeys {
  const shared = {
    fetch: keptForAWhile(fetch),
    now,
    monotonic,
    timeout,
    maxBytes: longestDocument,
    maxKeptBytes: mostKeptBytes,
    onStale: (url: string, failure: FetchFailure) => onStale(describe(url, failure)),
  }
  const metadata = cachedDocuments<IssuerMetadata>({
    ...shared,
    read: readMetadata,
    sizeOf: jsonBytes,
  })
  const sets = cachedDocuments<readonly ClientKey[]>({
    ...shared,
    read: readKeys,
    sizeOf: (keys) => jsonBytes(keys) + importedKeyBytes * keys.length,
  })

  /** OpenID Connect's document, or where there is none, that of OAuth. */
  const findMetadata = async (issuer: string) => {
    const [openId, oauth] = metadataUrls(issuer)
    try {
      return await metadata.get(openId, { sender })
    } catch (error) {
      if (!(error instanceof FetchFailure) || error.kind !== 'gone') throw error
      return metadata.get(oauth, { sender })
    }
  }

  const discover = async (issuer: string) => {
    const found = await findMetadata(issuer)
    if (found.issuer === issuer) return found.jwksUri
    throw new FetchFailure('refused', 'its metadata is that of another issuer')
  }

  return Object.freeze({
    async find({ issuer, jwksUri }: KeyedIssuer, request = {}) {
      try {
        return await sets.get(jwksUri ?? (await discover(issuer)), { ...request, sender })
      } catch (error) {
        if (!(error instanceof FetchFailure)) throw error
        throw unavailable(
          'The keys of the identity provider cannot be had right now. Try again shortly.',
          describe(issuer, error),
        )
      }
    },
  })
}

/**
 * Providers that say `no-store` or `no-cache` (Keycloak does) would be asked for each assertion that anybody makes up, and
 * every pause of theirs would be one of this server. Their documents are good for the shortest time that others are.
 */
function keptForAWhile(fetch: SafeFetch): SafeFetch {
  return async (url, request) => {
    const answer = await fetch(url, request)
    const { 'cache-control': control = '' } = answer.headers
    if (!/\bno-(?:store|cache)\b/i.test(control)) return answer
    return { ...answer, headers: { ...answer.headers, 'cache-control': 'max-age=0' } }
  }
}

/** Where the metadata of an issuer may be: those of OpenID Connect, then those of OAuth. */
export function metadataUrls(issuer: string): readonly [string, string] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  return [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}${wellKnownPath('oauth-authorization-server', path)}`,
  ]
}

function readMetadata(json: unknown): IssuerMetadata {
  const { issuer, jwks_uri: jwksUri } = Object(json) as Record<string, unknown>
  if (typeof jwksUri === 'string' && URL.canParse(jwksUri)) return { issuer, jwksUri }
  throw new FetchFailure('refused', "its metadata has no 'jwks_uri'")
}

function readKeys(json: unknown): readonly ClientKey[] {
  const keys = readUsableKeys(json, mostKeys)
  if (keys && keys.length > 0) return keys
  throw new FetchFailure('refused', 'its key set holds no key that can be used here')
}

/** The operator sees which provider it was. */
function describe(url: string, { kind, message, cause }: FetchFailure): FetchFailure {
  const { host } = new URL(url)
  return new FetchFailure(kind, `${host}: ${message}${cause === undefined ? '' : ` (${cause})`}`)
}
