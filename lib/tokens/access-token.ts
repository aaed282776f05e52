/** Our access tokens: `at+jwt`, ES256, for one MCP resource, with nothing in them that names a person. */
import { compactVerify, errors, SignJWT } from 'jose'
import type { Clock } from '../async/clock.js'
import type { DecodedJwt } from '../crypto/decode-jwt.js'
import { randomId } from '../crypto/hashing.js'
import type { KeyRing, RingKey } from '../crypto/key-ring.js'
import { attribute, type EventFacts } from '../http/event-facts.js'
import { OAuthError } from '../oauth/errors.js'
import type { Grant } from './records.js'

/** The claims of our access token. @see RFC 9068 section 2.2 */
export interface AccessTokenClaims {
  readonly iss: string
  readonly aud: string
  readonly sub: string
  readonly client_id: string
  readonly scope: string
  readonly exp: number
  readonly iat: number
  readonly jti: string
  /** The secret that opens the grant in the store. */
  readonly sid: string
  /** The key that the token is bound to. @see RFC 9449 section 6.1 */
  readonly cnf?: { readonly jkt: string }
}

/** What a token is minted for. */
export interface MintRequest {
  readonly sid: string
  readonly grant: Grant
  readonly clientId: string
  readonly scopes: readonly string[]
  /** The key that the token is bound to, if it is to any. @see RFC 7638 */
  readonly jkt?: string | undefined
}

/** Mints and checks our access tokens. */
export interface AccessTokens {
  /** @returns the token, and its lifetime in seconds */
  mint(request: MintRequest): Promise<{ token: string; expiresIn: number }>
  /** Whether the header of a token says that it is ours. */
  claimsToBeOurs(jwt: DecodedJwt): boolean
  /**
   * @param resource the audience to insist on. Without it, any resource of this server will do (revocation)
   * @throws OAuthError `invalid_token`. When an expired token has our signature, the error names its `scopes`, so that
   *   a new login can ask for the same
   */
  verify(jwt: DecodedJwt, resource?: string): Promise<AccessTokenClaims>
}

const type = 'at+jwt'
const algorithm = 'ES256'

/**
 * @param issuer our base URL
 * @param maxAge longest lifetime, in seconds
 * @see RFC 9068
 */
export function accessTokens(
  issuer: string,
  ring: KeyRing,
  maxAge: number,
  now: Clock,
): AccessTokens {
  const { kid, privateKey } = ring.current.signing
  return Object.freeze({
    async mint({ sid, grant, clientId, scopes, jkt }: MintRequest) {
      const iat = Math.floor(now() / 1000)
      const expiresIn = Math.max(1, Math.min(maxAge, endOf(grant) - iat))
      const claims: AccessTokenClaims = {
        iss: issuer,
        aud: grant.resource,
        sub: grant.user.sub,
        client_id: clientId,
        scope: scopes.join(' '),
        exp: iat + expiresIn,
        iat,
        jti: randomId(),
        sid,
        ...(jkt !== undefined && { cnf: { jkt } }),
      }
      const header = { alg: algorithm, typ: type, kid }
      const token = await new SignJWT({ ...claims }).setProtectedHeader(header).sign(privateKey)
      return { token, expiresIn }
    },
    claimsToBeOurs: ({ header }: DecodedJwt) => header.typ === type && header.alg === algorithm,
    async verify(jwt: DecodedJwt, resource?: string) {
      // Refusing an unverified token is safe and costs nothing. Only the signature check may admit one.
      const { publicKey } = findKey(jwt, ring)
      checkClaims(jwt, issuer, resource)
      await verifySignature(jwt, publicKey)
      const claims = jwt.claims as unknown as AccessTokenClaims
      if (claims.exp > Math.floor(now() / 1000)) return claims
      const expired = invalid('The access token has expired.', scopesOf(claims))
      throw attribute(expired, accessTokenFacts(claims))
    },
  })
}

/** Seconds since the epoch: no token outlives Entra's own, or the grant. */
function endOf({ upstream, endsAt = Number.POSITIVE_INFINITY }: Grant): number {
  return Math.floor(Math.min(upstream?.expiresAt ?? Number.POSITIVE_INFINITY, endsAt))
}

function findKey({ header }: DecodedJwt, ring: KeyRing): RingKey['signing'] {
  const key = typeof header.kid === 'string' ? ring.bySigningKid(header.kid) : undefined
  if (!key || header.typ !== type || header.alg !== algorithm || 'crit' in header) {
    throw invalid('The access token is not one of this server.')
  }
  return key.signing
}

function checkClaims({ claims }: DecodedJwt, issuer: string, resource: string | undefined): void {
  if (typeof claims.exp !== 'number') throw invalid('The access token has expired.')
  if (claims.iss !== issuer || (resource !== undefined && claims.aud !== resource)) {
    throw invalid('The access token is not for this resource.')
  }
}

/** The claims were read from this very text: they need no second look by jose's `jwtVerify`. */
async function verifySignature(
  { token }: DecodedJwt,
  publicKey: RingKey['signing']['publicKey'],
): Promise<void> {
  try {
    await compactVerify(token, publicKey, { algorithms: [algorithm] })
  } catch (error) {
    if (!(error instanceof errors.JOSEError)) throw error
    throw invalid('The access token has a bad signature.')
  }
}

/** Short names of the scopes in a verified token. */
export function scopesOf({ scope }: Pick<AccessTokenClaims, 'scope'>): readonly string[] {
  return scope === '' ? [] : scope.split(' ')
}

/** What a verified token says about an event. It names no user: its `sub` is pairwise. */
export function accessTokenFacts(claims: AccessTokenClaims): EventFacts {
  const { client_id, sid, aud } = claims
  return { client: { id: client_id }, sid, scopes: scopesOf(claims), resource: aud }
}

function invalid(description: string, scopes?: readonly string[]): OAuthError {
  return new OAuthError('invalid_token', description, { scopes })
}
