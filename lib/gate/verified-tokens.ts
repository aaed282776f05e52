/**
 * The tokens that a gate has verified: a bounded cache in front of the two ways to verify one. A token seen before
 * costs a look-up, and nobody waits for it. One of ours is as good as its grant: see `live-grants.ts`.
 */
import { boundedMap } from '../async/bounded-map.js'
import type { Clock } from '../async/clock.js'
import { singleFlight } from '../async/single-flight.js'
import { decodeJwt } from '../crypto/decode-jwt.js'
import type { ScopeStrategy } from '../entra/scopes.js'
import type { EntraClaims, EntraVerifier } from '../entra/verify.js'
import { attribute, type EventFacts, factsOf } from '../http/event-facts.js'
import { isPolicyRefusal, type LoginPolicy, recheckPolicy } from '../login/policy.js'
import { OAuthError } from '../oauth/errors.js'
import {
  type AccessTokenClaims,
  type AccessTokens,
  accessTokenFacts,
  scopesOf,
} from '../tokens/access-token.js'
import type { Grants } from '../tokens/grants.js'
import type { User } from '../tokens/records.js'
import type { LiveGrants } from './live-grants.js'
import { grantBehind, isOwn, type OwnToken } from './own-token.js'
import {
  entraToken,
  fromGrant,
  proxyToken,
  type VerifiedToken,
  verifiedFacts,
} from './verified-token.js'

/** What verifying needs. */
export interface VerifiedTokensOptions {
  readonly verifier: EntraVerifier
  readonly scopes: ScopeStrategy
  /** Asked about a user who brings a token of Entra's. Users of the proxy were asked about at login. */
  readonly policy: LoginPolicy
  /** Absent without `keys`. */
  readonly proxy?: OwnTokens | undefined
  /** Tokens to remember, of 4 KiB on average. */
  readonly maxEntries: number
  readonly now: Clock
  /** Milliseconds on a clock that only goes forward: a revocation must not wait for one that jumped back. */
  readonly monotonic?: Clock
}

/**
 * Verifies a token: at once when it is remembered, and its grant was looked at within the last second.
 *
 * @throws OAuthError `invalid_token`; `access_denied` for a user whom the login policy does not let in, or an app
 *   without a role; 503 when the store, Entra's keys or the policy are out of reach
 */
export type VerifyToken = (token: string) => VerifiedToken | Promise<VerifiedToken>

/** What verifying tokens of ours needs. */
export interface OwnTokens {
  readonly accessTokens: AccessTokens
  readonly grants: Grants
  readonly live: LiveGrants
}

interface Entry {
  /** The whole token: entries are found by its end, and it is the same token only when all of it is. */
  readonly token: string
  /** A token of ours with the grant for which it was last known to be good. */
  verified: VerifiedToken
}

/** A token of Entra's whose caller may not come in. */
interface PolicyRefusal {
  readonly token: string
  readonly error: OAuthError
  /** Seconds since the epoch: until then nobody is asked about this token again. */
  readonly expiresAt: number
}

/** Refusals to remember, in a map of their own: users who may not come in push out nobody who may. */
const mostRefusals = 1000
/** Longest token worth looking at, in characters. */
const longestToken = 16_384
/** Bytes of a token and what is kept with it, on average. Longer tokens leave room for fewer. */
export const bytesPerToken = 4096

export function verifiedTokens(options: VerifiedTokensOptions): VerifyToken {
  const { proxy, now, monotonic = now, maxEntries } = options
  const isOver = ({ verified }: Entry) => verified.expiresAt * 1000 <= now()
  const entries = boundedMap<Entry>({
    maxEntries,
    maxBytes: maxEntries * bytesPerToken,
    sizeOf,
    isOver,
    monotonic,
  })
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
  const admitOwn = async (from: OwnTokens, token: string, claims: AccessTokenClaims) => {
    try {
      return await admitVerified(from, token, claims)
    } catch (error) {
      throw attribute(error, accessTokenFacts(claims))
    }
  }

  const admitVerified = async (from: OwnTokens, token: string, claims: AccessTokenClaims) => {
    const { sid, jti } = claims
    const record = from.live.recall(sid) ?? (await from.live.read(sid))
    // Only then the token's mark: who revokes it writes the mark before the grant, so one of the two is seen here, or later.
    if (!record || (await from.grants.isTokenRevoked(sid, jti))) {
      const facts = { ...accessTokenFacts(claims), user: record?.value.user }
      throw revoked(scopesOf(claims), facts)
    }
    // It stays good until it expires. It only leaves the cache, since its client has a newer one.
    const superseded = from.live.supersede(sid, { key: endOf(token), issuedAt: claims.iat })
    if (superseded !== undefined) entries.delete(superseded)
    return remember({ token, verified: proxyToken(claims, record.value) })
  }

  /** The answer, yes or no, holds as long as the token; an outage is no answer. */
  const admitEntras = async (token: string, claims: EntraClaims) => {
    const verified = entraToken(token, claims, options.scopes)
    try {
      await checkCaller(options.policy, verified.account, claims)
    } catch (cause) {
      const error = attribute(cause, verifiedFacts(verified))
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
    const expired = new OAuthError('invalid_token', 'The access token has expired.')
    throw attribute(expired, factsOf(refusal.error))
  }

  /** Looks at the grant of a token of ours again. */
  const recheck = async (from: OwnTokens, entry: Entry, own: OwnToken) => {
    const grant = await grantBehind(from, own)
    if (!grant) {
      entries.delete(endOf(entry.token))
      throw revoked(own.scopes, verifiedFacts(own))
    }
    // Refreshed meanwhile, by whichever replica: what Entra said last is what counts.
    if (grant !== own.grant) entry.verified = { ...own, ...fromGrant(grant) }
    return entry.verified
  }

  return function verify(token) {
    const entry = entries.get(endOf(token))
    if (entry?.token !== token) {
      throwIfRefused(token)
      return flights.run(token, () => examine(token))
    }
    const { verified } = entry
    const own = isOwn(verified) ? verified : undefined
    if (isOver(entry)) {
      entries.delete(endOf(token))
      const scopes = own?.scopes
      const expired = new OAuthError('invalid_token', 'The access token has expired.', { scopes })
      throw attribute(expired, verifiedFacts(verified))
    }
    if (!own || !proxy || proxy.live.recall(own.sid)?.value === own.grant) return verified
    return recheck(proxy, entry, own).catch((error: unknown) => {
      throw attribute(error, verifiedFacts(verified))
    })
  }
}

/** 256 bits of its signature: hashing them costs a tenth of hashing the token, and no two good tokens share them. */
function endOf(token: string): string {
  return token.slice(-43)
}

/**
 * An app that calls on its own behalf has no scopes: an administrator gave it roles, and guards ask for those. Entra
 * issues tokens to any app of the tenant, so one without a role was given nothing.
 */
async function checkCaller(
  policy: LoginPolicy,
  account: User | undefined,
  claims: EntraClaims,
): Promise<void> {
  if (account) return recheckPolicy(policy, account, claims)
  if ((claims.roles ?? []).length > 0) return
  throw new OAuthError('access_denied', 'The app has no role here.')
}

/** Tokens are ASCII, a byte for each character. */
function sizeOf({ token }: Entry): number {
  return token.length + objects
}

/** Bytes that its user and the objects around it take, as measured. */
const objects = 1024

/** @param scopes those of the token, whose signature is ours: a new login is to ask for as much */
function revoked(scopes: readonly string[], facts: EventFacts): unknown {
  const error = new OAuthError('invalid_token', 'The access token has been revoked.', { scopes })
  return attribute(error, facts)
}
