/** Entra's signing keys: cached, fetched rarely, and usable while Entra is down. */
import { createPublicKey, type KeyObject } from 'node:crypto'
import { monotonicNow } from '../async/monotonic-now.js'
import { singleFlight } from '../async/single-flight.js'
import { backOff } from './back-off.js'
import { UpstreamOutage } from './errors.js'
import { fetchUpstream } from './http-client.js'
import { jsonObject } from './json-object.js'

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
   * The key with that id; undefined when Entra has none.
   *
   * @throws UpstreamOutage when the key is not cached and Entra cannot be asked
   */
  find(kid: string): Promise<SigningKey | undefined>
}

/** Where the keys come from. */
export interface SigningKeysOptions {
  /** The JWK Set. */
  readonly uri: string
  /** Milliseconds on a clock that only goes forward: one that jumps back must not keep keys for ever. */
  readonly now?: () => number
  /** Seconds for one fetch. Default 5. */
  readonly timeout?: number
}

const minute = 60_000
/** Age at which a set is fetched again in the background. */
const prefetchAge = 50 * minute
/** Age up to which a set is used without asking Entra. */
const freshAge = 60 * minute
/** Age up to which a set is used while Entra is down. */
const lastKnownGoodAge = 24 * 60 * minute
/** Least time between two fetches for unknown keys. */
const unknownKeyPause = 30_000

const mostKeys = 100
const longestDocument = 256 * 1024

interface KeySet {
  readonly keys: ReadonlyMap<string, SigningKey>
  readonly fetchedAt: number
}

/**
 * Keys of a JWK Set, kept as Microsoft advises: refreshed every hour, fetched once more for an unknown `kid` (but
 * not at an attacker's pace), and last-known-good during an outage.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/signing-key-rollover
 */
export function signingKeys(options: SigningKeysOptions): SigningKeys {
  const { uri, now = monotonicNow, timeout = 5 } = options
  const retry = backOff()
  const flights = singleFlight<KeySet>()
  let set: KeySet | undefined
  let triedAt = Number.NEGATIVE_INFINITY

  async function fetchSet(): Promise<KeySet> {
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

  /** Fetches the set, or throws at once during a back-off. */
  async function refresh(): Promise<KeySet> {
    const retryAfter = flights.has(uri) ? undefined : retry.wait(now())
    if (retryAfter !== undefined) throw keysUnavailable(retryAfter)
    return flights.run(uri, fetchSet)
  }

  function refreshInBackground(): void {
    refresh().catch(() => {}) // The back-off has counted the failure, and the keys at hand stay in use.
  }

  async function findKnown(key: SigningKey, age: number): Promise<SigningKey | undefined> {
    if (age >= freshAge && !retry.failing) {
      const refreshed = await refresh().catch(() => undefined)
      return refreshed ? refreshed.keys.get(key.kid) : key
    }
    if (age >= prefetchAge) refreshInBackground()
    return key
  }

  /** Anyone can make up a `kid`, so unknown ones make us ask no more often than this, also while Entra is down. */
  async function findUnknown(kid: string): Promise<SigningKey | undefined> {
    const pause = triedAt + unknownKeyPause - now()
    if (flights.has(uri) || pause <= 0) return (await refresh()).keys.get(kid)
    if (retry.failing) throw keysUnavailable(pause / 1000)
    return undefined
  }

  return Object.freeze({
    async find(kid: string) {
      const age = set ? now() - set.fetchedAt : lastKnownGoodAge
      if (!set || age >= lastKnownGoodAge) return (await refresh()).keys.get(kid)
      const key = set.keys.get(kid)
      return key ? findKnown(key, age) : findUnknown(kid)
    },
  })
}

/** @param retryAfter seconds */
function keysUnavailable(retryAfter: number): UpstreamOutage {
  return new UpstreamOutage('the signing keys cannot be fetched', { retryAfter })
}

async function fetchKeys(uri: string, timeout: number): Promise<ReadonlyMap<string, SigningKey>> {
  const { status, body, retryAfter } = await fetchUpstream(uri, {
    method: 'GET',
    headers: { accept: 'application/json' },
    timeout,
    maxBytes: longestDocument,
  })
  if (status !== 200) {
    throw new UpstreamOutage(`the signing keys cannot be fetched: HTTP ${status}`, {
      status,
      retryAfter,
    })
  }
  const keys = readKeys(body)
  // An empty set would lock everybody out, so the keys at hand stay.
  if (keys.size === 0)
    throw new UpstreamOutage('the signing keys document holds no usable key', { status })
  return keys
}

/** Keys that cannot be used are left out. */
function readKeys(body: string): ReadonlyMap<string, SigningKey> {
  const { keys } = jsonObject(body)
  const usable = (Array.isArray(keys) ? keys : [])
    .slice(0, mostKeys)
    .map(importKey)
    .filter((key) => key !== undefined)
  return new Map(usable.map((key) => [key.kid, key]))
}

/** An RSA key for signatures, if it is one. @see RFC 7517 section 4, RFC 7518 section 6.3.1 */
function importKey(jwk: unknown): SigningKey | undefined {
  const { kty, use, alg, kid, n, e, issuer } = Object(jwk) as Record<string, unknown>
  if (kty !== 'RSA' || typeof kid !== 'string' || typeof n !== 'string' || typeof e !== 'string')
    return
  if ((use !== undefined && use !== 'sig') || (alg !== undefined && alg !== 'RS256')) return
  try {
    const key = createPublicKey({ key: { kty, n, e }, format: 'jwk' })
    // The types need the defaults and the catch below: Node 20 always has these details, and does not throw here.
    const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
    // RFC 7518 section 3.3: 2048 bits or more. With an exponent of 1 everybody could sign.
    if (modulusLength < 2048 || publicExponent < 3n) return
    return { kid, key, issuer: typeof issuer === 'string' ? issuer : undefined }
  } catch {
    return
  }
}
