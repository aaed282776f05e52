/** Our access tokens: `at+jwt`, ES256, for one MCP resource, with nothing in them that names a person. */
import { randomId } from '../crypto/hashing.js'
import { type ParsedJws, signEs256, verifyJws } from '../crypto/jws.js'
import type { KeyRing } from '../crypto/key-ring.js'
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
}

/** What a token is minted for. */
export interface MintRequest {
  readonly sid: string
  readonly grant: Grant
  readonly clientId: string
  readonly scopes: readonly string[]
}

/** Mints and checks our access tokens. */
export interface AccessTokens {
  /** @returns the token, and its life in seconds */
  mint(request: MintRequest): { token: string; expiresIn: number }
  /** Whether a token says it is ours: the header only. */
  claimsToBeOurs(jws: ParsedJws): boolean
  /**
   * @param resource the audience to insist on; without it any of ours will do (revocation)
   * @throws OAuthError `invalid_token`: at once, unless it takes the signature to find out. An expired token whose
   *   signature is ours has its `scopes` named in the error, so that a new login asks for as much
   */
  verify(jws: ParsedJws, resource?: string): Promise<AccessTokenClaims>
}

const type = 'at+jwt'

/**
 * @param issuer our base URL
 * @param maxAge seconds
 * @param now milliseconds since the epoch
 * @see RFC 9068
 */
export function accessTokens(
  issuer: string,
  ring: KeyRing,
  maxAge: number,
  now: () => number,
): AccessTokens {
  const { kid, privateKey } = ring.current.signing
  return Object.freeze({
    mint({ sid, grant, clientId, scopes }: MintRequest) {
      const iat = Math.floor(now() / 1000)
      const expiresIn = Math.max(1, Math.min(maxAge, grant.upstream.expiresAt - iat))
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
      }
      return { token: signEs256({ typ: type, kid }, { ...claims }, privateKey), expiresIn }
    },
    claimsToBeOurs: ({ header }: ParsedJws) => header.typ === type && header.alg === 'ES256',
    verify(jws: ParsedJws, resource?: string) {
      const key = typeof jws.header.kid === 'string' && ring.bySigningKid(jws.header.kid)
      const claims = jws.claims as unknown as AccessTokenClaims
      // Refusing before the signature is checked is cheap; admitting never happens there.
      if (!key || jws.header.typ !== type || jws.header.alg !== 'ES256' || 'crit' in jws.header) {
        throw invalid('The access token is not one of this server.')
      }
      if (typeof claims.exp !== 'number') throw invalid('The access token has expired.')
      if (claims.iss !== issuer || (resource !== undefined && claims.aud !== resource)) {
        throw invalid('The access token is not for this resource.')
      }
      return verifyJws(jws, 'ES256', key.signing.publicKey).then((good) => {
        if (!good) throw invalid('The access token has a bad signature.')
        if (claims.exp * 1000 > now()) return claims
        throw invalid('The access token has expired.', scopesOf(claims))
      })
    },
  })
}

/** Short names, as they stood in a token that has been verified. */
export function scopesOf({ scope }: AccessTokenClaims): readonly string[] {
  return scope === '' ? [] : scope.split(' ')
}

function invalid(description: string, scopes?: readonly string[]): OAuthError {
  return new OAuthError('invalid_token', description, { scopes })
}
