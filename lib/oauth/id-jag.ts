/**
 * The Identity Assertion JWT Authorization Grant (ID-JAG): the names of the wire, and what an assertion says before
 * anybody has checked its signature. Refusing by that is safe and costs nothing.
 *
 * @see draft-ietf-oauth-identity-assertion-authz-grant sections 3.1 and 4.4, MCP "Enterprise-Managed Authorization"
 */
import type { DecodedJwt } from '../crypto/decode-jwt.js'
import { isThumbprint } from './dpop.js'
import { OAuthError } from './errors.js'

/** What metadata says of a server that takes ID-JAGs. @see the draft, section 7.2 */
export const idJagProfile = 'urn:ietf:params:oauth:grant-profile:id-jag'

/** The `typ` of an ID-JAG: no other token of the same issuer has it. @see RFC 8725 section 3.11 */
export const idJagType = 'oauth-id-jag+jwt'

/** The claims of an ID-JAG whose signature has been verified. */
export interface IdentityAssertionClaims {
  /** The identity provider. */
  readonly iss: string
  /** The user, as the identity provider knows them. */
  readonly sub: string
  readonly client_id: string
  readonly jti: string
  /** Seconds since the epoch. */
  readonly exp: number
  /** Seconds since the epoch. */
  readonly iat: number
  readonly resource?: string | readonly string[]
  /** Short names, space-separated. */
  readonly scope?: string
  /** The key that it is bound to. @see RFC 7800 section 3 */
  readonly cnf?: unknown
  readonly [claim: string]: unknown
}

/** The error for an assertion that is not good. @param why follows the words "The identity assertion" */
export function assertionRefusal(why: string, cause?: unknown): OAuthError {
  return new OAuthError('invalid_grant', `The identity assertion ${why}.`, { cause })
}

/** Whether a JWT says that it is one. @see RFC 7515 section 4.1.9: a media type without its `application/`, in any case */
export function isIdJag({ header: { typ } }: Pick<DecodedJwt, 'header'>): boolean {
  return typeof typ === 'string' && typ.toLowerCase().replace(/^application\//, '') === idJagType
}

/**
 * Refuses what is no ID-JAG: an id token and an access token of the same issuer are none, whatever they claim.
 *
 * @throws OAuthError `invalid_grant`
 */
export function checkIdJagHeader({ header }: DecodedJwt, algorithms: readonly string[]): void {
  const { alg, crit } = header
  if (!isIdJag({ header })) {
    throw assertionRefusal(`must have the 'typ' ${idJagType}: no other token will do`)
  }
  if (typeof alg !== 'string' || !algorithms.includes(alg)) {
    throw assertionRefusal(`must be signed with ${algorithms.join(' or ')}`)
  }
  if (crit !== undefined) throw assertionRefusal('has critical extensions')
}

/**
 * Refuses an assertion for another server: ours must be the only audience, because any one of several could forward it.
 * One slash at the end makes no difference: clients take the issuer for a URL, and then write it with one.
 *
 * @throws OAuthError `invalid_grant`
 */
export function checkIdJagAudience({ claims }: DecodedJwt, issuer: string): void {
  const [only, ...others] = [claims.aud].flat()
  if (others.length === 0 && (only === issuer || only === `${issuer}/`)) return
  throw assertionRefusal(`must name ${issuer} as its only audience`)
}

/** Refuses an assertion for another client. @throws OAuthError `invalid_grant` */
export function checkIdJagClient({ claims }: DecodedJwt, clientId: string): void {
  if (typeof claims.client_id !== 'string') throw assertionRefusal("has no 'client_id'")
  if (claims.client_id === clientId) return
  throw assertionRefusal('was issued for another client: its client_id is not that of the caller')
}

/**
 * Refuses an assertion that does not say for whom it is, or for what. Authorization details are not read here, so one that
 * grants nothing else would get more than its issuer meant.
 *
 * @throws OAuthError `invalid_grant`
 * @see the draft, sections 3.1 and 4.4.1, RFC 9396
 */
export function checkIdJagGrant({ claims }: Pick<DecodedJwt, 'claims'>): void {
  const { sub, scope, authorization_details: details } = claims
  if (typeof sub !== 'string' || sub === '') throw assertionRefusal("has a missing or wrong 'sub'")
  if (scope !== undefined && typeof scope !== 'string') {
    throw assertionRefusal("has a 'scope' that is not a text")
  }
  if (details !== undefined && scope === undefined) {
    throw assertionRefusal(
      "has 'authorization_details', which this server does not know, and no 'scope'",
    )
  }
  idJagResources(claims)
}

/**
 * Refuses an assertion that is bound to a key, unless its sender has proven to hold that key.
 *
 * @param proven the thumbprint of the DPoP key of the request
 * @throws OAuthError `invalid_grant`
 * @see the draft, "Sender Constraining Tokens"
 */
export function checkIdJagKey(
  { cnf }: Pick<IdentityAssertionClaims, 'cnf'>,
  proven: string | undefined,
): void {
  if (cnf === undefined) return
  const { jkt } = Object(cnf) as { jkt?: unknown }
  if (!isThumbprint(jkt)) {
    throw assertionRefusal("is bound to something else than a DPoP key ('cnf')")
  }
  if (proven === undefined) {
    throw assertionRefusal('is bound to a key, and there is no DPoP proof of it')
  }
  if (proven !== jkt) throw assertionRefusal('is bound to another key than that of the DPoP proof')
}

/** The resources an assertion is for; none means that the issuer did not say. @throws OAuthError `invalid_grant` */
export function idJagResources({ resource }: { readonly resource?: unknown }): readonly string[] {
  const named = resource === undefined ? [] : [resource].flat()
  if (named.every((one): one is string => typeof one === 'string') && named.length <= mostResources)
    return named
  throw assertionRefusal("has a 'resource' that is neither a URI nor a short list of them")
}

const mostResources = 16
