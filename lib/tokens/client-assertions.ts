/**
 * `private_key_jwt`: a client authenticates with an assertion that it has signed. Used assertions are remembered in
 * the store until they expire, so that no replica accepts one twice.
 */
import { errors, type JWTPayload, jwtVerify } from 'jose'
import type { Clock } from '../async/clock.js'
import { decodeJwt } from '../crypto/decode-jwt.js'
import {
  algorithmOf,
  assertionAlgorithms,
  type ClientKey,
  mostClientKeys,
} from '../oauth/client-keys.js'
import { OAuthError } from '../oauth/errors.js'
import type { Vault } from '../storage/vault.js'
import type { ClientKeySets } from './client-documents.js'
import type { Client } from './clients.js'
import { importKey, type SignerHeader, selectKey } from './signer-keys.js'

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

/** Options of {@link clientAssertions}. */
export interface ClientAssertionsOptions {
  /** What an assertion may name as its audience: our issuer, our token endpoint. */
  readonly audiences: readonly string[]
  readonly records: Vault
  readonly keySets: ClientKeySets
  readonly now: Clock
}

/** Longest life of an assertion, in seconds. */
const longestLife = 300
/** Seconds by which clocks may differ. */
const skew = 30
/** Least time between two fetches of one key set for an unknown key, in milliseconds. */
const unknownKeyPause = 30_000

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
      // Last, because a client that cannot sign must not be able to write to the store.
      if (!(await used.add(`${client.id}\0${jti}`, true, remaining + skew))) {
        throw refusal('has been used before')
      }
    },
  })
}

function readHeader({ metadata }: Client, assertion: string): SignerHeader {
  const header = decodeJwt(assertion)?.header
  if (!header) throw refusal('is not a signed JWT')
  const { alg, kid, typ = 'JWT' } = header
  const algorithm = assertionAlgorithms.find((one) => one === alg)
  const bound = metadata.token_endpoint_auth_signing_alg ?? algorithm
  if (algorithm === undefined || algorithm !== bound) {
    throw refusal(
      `must be signed with ${metadata.token_endpoint_auth_signing_alg ?? 'RS256, ES256 or EdDSA'}`,
    )
  }
  if (typeof typ !== 'string' || !/^(?:JWT|client-authentication\+jwt)$/i.test(typ)) {
    throw refusal("has another 'typ' than JWT")
  }
  return { alg: algorithm, kid: typeof kid === 'string' ? kid : undefined }
}

async function findKey(
  { metadata }: Client,
  header: SignerHeader,
  keySets: ClientKeySets,
  sender: string | undefined,
): Promise<ClientKey> {
  const { jwks = { keys: [] }, jwks_uri } = metadata
  const select = (keys: readonly ClientKey[]) => selectKey(keys, header, ambiguous)
  const fetched = async (uri: string, againAfter?: number) =>
    select((await keySets.find(uri, { sender, againAfter })).keys)
  const key =
    jwks_uri === undefined
      ? select(jwks.keys)
      : ((await fetched(jwks_uri)) ?? (await fetched(jwks_uri, unknownKeyPause)))
  if (key) return key
  throw refusal(
    `is signed with a key that is not among the client's first ${mostClientKeys} usable keys`,
  )
}

function ambiguous(kid: string | undefined): OAuthError {
  return refusal(
    kid === undefined
      ? "must name its key by 'kid' in its header: the client has several"
      : "has a 'kid' that several keys of the client have",
  )
}

async function verifyClaims(
  client: Client,
  assertion: string,
  key: ClientKey,
  now: Clock,
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
    if (error instanceof errors.JWTExpired) throw refusal('has expired', error)
    if (error instanceof errors.JWTClaimValidationFailed) {
      throw refusal(`has a missing or wrong '${error.claim}'`, error)
    }
    // Every other error is about the signature, or about the key: a point that is not on its curve, for example.
    throw refusal("has a signature that is not the client's", error)
  }
}

/** This server and nobody else: any one of several audiences could forward the assertion to another. */
function checkAudience({ aud }: JWTPayload, audiences: readonly string[]): void {
  const [only, ...others] = [aud].flat()
  if (only === undefined || others.length > 0 || !audiences.includes(only)) {
    throw refusal(`must name ${audiences[0]} as its only audience`)
  }
}

function checkLife(
  { exp = 0, iat = 0, jti }: JWTPayload,
  now: number,
): { jti: string; remaining: number } {
  if (iat > now + skew) throw refusal("has an 'iat' in the future")
  if (exp - now > longestLife + skew || exp - iat > longestLife) {
    throw refusal(`is good for more than ${longestLife} seconds`)
  }
  if (typeof jti !== 'string' || jti === '') throw refusal("has no 'jti'")
  return { jti, remaining: Math.max(0, exp - now) }
}

function refusal(why: string, cause?: unknown): OAuthError {
  return new OAuthError('invalid_client', `The client assertion ${why}.`, { cause })
}
