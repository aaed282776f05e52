/**
 * The tokens that a gate has verified: a bounded cache in front of the two ways to verify one. A token seen before
 * costs a look-up. For one of ours the grant in the store is looked at again once a second, so that a revocation
 * reaches every replica within that second.
 */
import { boundedMap } from '../async/bounded-map.js'
import type { Clock } from '../async/clock.js'
import { singleFlight } from '../async/single-flight.js'
import { decodeJwt } from '../crypto/decode-jwt.js'
import type { ScopeStrategy } from '../entra/scopes.js'
import type { EntraClaims, EntraVerifier } from '../entra/verify.js'
import { isPolicyRefusal, type LoginPolicy, recheckPolicy } from '../login/policy.js'
import { OAuthError } from '../oauth/errors.js'
import type { VaultRecord } from '../storage/vault.js'
import { type AccessTokenClaims, type AccessTokens, scopesOf } from '../tokens/access-token.js'
import type { Grants } from '../tokens/grants.js'
import type { Grant } from '../tokens/records.js'
import { entraToken, fromGrant, proxyToken, type VerifiedToken } from './verified-token.js'

/** What verifying needs. */
export interface VerifiedTokensOptions {
  readonly verifier: EntraVerifier
  readonly scopes: ScopeStrategy
  /** Asked about a user who brings a token of Entra's. Users of the proxy were asked about at login. */
  readonly policy: LoginPolicy
  /** Absent without `keys`. */
  readonly proxy?: ProxyTokens | undefined
  /** Tokens to remember. */
  readonly maxEntries: number
  readonly now: Clock
  /** Milliseconds on a clock that only goes forward: a revocation must not wait for one that jumped back. */
  readonly monotonic?: Clock
}

/** What verifies tokens of ours. */
interface ProxyTokens {
  readonly accessTokens: AccessTokens
  readonly grants: Grants
}

/** @throws OAuthError */
export type VerifyToken = (token: string) => Promise<VerifiedToken>

interface Entry {
  /** The whole token: entries are found by its end, and it is the same token only when all of it is. */
  readonly token: string
  verified: VerifiedToken
  /** What has to be looked at again, for a token of ours. */
  own?: OwnState
}

interface OwnState {
  readonly sid: string
  readonly jti: string
  /** The grant as last read. */
  readonly record: VaultRecord<Grant>
  /** When that was, on the monotonic clock. */
  readonly checkedAt: number
  /** How many revocations this process had made by then. */
  readonly revocations: number
}

/** A token of Entra's whose user may not come in. */
interface PolicyRefusal {
  readonly token: string
  readonly error: OAuthError
  /** Seconds since the epoch: until then nobody is asked about this token again. */
  readonly expiresAt: number
}

/** Refusals to remember, in a map of their own: users who may not come in push out nobody who may. */
const mostRefusals = 1000
/** Milliseconds for which a grant is taken to be as it was last read. */
const recheckAfter = 1000
/** Longest token worth looking at, in characters. */
const longestToken = 16_384

/**
 * @throws (the function it returns) OAuthError `invalid_token`; `access_denied` for a user whom the login policy
 *   does not let in; 503 when the store, Entra's keys or the policy are out of reach
 */
export function verifiedTokens(options: VerifiedTokensOptions): VerifyToken {
  const { now, monotonic = now, maxEntries, proxy } = options
  const entries = boundedMap<Entry>({ maxEntries })
  const refusals = boundedMap<PolicyRefusal>({ maxEntries: mostRefusals })
  const flights = singleFlight<VerifiedToken>()

  const remember = (entry: Entry): VerifiedToken => {
    entries.set(endOf(entry.token), entry)
    return entry.verified
  }

  const examine = async (token: string): Promise<VerifiedToken> => {
    const jwt = token.length <= longestToken ? decodeJwt(token) : undefined
    if (!jwt)
      throw new OAuthError('invalid_token', 'The access token is not one this server knows.')
    return proxy?.accessTokens.claimsToBeOurs(jwt)
      ? admitOwn(proxy, token, await proxy.accessTokens.verify(jwt))
      : admitEntras(token, await options.verifier.accessToken(jwt))
  }

  /** A token of ours is as good as its grant. */
  const admitOwn = async ({ grants }: ProxyTokens, token: string, claims: AccessTokenClaims) => {
    const { sid, jti } = claims
    const seen = { checkedAt: monotonic(), revocations: grants.revocations }
    const record = await readLiveGrant(grants, claims)
    const verified = proxyToken(claims, record.value)
    return remember({ token, verified, own: { sid, jti, record, ...seen } })
  }

  /** The policy's answer, yes or no, holds as long as the token; an outage is no answer. */
  const admitEntras = async (token: string, claims: EntraClaims) => {
    const verified = entraToken(token, claims, options.scopes)
    try {
      if (verified.user) await recheckPolicy(options.policy, verified.user, claims)
    } catch (error) {
      if (isPolicyRefusal(error))
        refusals.set(endOf(token), { token, error, expiresAt: claims.exp })
      throw error
    }
    return remember({ token, verified })
  }

  const throwIfRefused = (token: string) => {
    const refusal = refusals.get(endOf(token))
    if (refusal?.token !== token) return
    if (refusal.expiresAt * 1000 > now()) throw refusal.error
    // A new token may say other things about the user, so the client should get one.
    throw new OAuthError('invalid_token', 'The access token has expired.')
  }

  /** Looks at the grant of a token of ours again. */
  const recheck = async (grants: Grants, entry: Entry, own: OwnState) => {
    const seen = { checkedAt: monotonic(), revocations: grants.revocations }
    const record = await rereadLiveGrant(grants, own)
    if (!record) {
      entries.delete(endOf(entry.token))
      throw revoked(entry.verified.scopes)
    }
    entry.own = { ...own, ...seen, record }
    // Refreshed meanwhile, by whichever replica: what Entra said last is what counts.
    if (record !== own.record) entry.verified = { ...entry.verified, ...fromGrant(record.value) }
    return entry.verified
  }

  const isFresh = ({ checkedAt, revocations }: OwnState, grants: Grants) =>
    monotonic() - checkedAt < recheckAfter && revocations === grants.revocations

  return async function verify(token) {
    const entry = entries.get(endOf(token))
    if (entry?.token !== token) {
      throwIfRefused(token)
      return flights.run(token, () => examine(token))
    }
    const { verified, own } = entry
    if (verified.expiresAt * 1000 <= now()) {
      entries.delete(endOf(token))
      const scopes = own && verified.scopes
      throw new OAuthError('invalid_token', 'The access token has expired.', { scopes })
    }
    if (!own || !proxy || isFresh(own, proxy.grants)) return verified
    return flights.run(token, () => recheck(proxy.grants, entry, own))
  }
}

/** 256 bits of its signature: hashing them costs a tenth of hashing the token, and no two good tokens share them. */
function endOf(token: string): string {
  return token.slice(-43)
}

async function readLiveGrant(
  grants: Grants,
  claims: AccessTokenClaims,
): Promise<VaultRecord<Grant>> {
  const { sid, jti } = claims
  const [record, isRevoked] = await Promise.all([grants.read(sid), grants.isTokenRevoked(sid, jti)])
  if (!record || isRevoked) throw revoked(scopesOf(claims))
  return record
}

/** A revocation of this one token writes its grant too, so the token's mark is read only when that has changed. */
async function rereadLiveGrant(
  grants: Grants,
  { sid, jti, record: known }: OwnState,
): Promise<VaultRecord<Grant> | undefined> {
  const record = await grants.reread(sid, known)
  if (!record || record === known) return record
  return (await grants.isTokenRevoked(sid, jti)) ? undefined : record
}

/** @param scopes those of the token, whose signature is ours: a new login is to ask for as much */
function revoked(scopes: readonly string[]): OAuthError {
  return new OAuthError('invalid_token', 'The access token has been revoked.', { scopes })
}
