/**
 * `private_key_jwt`: a client proves itself with a signature, once per assertion. Used ones are remembered in
 * the store for as long as they would be good, so that no replica takes one twice.
 */
import { type CryptoKey, errors, importJWK, type JWTPayload, jwtVerify } from 'jose'
import { decodeJwt } from '../crypto/decode-jwt.js'
import {
  type AssertionAlgorithm,
  algorithmOf,
  assertionAlgorithms,
  type ClientKey,
  type ClientKeySet,
  mostClientKeys,
} from '../oauth/client-keys.js'
import { OAuthError } from '../oauth/errors.js'
import type { Vault } from '../storage/vault.js'
import type { ClientKeySets } from './client-documents.js'
import type { Client } from './clients.js'

/** The value of `client_assertion_type`. @see RFC 7523 section 2.2 */
export const jwtBearerAssertion = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** Checks assertions. */
export interface ClientAssertions {
  /**
   * @param sender who sent it, as an opaque key
   * @throws OAuthError `invalid_client` that says what is wrong, or 503
   */
  check(client: Client, assertion: string, sender?: string): Promise<void>
}

/** What checking needs. */
export interface ClientAssertionsOptions {
  /** What an assertion may name as its audience: our issuer, our token endpoint. */
  readonly audiences: readonly string[]
  readonly records: Vault
  readonly keySets: ClientKeySets
  /** Milliseconds since the epoch. */
  readonly now: () => number
}

/** Seconds an assertion may be good for, and by which clocks may differ. */
const longestLife = 300
const skew = 30
/** Milliseconds between two fetches of one key set for keys nobody knows. */
const unknownKeyPause = 30_000

interface AssertionHeader {
  readonly alg: AssertionAlgorithm
  readonly kid: string | undefined
}

/** @see RFC 7523 section 3 */
export function clientAssertions(options: ClientAssertionsOptions): ClientAssertions {
  const { audiences, records, keySets, now } = options
  const used = records.shelf<true>('assertion')
  return Object.freeze({
    async check(client: Client, assertion: string, sender?: string) {
      const header = readHeader(client, assertion)
      const key = await findKey(client, header, keySets, sender)
      const claims = await verifyClaims(client, assertion, key, now)
      checkAudience(claims, audiences)
      const { jti, remaining } = checkLife(claims, Math.floor(now() / 1000))
      // Only now, for whoever cannot sign must not write to the store.
      if (!(await used.add(`${client.id}\0${jti}`, true, remaining + skew))) {
        throw refused('has been used before')
      }
    },
  })
}

function readHeader({ metadata }: Client, assertion: string): AssertionHeader {
  const header = decodeJwt(assertion)?.header
  if (!header) throw refused('is not a signed JWT')
  const { alg, kid, typ = 'JWT' } = header
  const algorithm = assertionAlgorithms.find((known) => known === alg)
  const bound = metadata.token_endpoint_auth_signing_alg ?? algorithm
  if (algorithm === undefined || algorithm !== bound) {
    throw refused(
      `must be signed with ${metadata.token_endpoint_auth_signing_alg ?? 'RS256, ES256 or EdDSA'}`,
    )
  }
  if (typeof typ !== 'string' || !/^(?:JWT|client-authentication\+jwt)$/i.test(typ)) {
    throw refused("has another 'typ' than JWT")
  }
  return { alg: algorithm, kid: typeof kid === 'string' ? kid : undefined }
}

async function findKey(
  { metadata }: Client,
  header: AssertionHeader,
  keySets: ClientKeySets,
  sender: string | undefined,
): Promise<ClientKey> {
  const { jwks = { keys: [] }, jwks_uri } = metadata
  const key =
    jwks_uri === undefined
      ? candidate(jwks, header)
      : (candidate(await keySets.find(jwks_uri, { sender }), header) ??
        candidate(await keySets.find(jwks_uri, { sender, olderThan: unknownKeyPause }), header))
  if (key) return key
  throw refused(
    `is signed with a key that is not among the client's first ${mostClientKeys} usable keys`,
  )
}

/** One key at most: whoever could make us try several would have us pay for each. */
function candidate({ keys }: ClientKeySet, { alg, kid }: AssertionHeader): ClientKey | undefined {
  const [only, ...others] = keys.filter(
    (key) => algorithmOf(key) === alg && (kid === undefined || key.kid === kid),
  )
  if (others.length === 0) return only
  throw refused(
    kid === undefined
      ? "must name its key by 'kid' in its header: the client has several"
      : "has a 'kid' that several keys of the client have",
  )
}

async function verifyClaims(
  client: Client,
  assertion: string,
  key: ClientKey,
  now: () => number,
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(assertion, await importKey(key), {
      algorithms: [algorithmOf(key)],
      issuer: client.id,
      subject: client.id,
      requiredClaims: ['aud', 'exp', 'iat', 'jti'],
      clockTolerance: skew,
      currentDate: new Date(now()),
    })
    return payload
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw refused('has expired', error)
    if (error instanceof errors.JWTClaimValidationFailed) {
      throw refused(`has a missing or wrong '${error.claim}'`, error)
    }
    // Any other trouble is the key's, a point that is not on its curve for one, or the signature's.
    throw refused("has a signature that is not the client's", error)
  }
}

/** Imported keys live as long as the set they came with. */
const imported = new WeakMap<ClientKey, Promise<CryptoKey | Uint8Array>>()

function importKey(key: ClientKey): Promise<CryptoKey | Uint8Array> {
  const known = imported.get(key) ?? importJWK({ ...key }, algorithmOf(key))
  imported.set(key, known)
  return known
}

/** Exactly us and nobody else: what names several audiences could be forwarded by any of them. */
function checkAudience({ aud }: JWTPayload, audiences: readonly string[]): void {
  const [only, ...others] = [aud].flat()
  if (only === undefined || others.length > 0 || !audiences.includes(only)) {
    throw refused(`must name ${audiences[0]} as its only audience`)
  }
}

function checkLife(
  { exp = 0, iat = 0, jti }: JWTPayload,
  now: number,
): { jti: string; remaining: number } {
  if (iat > now + skew) throw refused("has an 'iat' in the future")
  if (exp - now > longestLife + skew || exp - iat > longestLife) {
    throw refused(`is good for more than ${longestLife} seconds`)
  }
  if (typeof jti !== 'string' || jti === '') throw refused("has no 'jti'")
  return { jti, remaining: Math.max(0, exp - now) }
}

function refused(why: string, cause?: unknown): OAuthError {
  return new OAuthError('invalid_client', `The client assertion ${why}.`, { cause })
}
