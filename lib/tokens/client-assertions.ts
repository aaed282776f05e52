/**
 * `private_key_jwt`: a client proves itself with a signature, once per assertion. Used ones are remembered in
 * the store for as long as they would be good, so that no replica takes one twice.
 */
import { errors, importJWK, type JWTPayload, jwtVerify } from 'jose'
import { parseJws } from '../crypto/jws.js'
import { type AssertionAlgorithm, assertionAlgorithms } from '../oauth/client-document.js'
import { OAuthError } from '../oauth/errors.js'
import type { Vault } from '../storage/vault.js'
import type { ClientKeySet, ClientKeySets } from './client-documents.js'
import type { Client } from './clients.js'

/** The value of `client_assertion_type`. @see RFC 7523 section 2.2 */
export const jwtBearerAssertion = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** Checks assertions. */
export interface ClientAssertions {
  /** @throws OAuthError `invalid_client` that says what is wrong, or 503 */
  check(client: Client, assertion: string): Promise<void>
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
/** Keys of a client that are tried. */
const mostKeys = 8
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
    async check(client: Client, assertion: string) {
      const header = readHeader(client, assertion)
      const keys = await findKeys(client, header, keySets)
      const claims = await verified(client, assertion, header, keys, now)
      checkAudience(claims, audiences)
      const { jti, remaining } = checkLife(claims, Math.floor(now() / 1000))
      // Only now, for whoever cannot sign must not write to the store.
      if (!(await used.claim(`${client.id}\0${jti}`, true, remaining + skew))) {
        throw refused('has been used before')
      }
    },
  })
}

function readHeader({ metadata }: Client, assertion: string): AssertionHeader {
  const header = parseJws(assertion)?.header
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

async function findKeys(
  { metadata }: Client,
  header: AssertionHeader,
  keySets: ClientKeySets,
): Promise<readonly object[]> {
  const { jwks, jwks_uri } = metadata
  if (jwks_uri === undefined) return known(jwks && matching(jwks, header))
  const keys = matching(await keySets.find(jwks_uri), header)
  if (keys.length > 0) return known(keys)
  return known(matching(await keySets.find(jwks_uri, unknownKeyPause), header))
}

function known(keys: readonly object[] | undefined): readonly object[] {
  if (keys && keys.length > 0) return keys.slice(0, mostKeys)
  throw refused("is signed with a key that is not among the client's")
}

/** A set may hold keys for others and for other things: they are passed over. */
function matching({ keys }: ClientKeySet, { alg, kid }: AssertionHeader): readonly object[] {
  return keys.filter((key) => {
    const jwk = key as Record<string, unknown>
    return (
      (kid === undefined || jwk.kid === kid) &&
      (jwk.use === undefined || jwk.use === 'sig') &&
      (jwk.alg === undefined || jwk.alg === alg) &&
      // What everybody can read is no private key and no secret.
      jwk.d === undefined &&
      isKeyFor(alg, jwk)
    )
  })
}

function isKeyFor(alg: AssertionAlgorithm, { kty, crv }: Record<string, unknown>): boolean {
  switch (alg) {
    case 'RS256':
      return kty === 'RSA'
    case 'ES256':
      return kty === 'EC' && crv === 'P-256'
    case 'EdDSA':
      return kty === 'OKP' && crv === 'Ed25519'
  }
}

async function verified(
  client: Client,
  assertion: string,
  { alg }: AssertionHeader,
  keys: readonly object[],
  now: () => number,
): Promise<JWTPayload> {
  for (const jwk of keys) {
    try {
      const { payload } = await jwtVerify(assertion, await importJWK({ ...jwk }, alg), {
        algorithms: [alg],
        issuer: client.id,
        subject: client.id,
        requiredClaims: ['aud', 'exp', 'iat', 'jti'],
        clockTolerance: skew,
        currentDate: new Date(now()),
      })
      return payload
    } catch (error) {
      // Any other trouble than with a claim is this key's, and the next one may do.
      if (error instanceof errors.JWTExpired) throw refused('has expired', error)
      if (error instanceof errors.JWTClaimValidationFailed) {
        throw refused(`has a missing or wrong '${error.claim}'`, error)
      }
    }
  }
  throw refused("has a signature that is not the client's")
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
