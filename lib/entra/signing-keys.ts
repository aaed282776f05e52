/** Entra's signing keys: fetched seldom, at hand always, and still there when Entra is not. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { monotonicNow } from '../async/monotonic-now.js'
import { backOff } from './back-off.js'
import { UpstreamOutage } from './errors.js'
import { fetchUpstream } from './http-client.js'

/** One key of the set. */
export interface SigningKey {
  readonly kid: string
  readonly key: KeyObject
  /** The issuer it signs for, often with `{tenantid}` in it. */
  readonly issuer: string | undefined
}

/** The current keys. */
export interface SigningKeys {
  /**
   * The key of that name, at once when it is at hand; undefined when Entra has no such key.
   *
   * @throws UpstreamOutage (as a rejection) when only Entra could tell and does not answer
   */
  find(kid: string): Promise<SigningKey | undefined> | SigningKey | undefined
}

/** What the keys are made of. */
export interface SigningKeysOptions {
  /** The JWK Set. */
  readonly uri: string
  /** Milliseconds on a clock that only goes forward: one that jumps back must not keep keys for ever. */
  readonly now?: () => number
  /** Seconds for one fetch. Default 5. */
  readonly timeout?: number
}

const minute = 60_000
/** Age at which a set is fetched anew in the background. */
const prefetchAge = 50 * minute
/** Age up to which a set is used without a question. */
const freshAge = 60 * minute
/** Age up to which a set is used while Entra is down. */
const lastKnownGoodAge = 24 * 60 * minute
/** Least time between two fetches for keys nobody knows. */
const unknownKeyPause = 30_000

const mostKeys = 100
const longestDocument = 256 * 1024

interface KeySet {
  readonly keys: ReadonlyMap<string, SigningKey>
  readonly fetchedAt: number
}

/**
 * Keys of a JWK Set, kept as Microsoft advises: refreshed hourly, asked once more for an unknown `kid` but
 * not at any attacker's pace, last-known-good through an outage.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/signing-key-rollover
 */
export function signingKeys(options: SigningKeysOptions): SigningKeys {
  const { uri, now = monotonicNow, timeout = 5 } = options
  const retry = backOff()
  let set: KeySet | undefined
  let triedAt = Number.NEGATIVE_INFINITY
  let flight: Promise<KeySet> | undefined

  function refresh(): Promise<KeySet> {
    flight ??= load().finally(() => {
      flight = undefined
    })
    return flight
  }

  async function load(): Promise<KeySet> {
    const fetchedAt = now()
    triedAt = fetchedAt
    try {
      set = { keys: await fetchKeys(uri, timeout), fetchedAt }
      retry.succeeded()
      return set
    } catch (error) {
      retry.failed(now(), error)
      throw error
    }
  }

  /** Fetches, or during a back-off says at once that there is no fetching. */
  async function refreshIfDue(): Promise<KeySet> {
    const retryAfter = flight ? undefined : retry.wait(now())
    if (retryAfter === undefined) return refresh()
    throw new UpstreamOutage('the signing keys cannot be fetched', { retryAfter })
  }

  function refreshInBackground(): void {
    refreshIfDue().catch(() => {}) // The back-off has noted it; what is at hand goes on being used.
  }

  function findKnown(key: SigningKey, age: number): Promise<SigningKey | undefined> | SigningKey {
    if (age >= freshAge && !retry.failing) {
      return refreshIfDue().then(
        ({ keys }) => keys.get(key.kid),
        () => key,
      )
    }
    if (age >= prefetchAge) refreshInBackground()
    return key
  }

  /** Anybody can make up a `kid`: while Entra is down, too, they make us ask no more often than this. */
  function findUnknown(kid: string): Promise<SigningKey | undefined> | undefined {
    const pause = triedAt + unknownKeyPause - now()
    if (flight || pause <= 0) return refreshIfDue().then(({ keys }) => keys.get(kid))
    if (!retry.failing) return undefined
    const retryAfter = pause / 1000
    return Promise.reject(new UpstreamOutage('the signing keys cannot be fetched', { retryAfter }))
  }

  return Object.freeze({
    find(kid: string) {
      const age = set ? now() - set.fetchedAt : lastKnownGoodAge
      if (!set || age >= lastKnownGoodAge) return refreshIfDue().then(({ keys }) => keys.get(kid))
      const key = set.keys.get(kid)
      if (key) return findKnown(key, age)
      return findUnknown(kid)
    },
  })
}

async function fetchKeys(uri: string, timeout: number): Promise<ReadonlyMap<string, SigningKey>> {
  const { status, body, retryAfter } = await fetchUpstream(uri, {
    method: 'GET',
    headers: { accept: 'application/json' },
    timeout,
    maxBytes: longestDocument,
  })
  if (status !== 200) {
    throw new UpstreamOutage(`the signing keys are not to be had: HTTP ${status}`, {
      status,
      retryAfter,
    })
  }
  const keys = readKeys(body)
  // An empty set would lock everybody out: rather keep what we have.
  if (keys.size === 0)
    throw new UpstreamOutage('the signing keys document holds no usable key', { status })
  return keys
}

/** One odd key does no harm: it is left out. */
function readKeys(body: string): ReadonlyMap<string, SigningKey> {
  const keys = jwksIn(body)
    .slice(0, mostKeys)
    .map(importKey)
    .filter((key) => key !== undefined)
  return new Map(keys.map((key) => [key.kid, key]))
}

function jwksIn(body: string): readonly unknown[] {
  try {
    const { keys } = Object(JSON.parse(body)) as { keys?: unknown }
    return Array.isArray(keys) ? keys : []
  } catch {
    return []
  }
}

/** An RSA key for signatures, if it is one. @see RFC 7517 section 4, RFC 7518 section 6.3.1 */
function importKey(jwk: unknown): SigningKey | undefined {
  const { kty, use, alg, kid, n, e, issuer } = Object(jwk) as Record<string, unknown>
  if (kty !== 'RSA' || typeof kid !== 'string' || typeof n !== 'string' || typeof e !== 'string')
    return
  if ((use !== undefined && use !== 'sig') || (alg !== undefined && alg !== 'RS256')) return
  try {
    const key = createPublicKey({ key: { kty, n, e }, format: 'jwk' })
    // The defaults, and the catch below, are for types' sake: Node 20 has the details and never throws here.
    const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
    // RFC 7518 section 3.3: 2048 bits or more. With an exponent of 1 everybody could sign.
    if (modulusLength < 2048 || publicExponent < 3n) return
    return { kid, key, issuer: typeof issuer === 'string' ? issuer : undefined }
  } catch {
    return
  }
}
