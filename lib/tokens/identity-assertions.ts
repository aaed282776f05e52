/**
 * Identity assertions (ID-JAG): the word of an identity provider that a user may use a client here. Used ones are
 * remembered in the store until they expire, so that no replica takes one twice.
 */
import { errors, type JWTPayload, jwtVerify } from 'jose'
import type { Clock } from '../async/clock.js'
import { type DecodedJwt, decodeJwt } from '../crypto/decode-jwt.js'
import { type AssertionAlgorithm, algorithmOf, type ClientKey } from '../oauth/client-keys.js'
import {
  assertionRefusal,
  checkIdJagAudience,
  checkIdJagClient,
  checkIdJagGrant,
  checkIdJagHeader,
  type IdentityAssertionClaims,
} from '../oauth/id-jag.js'
import type { Vault } from '../storage/vault.js'
import type { IssuerKeys, KeyedIssuer } from './issuer-keys.js'
import { importKey, selectKey } from './signer-keys.js'

/** An identity provider whose word counts here. */
export interface TrustedIssuer extends KeyedIssuer {
  readonly algorithms: readonly AssertionAlgorithm[]
  /** Ids of the clients it may let in. Undefined: all that it names. */
  readonly clients: readonly string[] | undefined
}

/** A good assertion, and who has made it. */
export interface VerifiedAssertion<I extends TrustedIssuer> {
  readonly issuer: I
  readonly claims: IdentityAssertionClaims
}

/** Checks assertions. */
export interface IdentityAssertions<I extends TrustedIssuer> {
  /**
   * @param clientId of the client that has authenticated itself
   * @throws OAuthError `invalid_grant` that says what is wrong, or 503 when the issuer's keys are out of reach
   */
  verify(assertion: string, clientId: string): Promise<VerifiedAssertion<I>>
  /**
   * Uses an assertion up: for one caller only, however many there are. Last, because nobody without an assertion that
   * is good in every other way may write to the store.
   *
   * @throws OAuthError `invalid_grant` when it has been used before, or 503
   */
  spend(claims: IdentityAssertionClaims): Promise<void>
}

/** Options of {@link identityAssertions}. */
export interface IdentityAssertionsOptions<I extends TrustedIssuer> {
  readonly issuers: readonly I[]
  /** Our issuer: what an assertion must name as its audience. */
  readonly baseUrl: string
  readonly records: Vault
  readonly keys: IssuerKeys
  readonly now: Clock
}

/** Longest life of an assertion, in seconds: that long a used one must be remembered. Providers issue some minutes. */
const longestLife = 3600
/** Seconds by which clocks may differ. */
const skew = 30
/** Least time between two fetches of one key set for an unknown key, in milliseconds. */
const unknownKeyPause = 30_000
const longestId = 512

/** @see draft-ietf-oauth-identity-assertion-authz-grant section 4.4.1, RFC 7523 section 3 */
export function identityAssertions<I extends TrustedIssuer>(
  options: IdentityAssertionsOptions<I>,
): IdentityAssertions<I> {
  const { baseUrl, records, keys, now } = options
  const issuers = new Map(options.issuers.map((each) => [each.issuer, each]))
  const used = records.shelf<true>('identity-assertion')

  const findIssuer = ({ claims }: DecodedJwt): I => {
    const issuer = typeof claims.iss === 'string' ? issuers.get(claims.iss) : undefined
    if (issuer) return issuer
    throw assertionRefusal('is not from an identity provider that this server trusts')
  }

  return Object.freeze({
    async verify(assertion: string, clientId: string) {
      const jwt = decodeJwt(assertion)
      if (!jwt) throw assertionRefusal('is not a signed JWT')
      const issuer = findIssuer(jwt)
      checkUnverified(jwt, { algorithms: issuer.algorithms, baseUrl, clientId, now })
      if (issuer.clients && !issuer.clients.includes(clientId)) {
        throw assertionRefusal('is for a client that its issuer may not let in here')
      }
      const key = await findKey(keys, issuer, jwt)
      const claims = await verifyClaims(assertion, key, issuer, now)
      return { issuer, claims: Object.freeze({ ...claims }) as IdentityAssertionClaims }
    },
    async spend({ iss, jti, exp }: IdentityAssertionClaims) {
      const remaining = Math.max(0, exp - Math.floor(now() / 1000))
      if (await used.add(`${iss}\0${jti}`, true, remaining + skew)) return
      throw assertionRefusal('has been used before')
    },
  })
}

/** What an assertion has to say, whoever has signed it. */
export interface ExpectedAssertion {
  readonly algorithms: readonly string[]
  readonly baseUrl: string
  readonly clientId: string
  readonly now: Clock
}

/** All that can be told without the issuer's keys. @throws OAuthError `invalid_grant` */
export function checkUnverified(
  jwt: DecodedJwt,
  { algorithms, baseUrl, clientId, now }: ExpectedAssertion,
): void {
  checkIdJagHeader(jwt, algorithms)
  checkIdJagAudience(jwt, baseUrl)
  checkIdJagClient(jwt, clientId)
  checkIdJagGrant(jwt)
  checkLife(jwt, Math.floor(now() / 1000))
}

/** Before the signature: what is too old or lives too long is refused whoever has signed it. */
function checkLife({ claims }: DecodedJwt, now: number): void {
  const { exp, iat, jti } = claims
  if (typeof exp !== 'number' || typeof iat !== 'number')
    throw assertionRefusal("needs an 'exp' and an 'iat'")
  if (!(exp + skew > now)) throw assertionRefusal('has expired')
  if (iat > now + skew) throw assertionRefusal("has an 'iat' in the future")
  if (!(exp - now <= longestLife + skew && exp - iat <= longestLife)) {
    throw assertionRefusal(`is good for more than ${longestLife} seconds`)
  }
  if (typeof jti !== 'string' || jti === '' || jti.length > longestId) {
    throw assertionRefusal(
      "has no usable 'jti': without one nobody can tell whether it is used twice",
    )
  }
}

async function findKey(
  keys: IssuerKeys,
  issuer: TrustedIssuer,
  { header }: DecodedJwt,
): Promise<ClientKey> {
  const wanted = {
    alg: header.alg as AssertionAlgorithm,
    kid: typeof header.kid === 'string' ? header.kid : undefined,
  }
  const select = (all: readonly ClientKey[]) => selectKey(all, wanted, ambiguous)
  const key =
    select(await keys.find(issuer)) ??
    select(await keys.find(issuer, { againAfter: unknownKeyPause }))
  if (key) return key
  throw assertionRefusal("is signed with a key that is not among its issuer's")
}

function ambiguous(): Error {
  return assertionRefusal("must name its key by 'kid': its issuer has several that fit")
}

async function verifyClaims(
  assertion: string,
  key: ClientKey,
  { issuer }: TrustedIssuer,
  now: Clock,
): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(assertion, await importKey(key), {
      algorithms: [algorithmOf(key)],
      issuer,
      requiredClaims: ['sub', 'client_id', 'exp', 'iat', 'jti'],
      clockTolerance: skew,
      currentDate: new Date(now()),
    })
    return payload
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw assertionRefusal('has expired', error)
    if (error instanceof errors.JWTClaimValidationFailed) {
      throw assertionRefusal(`has a missing or wrong '${error.claim}'`, error)
    }
    // Everything else is about the signature, or about the key: a point that is not on its curve, for example.
    throw assertionRefusal("has a signature that is not its issuer's", error)
  }
}
