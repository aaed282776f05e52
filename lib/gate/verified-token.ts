/** A verified token, whichever kind it is: one of ours with the grant behind it, or one of Entra's own. */
import { type DecodedJwt, decodeJwt } from '../crypto/decode-jwt.js'
import { sha256 } from '../crypto/hashing.js'
import { type Caller, callerFromClaims, personFromClaims } from '../entra/caller-claims.js'
import type { ScopeStrategy } from '../entra/scopes.js'
import type { EntraClaims } from '../entra/verify.js'
import type { EventFacts } from '../http/event-facts.js'
import { assertedClaims, userFromClaims } from '../login/user.js'
import { type AccessTokenClaims, scopesOf } from '../tokens/access-token.js'
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
  /** The person who calls, or on whose behalf an agent does. */
  readonly user?: User
  /** What the token is bound to. Absent: nothing, whoever bears it may use it. @see RFC 7800 section 3 */
  readonly cnf?: { readonly jkt?: unknown }
  /** Whose delegated token it is: the person's, or that of the user account of an agent. */
  readonly account?: User
  /** Who calls. Reads the claims of a token of ours each time. */
  caller(): Caller
  /**
   * Reads the claims of Entra's access token. They are decoded each time, for 4 microseconds: few requests ask, and
   * kept decoded they would take half the memory of all that is kept of a token.
   */
  claims(): EntraClaims
  /** What is exchanged on behalf of the user. Absent where Entra has not been asked about the user. */
  readonly assertion?: EntraAssertion | undefined
  /** The secret of the grant behind a token of ours. */
  readonly sid?: string
  /** The name of a token of ours. */
  readonly jti?: string
  /** That grant, as it was last read: at most a minute ago, and not revoked or cut off a second ago. */
  readonly grant?: Grant
}

/** Entra's access token, as what it is to an exchange. */
export interface EntraAssertion {
  readonly token: string
  /** What an exchange needs to know of it. Computed once for each token, when it is first exchanged. */
  facts(): AssertionFacts
}

/** What an exchange needs to know of an assertion. */
export interface AssertionFacts {
  /** SHA-256 of the token. */
  readonly hash: string
  /** Seconds since the epoch, by Entra's clock and not by ours as `expires_in` is. */
  readonly expiresAt: number
}

/** One of ours. */
export function proxyToken(claims: AccessTokenClaims, grant: Grant): VerifiedToken {
  return {
    kind: 'proxy',
    clientId: claims.client_id,
    scopes: scopesOf(claims),
    expiresAt: claims.exp,
    resource: claims.aud,
    sid: claims.sid,
    jti: claims.jti,
    ...(claims.cnf && { cnf: claims.cnf }),
    ...fromGrant(grant),
  }
}

/** What a token of ours takes from its grant: it changes when the grant is refreshed. */
export function fromGrant(grant: Grant) {
  const { user, upstream, assertedBy } = grant
  const { tid, oid } = user
  const accessToken = upstream?.accessToken
  // For whom somebody else has vouched stays who they are when they have signed in at Entra as well.
  const claims = () =>
    accessToken === undefined || assertedBy !== undefined
      ? assertedClaims(grant)
      : // Azure AD B2C leaves out these two: the login knew them from the issuer and the subject.
        { ...readClaims(accessToken), tid, oid }
  return {
    user,
    account: user,
    caller: () => personFromClaims(claims()),
    claims,
    assertion: accessToken === undefined ? undefined : entraAssertion(accessToken),
    grant,
  }
}

/** One that Entra issued to the caller directly. */
export function entraToken(
  token: string,
  verified: EntraClaims,
  scopes: ScopeStrategy,
): VerifiedToken {
  const { tid, oid, azp, exp, cnf } = verified
  const caller = callerFromClaims(verified)
  const { account, user } = accountOf(caller, verified)
  return {
    kind: 'entra',
    clientId: azp ?? '',
    // Scopes are a user's to give. Whatever else a token of an app or an agent says, it goes by its roles.
    scopes: scopes.fromToken(account ? verified : { ...verified, scp: undefined }),
    expiresAt: exp,
    ...(user && { user }),
    ...(account && { account }),
    caller: () => caller,
    // Whatever it holds: a token that is bound in a way we do not know is bound all the same.
    ...(cnf !== undefined && { cnf: Object(cnf) as object }),
    // Azure AD B2C leaves out these two: the verifier knows them from the issuer and the subject.
    claims: () => ({ ...readClaims(token), tid, oid }),
    assertion: entraAssertion(token),
  }
}

function accountOf({ kind }: Caller, claims: EntraClaims): Pick<VerifiedToken, 'user' | 'account'> {
  if (kind === 'app' || kind === 'agent') return {}
  const account = userFromClaims(claims)
  return kind === 'agent-user' ? { account } : { user: account, account }
}

/** What a verified token says about an event. */
export function verifiedFacts(verified: VerifiedToken): EventFacts {
  const { user, clientId, sid, scopes, resource } = verified
  return { user, client: { id: clientId }, sid, scopes, resource, agent: agentFacts(verified) }
}

/** No agent logs in through us (AADSTS82014), so tokens of ours need not be read for one. */
function agentFacts({ kind, account, user, caller }: VerifiedToken): EventFacts['agent'] {
  const agent = kind === 'entra' ? caller().agent : undefined
  return agent && { ...agent, ...(account && !user && { account: account.oid }) }
}

function entraAssertion(token: string): EntraAssertion {
  let known: AssertionFacts | undefined
  return {
    token,
    facts() {
      known ??= { hash: sha256(token), expiresAt: readClaims(token).exp }
      return known
    },
  }
}

/** The claims of a token that has been verified. */
function readClaims(token: string): EntraClaims {
  return (decodeJwt(token) as DecodedJwt).claims as EntraClaims
}
