/**
 * Tokens a gate has verified: a bounded cache in front of the two ways to verify one. A token seen before
 * costs a look-up; one of ours is held against its grant in the store once a second, so that a
 * revocation reaches every replica within that second.
 */

import { type DecodedJwt, decodeJwt } from '../crypto/decode-jwt.js'
import type { ScopeStrategy } from '../entra/scopes.js'
import { type EntraClaims, type EntraVerifier, isAppOnly } from '../entra/verify.js'
import type { LoginPolicy } from '../login/policy.js'
import { isPolicyRefusal, recheckPolicy } from '../login/policy.js'
import { userFromClaims } from '../login/user.js'
import { OAuthError } from '../oauth/errors.js'
import type { VaultRecord } from '../storage/vault.js'
import { type AccessTokenClaims, type AccessTokens, scopesOf } from '../tokens/access-token.js'
import type { Grants } from '../tokens/grants.js'
import type { Grant, User } from '../tokens/records.js'

/** A token that is good. */
export interface VerifiedToken {
  readonly kind: 'proxy' | 'entra'
  readonly clientId: string
  /** Short names: asked for and granted. */
  readonly scopes: readonly string[]
  /** Seconds since the epoch. */
  readonly expiresAt: number
  /** The audience of a token of ours; Entra's are for all our resources. */
  readonly resource?: string
  readonly user?: User
  /** Claims of Entra's access token. */
  readonly claims: EntraClaims
  /** Entra's access token: what is exchanged on behalf of the user. */
  readonly assertion: string
  /** The secret of the grant behind a token of ours. */
  readonly sid?: string
  /** That grant, as it was at most a second ago. */
  readonly grant?: Grant
}

/** What verifying needs. The proxy's part is absent in direct mode without `keys`. */
export interface VerifiedTokensOptions {
  readonly verifier: EntraVerifier
  readonly scopes: ScopeStrategy
  /** Asked about a user who brings a token of Entra's; who logged in here was asked about then. */
  readonly policy: LoginPolicy
  readonly proxy?: { readonly accessTokens: AccessTokens; readonly grants: Grants } | undefined
  readonly maxEntries: number
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Milliseconds on a clock that only goes forward: a revocation must not wait for one that jumped back. */
  readonly monotonic?: () => number
}

/** Finds out whether a token is good: at once when nobody else has to be asked. May throw, too. */
export type VerifyToken = (token: string) => VerifiedToken | Promise<VerifiedToken>

interface Entry {
  /** The whole token: entries are found by its end, and it is the same token only when all of it is. */
  readonly token: string
  verified: VerifiedToken
  readonly jti?: string
  /** The grant as last read. */
  record?: VaultRecord<Grant>
  /** Milliseconds on the clock that only goes forward. */
  checkedAt: number
  /** How many revocations this process had made by then. */
  revocations: number
  check?: Promise<VerifiedToken>
}

/** A token of Entra's whose user may not come in. */
interface Refusal {
  readonly token: string
  readonly error: OAuthError
  /** Seconds since the epoch: until then nobody is asked about this token again. */
  readonly expiresAt: number
}

/** Refusals to remember: a map of their own, so that users who may not come in push out nobody who may. */
const mostRefusals = 1000
/** Milliseconds for which a grant is taken to be as it was last read. */
const recheck = 1000
/** Longest token worth looking at, in characters. */
const longestToken = 16_384

/**
 * @throws (the function it returns) OAuthError `invalid_token`; `access_denied` for a user whom the login policy
 *   does not let in; 503 when the store, Entra's keys or the policy are out of reach
 */
export function verifiedTokens(options: VerifiedTokensOptions): VerifyToken {
  const { now, monotonic = now, maxEntries, proxy } = options
  const entries = new Map<string, Entry>()
  const refusals = new Map<string, Refusal>()
  const examinations = new Map<string, Promise<VerifiedToken>>()

  const remember = (entry: Entry): VerifiedToken => {
    put(entries, entry, maxEntries)
    return entry.verified
  }

  /** Throws at once what needs no signature to be refused. */
  const examine = (token: string): Promise<VerifiedToken> => {
    const jwt = token.length <= longestToken ? decodeJwt(token) : undefined
    if (!jwt)
      throw new OAuthError('invalid_token', 'The access token is not one this server knows.')
    return proxy?.accessTokens.claimsToBeOurs(jwt)
      ? proxy.accessTokens.verify(jwt).then((claims) => own(proxy, token, claims))
      : options.verifier.accessToken(jwt).then((claims) => entras(token, claims))
  }

  /** One of ours: held against its grant in the store. */
  const own = async (
    { grants }: NonNullable<VerifiedTokensOptions['proxy']>,
    token: string,
    claims: AccessTokenClaims,
  ) => {
    const seen = { checkedAt: monotonic(), revocations: grants.revocations }
    return remember({ token, ...ownEntry(claims, await liveGrant(grants, claims)), ...seen })
  }

  /** One of Entra's. The policy's answer holds as long as the token, whichever it is; an outage is no answer. */
  const entras = async (token: string, claims: EntraClaims) => {
    const verified = entraToken(token, claims, options.scopes)
    try {
      if (verified.user) await recheckPolicy(options.policy, verified.user, claims)
    } catch (error) {
      if (isPolicyRefusal(error))
        put(refusals, { token, error, expiresAt: claims.exp }, mostRefusals)
      throw error
    }
    return remember({ token, verified, checkedAt: monotonic(), revocations: 0 })
  }

  const throwIfRefused = (token: string) => {
    const refusal = refusals.get(endOf(token))
    if (refusal?.token !== token) return
    if (refusal.expiresAt * 1000 > now()) throw refusal.error
    // A new token may say other things about the user: the client is to get itself one.
    throw new OAuthError('invalid_token', 'The access token has expired.')
  }

  /** However many requests bring a new token at once, it is examined once. */
  const first = (token: string): Promise<VerifiedToken> => {
    const running = examinations.get(token)
    if (running) return running
    throwIfRefused(token)
    const examination = examine(token).finally(() => examinations.delete(token))
    examinations.set(token, examination)
    return examination
  }

  const again = async (entry: Entry): Promise<VerifiedToken> => {
    const { sid } = entry.verified
    const seen = { checkedAt: monotonic(), revocations: proxy?.grants.revocations ?? 0 }
    const record = await stillLive(sid as string, entry)
    if (!record) {
      entries.delete(endOf(entry.token))
      throw revoked(entry.verified.scopes)
    }
    // Refreshed meanwhile, by whichever replica: what Entra said last is what counts.
    const verified =
      record === entry.record ? entry.verified : { ...entry.verified, ...ofGrant(record.value) }
    Object.assign(entry, seen, { record, verified })
    return verified
  }

  /** Whoever revokes this token writes its grant too, so the token's own mark is only read when that has changed. */
  const stillLive = async (sid: string, { jti, record: known }: Entry) => {
    const record = await proxy?.grants.reread(sid, known as VaultRecord<Grant>)
    if (!record || record === known) return record
    return (await proxy?.grants.isTokenRevoked(sid, jti as string)) ? undefined : record
  }

  const isFresh = ({ checkedAt, revocations }: Entry, time: number) =>
    time - checkedAt < recheck && revocations === proxy?.grants.revocations

  return function verify(token) {
    const entry = entries.get(endOf(token))
    if (entry?.token !== token) return first(token)
    const time = now()
    if (entry.verified.expiresAt * 1000 <= time) {
      entries.delete(endOf(token))
      const scopes = entry.record && entry.verified.scopes
      throw new OAuthError('invalid_token', 'The access token has expired.', { scopes })
    }
    if (entry.record === undefined || isFresh(entry, monotonic())) return entry.verified
    entry.check ??= again(entry).finally(() => {
      delete entry.check
    })
    return entry.check
  }
}

/** The least recently added leaves when there are too many. */
function put<T extends { readonly token: string }>(
  map: Map<string, T>,
  entry: T,
  most: number,
): void {
  const key = endOf(entry.token)
  map.delete(key)
  map.set(key, entry)
  if (map.size <= most) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}

/** 256 bits of its signature: hashing them costs a tenth of hashing the token, and no two good tokens share them. */
function endOf(token: string): string {
  return token.slice(-43)
}

async function liveGrant(grants: Grants, claims: AccessTokenClaims): Promise<VaultRecord<Grant>> {
  const { sid, jti } = claims
  const [record, isRevoked] = await Promise.all([grants.read(sid), grants.isTokenRevoked(sid, jti)])
  if (!record || isRevoked) throw revoked(scopesOf(claims))
  return record
}

/** @param scopes those of the token, whose signature is ours: a new login is to ask for as much */
function revoked(scopes: readonly string[]): OAuthError {
  return new OAuthError('invalid_token', 'The access token has been revoked.', { scopes })
}

function ownEntry(token: AccessTokenClaims, record: VaultRecord<Grant>) {
  const verified: VerifiedToken = {
    kind: 'proxy',
    clientId: token.client_id,
    scopes: scopesOf(token),
    expiresAt: token.exp,
    resource: token.aud,
    sid: token.sid,
    ...ofGrant(record.value),
  }
  return { verified, jti: token.jti, record }
}

/** What a token of ours owes to its grant. */
function ofGrant(grant: Grant) {
  const { accessToken } = grant.upstream
  const claims = (decodeJwt(accessToken) as DecodedJwt).claims as EntraClaims
  return { user: grant.user, claims, assertion: accessToken, grant }
}

function entraToken(token: string, claims: EntraClaims, scopes: ScopeStrategy): VerifiedToken {
  return {
    kind: 'entra',
    clientId: claims.azp ?? '',
    scopes: scopes.fromToken(claims),
    expiresAt: claims.exp,
    ...(!isAppOnly(claims) && { user: userFromClaims(claims) }),
    claims,
    assertion: token,
  }
}
